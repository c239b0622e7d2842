"""Evidence families: each level finds its kind of copy and leaves honest agreement alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliability.estimators.larder import LarderEstimator
from reliability.families.copying import dependence, suspect_copies
from reliability.families.find import FamilyConfig, find_families
from reliability.families.habits import copying_pairs, count_once
from reliability.families.lexical import jaccard, shingles, signatures
from reliability.families.lineage import origins
from reliability.families.restatement import cosine_limit
from reliability.families.types import Passage
from reliability.observations import Observation
from reliability.table import build_table

SENTENCE = "The bridge over the Mill was built in 1874 by the county and repaired in 1921 after"


def levels(passages: list[Passage], config: FamilyConfig | None = None) -> set[str]:
    return {join.level for join in find_families(passages, config).joins}


def same(passages: list[Passage], config: FamilyConfig | None = None) -> bool:
    return len(set(find_families(passages, config).family_of.values())) == 1


def test_the_same_words_are_one_family() -> None:
    pair = [Passage(1, 1, "Built in 1874."), Passage(2, 2, "built  in 1874")]
    assert same(pair)
    assert levels(pair) == {"L0"}


@pytest.mark.parametrize(
    "fields", [{"address": "https://a.example/x"}, {"upload_batch": "b1", "title": "Bridges"}]
)
def test_one_address_or_one_upload_is_one_family(fields: dict[str, str]) -> None:
    assert same([Passage(1, 1, "one text", **fields), Passage(2, 2, "another", **fields)])


def test_empty_texts_are_not_the_same_text() -> None:
    assert not same([Passage(1, 1, ""), Passage(2, 2, "")])


def test_nearly_the_same_words_are_one_family() -> None:
    edited = SENTENCE.replace("county", "council") + " the flood of that spring"
    whole = SENTENCE + " the flood of that spring, as every child here knows to this day"
    assert levels([Passage(1, 1, whole), Passage(2, 2, whole[:-4])]) == {"L1"}
    assert not same([Passage(1, 1, SENTENCE), Passage(2, 2, "Nobody knows who built the bridge")])
    assert jaccard(shingles(SENTENCE), shingles(edited)) < 1


@given(st.integers(1, 9))
@settings(deadline=None)
def test_minhash_estimates_jaccard(shared: int) -> None:
    one = frozenset(range(1000, 1100))
    other = frozenset(range(1100 - 10 * shared, 1200 - 10 * shared))
    rows = signatures([one, other])
    assert abs(float((rows[0] == rows[1]).mean()) - jaccard(one, other)) < 0.2


def test_many_passages_find_the_same_pairs_as_few() -> None:
    random = np.random.default_rng(0)
    texts = [" ".join(f"w{n}" for n in random.integers(0, 500, 30)) for _ in range(80)]
    copy = texts[0] + " and more"
    passages = [Passage(n, n, text) for n, text in enumerate([*texts, copy])]
    joins = find_families(passages).joins
    assert [(join.one, join.other) for join in joins] == [(0, 80)]


def unit(*numbers: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    vector = np.array(numbers)
    return np.asarray(vector / np.linalg.norm(vector))


def test_a_restatement_needs_meaning_and_company() -> None:
    near, config = unit(1, 0.05), FamilyConfig(cosine_limit=0.9)

    def pair(**other: object) -> list[Passage]:
        one = Passage(1, 1, "", "q", "a", embedding=unit(1, 0), day=10.0)
        fields: dict[str, object] = {"embedding": near, "answer": "a", "day": 11.0} | other
        return [one, Passage(2, 2, "", "q", **fields)]  # type: ignore[arg-type]

    assert levels(pair(), config) == {"L2"}
    assert not same(pair(day=90.0), config)
    assert not same(pair(answer="b"), config)
    assert not same(pair(embedding=unit(0, 1)), config)
    assert not same(pair())


def test_the_limit_is_the_corpus_own_or_unknown() -> None:
    assert cosine_limit([0.5] * 10) is None
    assert cosine_limit(np.linspace(0, 1, 1001)) == pytest.approx(0.995)


def test_a_common_origin_joins() -> None:
    texts = ["According to Reuters, 12 people came.", "12, as reported by Reuters."]
    passages = [Passage(n, n, text, "q", "12") for n, text in enumerate(texts)]
    assert levels(passages) == {"L3"}
    assert origins("See https://a.example/x.") == {"https://a.example/x"}


def learned(passages: list[Passage]) -> dict[int, int | None]:
    """Family of each claim after an estimate: found question by question, then by habit."""
    families = find_families(passages).family_of
    rows = [
        Observation(p.passage_id, "probe", p.question, p.answer, p.source,
                    family=families[p.passage_id])
        for p in passages
    ]  # fmt: skip
    joined = count_once(rows, copying_pairs(rows))
    return {row.observation_id: row.family for row in joined}


def test_sources_that_copy_by_habit_are_known_when_they_paraphrase() -> None:
    passages = []
    for number in range(8):
        texts = ("one two three four five six", "one two three four five six")
        if number >= 6:
            texts = (f"wholly {number}", f"different {number}")
        for source, text in enumerate(texts):
            place = 2 * number + source
            passages.append(Passage(place, source, f"{text} {number}", f"q{number}", "a"))
    found = learned(passages)
    assert found[14] == found[15]
    assert len(set(found.values())) == 8
    assert learned(passages[8:])[14] != learned(passages[8:])[15]


@pytest.mark.parametrize(("contradictions", "joined"), [(0, True), (4, False)])
def test_sources_that_copy_in_other_words_mostly_are_known_by_never_differing(
    contradictions: int, joined: bool
) -> None:
    """Six texts of forty are the same; the last answers differ where the sources are two."""
    passages = []
    for number in range(40):
        for source in (0, 1):
            text = "the same long text of" if number < 6 else f"wording {source} of its own about"
            differs = source and number >= 40 - contradictions
            answer = "other" if differs else "a"
            place = 2 * number + source
            passages.append(Passage(place, source, f"{text} {number}", f"q{number}", answer))
    found = learned(passages)
    assert (found[40] == found[41]) is joined


def test_words_of_people_teach_no_habit() -> None:
    rows = [
        Observation(2 * n + s, "label", f"q{n}", "a", s, verdict=1.0, author="m", family=n)
        for n in range(8)
        for s in (0, 1)
    ]
    assert copying_pairs(rows) == frozenset()
    assert count_once(rows, []) == tuple(rows)


def test_a_habit_joins_the_families_that_both_are_in() -> None:
    """1 and 2 copy from one another; here each repeats somebody else's text, too."""
    rows = [
        Observation(n, "probe", "q", "a", source, family=family)
        for n, (source, family) in enumerate([(1, 7), (3, 7), (2, 8), (4, 8), (5, None)])
    ]
    assert [row.family for row in count_once(rows, {(1, 2)})] == [7, 7, 7, 7, None]
    alone = [Observation(n, "probe", "q", "a", n) for n in (1, 2, 3)]
    assert [row.family for row in count_once(alone, {(1, 2)})] == [-2, -2, None]
    apart = [Observation(n, "probe", "q", f"a{n}", n) for n in (1, 2)]
    assert count_once(apart, {(1, 2)}) == tuple(apart)


def test_what_is_known_of_habits_joins_the_passages_of_one_question() -> None:
    passages = [Passage(n, n, f"words of {n} only", "q", "a") for n in (1, 2, 3)]
    config = FamilyConfig(copiers=frozenset({(1, 2)}))
    assert levels(passages, config) == {"L3"}
    found = find_families(passages, config).family_of
    assert found[1] == found[2] != found[3]


def test_honest_agreement_in_own_words_stays_apart() -> None:
    random = np.random.default_rng(1)
    passages = [
        Passage(3 * q + s, s, " ".join(f"w{n}" for n in random.integers(0, 900, 25)), f"q{q}", "a")
        for q in range(20)
        for s in range(3)
    ]
    assert find_families(passages).joins == ()


def test_statistical_copying_is_suspected_from_shared_errors() -> None:
    random = np.random.default_rng(0)
    rows = []
    for number in range(120):
        lie = f"lie {random.integers(8)}"
        for source in range(7):
            right = random.random() < (0.4 if source < 2 else 0.9)
            answer = "right" if right else f"lie {random.integers(8)}"
            if source < 2:
                answer = lie if number % 2 else "right"
            rows.append(Observation(len(rows), "probe", f"q{number}", answer, source))
    table = build_table(rows)
    estimator = LarderEstimator()
    estimate = estimator.fit(table)
    trust = (estimate.alpha / (estimate.alpha + estimate.beta))[:, 0]
    pairs = suspect_copies(table, trust, estimator.predict(table, estimate))
    assert [(pair.one, pair.other) for pair in pairs] == [(0, 1)]


def test_dependence_does_not_overflow() -> None:
    assert dependence(1e6, 0, 0, 0.9, 0.9) > 0.5
    assert dependence(0, 1e6, 0, 0.9, 0.9) == 1.0
    assert dependence(0, 0, 1e6, 0.9, 0.9) < 1e-9
