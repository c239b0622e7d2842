"""Which topic a question is on, and what is believed of sources there.

Its topic is that of the known questions that are nearest in words; where these do not agree, or
none is near, what is believed over all topics holds.
"""

import heapq
import math
from collections import defaultdict
from collections.abc import Mapping

from app.db.observations import Observations
from app.db.reliability_versions import ReliabilityVersions
from reliability.matching import plain_words
from reliability.types import BetaPosterior

NEIGHBOURS = 5
NEAR = 0.25  # of what a question's words say, at least, stands in a question that is near


class TopicIndex:
    """Known questions by their words; a word says the more, the fewer of them have it."""

    def __init__(self, topics: Mapping[str, str]) -> None:
        self._topics = list(topics.values())
        self._having: dict[str, list[int]] = defaultdict(list)
        for number, question in enumerate(topics):
            for word in set(plain_words(question)):
                self._having[word].append(number)

    def topic_of(self, question: str) -> str | None:
        words = {word: self._information(word) for word in set(plain_words(question))}
        shared: dict[int, float] = defaultdict(float)
        for word, information in words.items():
            for number in self._having.get(word, ()):
                shared[number] += information
        least = NEAR * sum(words.values())
        nearest = heapq.nlargest(NEIGHBOURS, shared.items(), key=lambda item: item[1])
        weight: dict[str, float] = defaultdict(float)
        for number, said in nearest:
            if said > least:
                weight[self._topics[number]] += said
        if not weight:
            return None
        topic = max(weight, key=weight.__getitem__)
        return topic if weight[topic] > sum(weight.values()) / 2 else None

    def _information(self, word: str) -> float:
        return math.log((1 + len(self._topics)) / (1 + len(self._having.get(word, ()))))


class TopicBeliefs:
    """A version is read once."""

    def __init__(self, observations: Observations, versions: ReliabilityVersions) -> None:
        self._observations = observations
        self._versions = versions
        self._version = 0
        self._index = TopicIndex({})
        self._beliefs: dict[str, dict[int, BetaPosterior]] = {}

    async def on_topic(self, question: str, version: int) -> Mapping[int, BetaPosterior]:
        """Belief about each source on the question's topic; empty where over all topics holds."""
        if version != self._version:
            await self._read(version)
        if len(self._beliefs) < 2:
            return {}
        topic = self._index.topic_of(question)
        return {} if topic is None else self._beliefs.get(topic, {})

    async def _read(self, version: int) -> None:
        beliefs: dict[str, dict[int, BetaPosterior]] = defaultdict(dict)
        for row in await self._versions.posteriors(version):
            if row.topic is not None:
                beliefs[row.topic][row.source_id] = BetaPosterior(row.alpha, row.beta)
        topics = await self._observations.topics() if len(beliefs) > 1 else {}
        self._index = TopicIndex(topics)
        self._beliefs, self._version = dict(beliefs), version
