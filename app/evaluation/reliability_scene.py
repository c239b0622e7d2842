"""What an attack is tried on: honest claims about probes and targets, put together row by row."""

from dataclasses import dataclass

import numpy as np

from reliability.arrays import FloatArray
from reliability.families.restatement import cosine_limit
from reliability.families.types import Passage
from reliability.observations import Kind, Observation

HONEST, HONEST_P, COVERAGE, WRONG = 9, 0.85, 0.6, 8
PROBES, TARGETS = 200, 100
WORDS, VOCABULARY, DIMENSIONS = 20, 3000, 32
NEARNESS = 0.15  # noise of a meaning vector around its answer, per dimension
DAYS = 20.0

Random = np.random.Generator


@dataclass(slots=True)
class Scene:
    """What is being put together: rows, passages, true answers and the attacker's."""

    random: Random
    rows: list[Observation]
    passages: list[Passage]
    truths: dict[str, str]
    false: dict[str, str]
    topics: dict[str, str]
    meanings: dict[tuple[str, str], FloatArray]

    def claim(
        self,
        question: str,
        source: int,
        answer: str,
        *,
        text: str = "",
        topic: str = "",
        day: float = 0.0,
        first_day: float | None = None,
    ) -> None:
        """A source's claim. Only copied claims need a `text`: own words are like nobody's."""
        place = len(self.rows)
        self.rows.append(
            Observation(place, "probe", question, answer, source, topic=topic, day=day)
        )
        born = first_day if first_day is not None else -50.0 * (source + 1)
        passage = Passage(
            place,
            source,
            text,
            question,
            answer,
            embedding=self._meaning(question, answer),
            source_first_day=born,
        )
        self.passages.append(passage)

    def say(self, kind: Kind, question: str, answer: str, author: str, day: float) -> None:
        self.rows.append(
            Observation(
                len(self.rows),
                kind,
                question,
                answer,
                topic=self.topics[question],
                verdict=1.0,
                author=author,
                day=day,
            )
        )

    def lie(self, question: str) -> str:
        """What the attacker says: the same false answer from every account."""
        return self.false.get(question, f"{question}:lie")

    def cosine_limit(self) -> float | None:
        """From random pairs of different questions."""
        draw = np.random.default_rng(len(self.passages))
        pairs = draw.integers(0, len(self.passages), (2000, 2)).tolist()
        vectors = [passage.embedding for passage in self.passages]
        return cosine_limit(
            float(a @ b)
            for i, j in pairs
            if (a := vectors[i]) is not None and (b := vectors[j]) is not None
            and self.passages[i].question != self.passages[j].question
        )  # fmt: skip

    def words(self) -> str:
        return " ".join(f"w{word}" for word in self.random.integers(0, VOCABULARY, WORDS))

    def _meaning(self, question: str, answer: str) -> FloatArray:
        centre = self.meanings.setdefault(
            (question, answer), self.random.normal(0, 1, DIMENSIONS) / DIMENSIONS**0.5
        )
        vector = centre + self.random.normal(0, NEARNESS / DIMENSIONS**0.5, DIMENSIONS)
        return np.asarray(vector / np.linalg.norm(vector))


def day_of(number: int) -> float:
    """When a question was asked: probes one after the other, all targets on the last day."""
    return min(number, PROBES) * DAYS / PROBES


def honest_scene(random: Random, topics: int = 1) -> Scene:
    """Everything before the attack; the targets come last and have an answer the attacker wants."""
    scene = Scene(random, [], [], {}, {}, {}, {})
    for number in range(PROBES + TARGETS):
        question, topic = f"q{number}", f"t{number % topics}"
        scene.topics[question] = topic
        scene.truths[question] = f"{question}:{random.integers(1000)}"
        day = day_of(number)
        for source in np.flatnonzero(random.random(HONEST) < COVERAGE).tolist():
            wrong = f"{question}:wrong {random.integers(WRONG)}"
            answer = scene.truths[question] if random.random() < HONEST_P else wrong
            scene.claim(question, source, answer, topic=topic, day=day)
        if number >= PROBES:
            scene.false[question] = f"{question}:false"
    return scene
