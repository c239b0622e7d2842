"""Synthetic worlds: sources with known reliability, questions with known truths, a perfect reader.

After RA-RAG's benchmark (coverage 0.6, each source draws right or wrong alone), with what it lacks:
copies, few wrong options, topics, time, several truths, and texts from which copies are found.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import numpy as np

from app.errors import InvalidValue
from app.evaluation.reliability_authors import make_authors
from app.evaluation.reliability_world import Truths, World
from reliability.arrays import FloatArray
from reliability.families.find import find_families
from reliability.families.habits import copying_pairs, count_once
from reliability.families.types import Passage
from reliability.observations import Observation

Random = np.random.Generator

PROBES = 200
TESTS = 600
TURNED_P = 0.1
TURNS_AT = PROBES * 3 // 4
VOCABULARY = 3000
TEXT_WORDS = 24
EDITED_WORDS = 1  # of a copied text


@dataclass(frozen=True, slots=True)
class WorldSpec:
    """How a world is made. `reliability` draws p [sources, topics] for the first day."""

    name: str
    reliability: Callable[[Random], FloatArray]
    coverage: float = 0.6  # 0: by rank, as 0.6 / rank
    wrong_options: int = 8
    copies: tuple[int, ...] = ()  # sources that repeat the first of them
    paraphrased: float = 0.2  # share of copies put into other words
    topics: int = 1
    labels: int = 0  # probes that a person answered
    turned: tuple[int, ...] = ()  # sources that turn to p = 0.1 for the last quarter of the probes
    probes_a_day: int = 10
    probes: int = PROBES


def hammers(bad: int, good: int, low: float = 0.1, high: float = 0.9) -> FloatArray:
    return np.array([[low]] * bad + [[high]] * good)


def _beta(random: Random) -> FloatArray:
    return random.beta(3, 2, (9, 1))


def _by_topic(random: Random) -> FloatArray:
    """Each source is good (0.9) on one or two of four topics and poor (0.3) on the others."""
    return np.where(random.random((9, 4)) < 0.45, 0.9, 0.3)


def _long_tail(random: Random) -> FloatArray:
    return random.beta(3, 2, (300, 1))


def _drifting(_: Random) -> FloatArray:
    return np.full((9, 1), 0.85)


SPECS = {
    spec.name: spec
    for spec in (
        WorldSpec("spammer_hammer", lambda _: hammers(4, 5)),
        WorldSpec("beta", _beta),
        WorldSpec("beta_all_answer", _beta, coverage=1.0),
        # As `larder sources estimate` asks: until each source has answered 200 or so.
        WorldSpec("beta_200_answers", _beta, probes=340),
        WorldSpec("copy_4_of_9", lambda _: hammers(4, 5), copies=(0, 1, 2, 3)),
        WorldSpec("adversarial_7_of_9", lambda _: hammers(7, 2), wrong_options=2, labels=20),
        WorldSpec("topics", _by_topic, topics=4),
        WorldSpec("drift", _drifting, turned=(0, 1, 2, 3), probes_a_day=1),
        WorldSpec("coverage", _beta, coverage=0.2),
        WorldSpec("paraphrase", lambda _: hammers(4, 5), copies=(0, 1, 2, 3), paraphrased=0.8),
        WorldSpec("long_tail", _long_tail, coverage=0.0),
        WorldSpec("clean", lambda _: np.full((9, 1), 0.9)),
    )
}


LISTS = {"authors": 0.0, "catalogue": 0.3}  # and what share of the lists is soiled
WORLDS = (*SPECS, *LISTS)


def make_world(name: str, seed: int) -> World:
    """The world `name`, drawn with `seed`."""
    if name in LISTS:
        return make_authors(seed, soiled=LISTS[name])
    if name not in SPECS:
        raise InvalidValue(f"unknown world {name!r}; known: {', '.join(WORLDS)}")
    return _Maker(SPECS[name], seed).make()


class _Maker:
    def __init__(self, spec: WorldSpec, seed: int) -> None:
        self._spec = spec
        self._random = np.random.default_rng([seed, len(spec.name), *spec.name.encode()])
        self._p = spec.reliability(self._random)
        self._coverage = spec.coverage or 0.6 / np.arange(1, len(self._p) + 1)
        self._rows: list[Observation] = []
        self._passages: list[Passage] = []

    def make(self) -> World:
        truths: dict[str, frozenset[str]] = {}
        for number in range(self._spec.probes + TESTS):
            truths |= self._add_question(number)
        labels = tuple(self._labels(truths))
        names = {f"q{number}" for number in range(self._spec.probes)}
        rows = self._with_families(names)
        return World(
            self._spec.name,
            (*(row for row in rows if row.question in names), *labels),
            tuple(row for row in rows if row.question not in names),
            {name: truth for name, truth in truths.items() if name not in names},
            self._last_reliability(),
            probe_truths={name: truth for name, truth in truths.items() if name in names},
            turned_on=dict.fromkeys(self._spec.turned, float(TURNS_AT // self._spec.probes_a_day)),
        )

    def _add_question(self, number: int) -> Truths:
        name, topic = f"q{number}", number % self._spec.topics
        answers = [f"{name}:{place}" for place in self._random.permutation(100)[:9]]
        group = self._answer(answers, self._p_of(0, topic, number))
        text = self._text()
        covers = self._random.random(len(self._p)) < self._coverage
        for source in range(len(self._p)):
            copies = source in self._spec.copies
            if not covers[self._spec.copies[0] if copies else source]:
                continue
            own = self._answer(answers, self._p_of(source, topic, number))
            answer = group if copies else own
            shown = self._copied(text) if copies else self._text()
            self._add(name, topic, number, source, answer, shown)
        return {name: frozenset(answers[:1])}

    def _p_of(self, source: int, topic: int, number: int) -> float:
        has_turned = source in self._spec.turned and number >= TURNS_AT
        return TURNED_P if has_turned else float(self._p[source, topic])

    def _last_reliability(self) -> dict[tuple[int, str], float]:
        """p of each source and topic on the last day."""
        sources, topics = self._p.shape
        last = {(s, f"t{t}"): float(self._p[s, t]) for s in range(sources) for t in range(topics)}
        return last | {key: TURNED_P for key in last if key[0] in self._spec.turned}

    def _answer(self, answers: list[str], p: float) -> str:
        """The truth with chance p, else one of the wrong options."""
        wrong = 1 + int(self._random.integers(self._spec.wrong_options))
        return answers[0 if self._random.random() < p else wrong]

    def _text(self) -> str:
        """Only where copies are looked for: making texts costs more than all the rest."""
        if not self._spec.copies:
            return ""
        return " ".join(f"w{word}" for word in self._random.integers(0, VOCABULARY, TEXT_WORDS))

    def _copied(self, text: str) -> str:
        if self._random.random() < self._spec.paraphrased:
            return self._text()
        return " ".join([*text.split()[:-EDITED_WORDS], "edited"])

    def _add(self, name: str, topic: int, number: int, source: int, answer: str, text: str) -> None:
        place = len(self._rows)
        day = float(min(number, self._spec.probes) // self._spec.probes_a_day)
        row = Observation(place, "probe", name, answer, source, topic=f"t{topic}", day=day)
        self._rows.append(row)
        self._passages.append(Passage(place, source, text, name, answer))

    def _with_families(self, probes: Collection[str]) -> tuple[Observation, ...]:
        """As a server finds them: within each question, and habits from what was probed."""
        if not self._spec.copies:
            return tuple(self._rows)
        families = find_families(self._passages).family_of
        rows = [replace(row, family=families[row.observation_id]) for row in self._rows]
        return count_once(rows, copying_pairs(row for row in rows if row.question in probes))

    def _labels(self, truths: Truths) -> list[Observation]:
        chosen = self._random.permutation(self._spec.probes)[: self._spec.labels]
        return [
            Observation(
                len(self._rows) + place,
                "label",
                f"q{number}",
                next(iter(truths[f"q{number}"])),
                topic=f"t{number % self._spec.topics}",
                verdict=1.0,
                author="curator",
            )
            for place, number in enumerate(chosen.tolist())
        ]
