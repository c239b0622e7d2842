"""Every estimator keeps one contract; and what each is known to do on small worlds."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliability.errors import InvalidReliability, UnknownEstimator
from reliability.estimators.larder import LarderConfig, LarderEstimator
from reliability.estimators.protocol import Estimate
from reliability.estimators.registry import ESTIMATORS, make_estimator
from reliability.observations import Observation
from reliability.posterior import credible_interval
from reliability.table import ClaimTable, build_table
from reliability.types import BetaPosterior
from reliability.voting import winners

ALL = list(ESTIMATORS)


def claims(*rows: tuple[str, str | None, int], family: int | None = None) -> list[Observation]:
    return [
        Observation(place, "probe", question, answer, source, family=family)
        for place, (question, answer, source) in enumerate(rows)
    ]


def draw(
    p: Sequence[float], questions: int, wrong: int, seed: int, coverage: float = 0.6
) -> tuple[list[Observation], dict[str, str]]:
    """Independent sources with these reliabilities."""
    random = np.random.default_rng(seed)
    rows: list[Observation] = []
    truths = {}
    for number in range(questions):
        question = f"q{number}"
        truths[question] = f"{question} {random.integers(1000)}"
        for source in np.flatnonzero(random.random(len(p)) < coverage).tolist():
            is_right = random.random() < p[source]
            lie = f"{question} lie {random.integers(wrong)}"
            answer = truths[question] if is_right else lie
            rows.append(
                Observation(len(rows), "probe", question, answer, source, day=float(number // 10))
            )
    return rows, truths


def accuracy(name: str, rows: list[Observation], truths: dict[str, str]) -> float:
    table = build_table(rows)
    estimator = make_estimator(name)
    best = winners(table, estimator.predict(table, estimator.fit(table)))
    right = [
        table.values[best[place]] == truths[question]
        for place, question in enumerate(table.questions)
        if best[place] >= 0
    ]
    return float(np.mean(right))


def check(table: ClaimTable, name: str) -> Estimate:
    estimator = make_estimator(name)
    estimate = estimator.fit(table)
    chance = estimator.predict(table, estimate)
    assert chance.shape == (len(table.values),)
    assert np.all(np.isfinite(chance))
    assert np.all((chance >= 0) & (chance <= 1 + 1e-6))
    assert np.all(estimate.alpha > 0)
    assert np.all(estimate.beta > 0)
    return estimate


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "rows",
    [
        [],
        claims(("q", None, 1), ("q", None, 2)),
        claims(("q", "a", 1)),
        claims(("q", "a", 1), ("q", None, 2), ("r", "b", 1), ("r", None, 2)),
        claims(("q", "a", 1), ("q", "b", 1)),
    ],
    ids=["nothing", "nobody knows", "one source", "one silent source", "one source, two answers"],
)
def test_poor_input_is_no_crash(name: str, rows: list[Observation]) -> None:
    check(build_table(rows), name)


row = st.tuples(
    st.sampled_from(["q0", "q1", "q2", "q3"]),
    st.sampled_from([None, "a", "b", "10", "10.05", "3 May 1900", "1900"]),
    st.integers(0, 4),
)


@pytest.mark.parametrize("name", ALL)
@given(rows=st.lists(row, max_size=25))
@settings(max_examples=25, deadline=None)
def test_any_claims_give_proper_beliefs(name: str, rows: list[tuple[str, str | None, int]]) -> None:
    check(build_table(claims(*rows)), name)


@pytest.mark.parametrize("name", ALL)
def test_good_sources_are_told_from_bad_ones(name: str) -> None:
    p = [0.9, 0.9, 0.9, 0.9, 0.9, 0.2, 0.2]
    rows, truths = draw(p, 200, 8, seed=3)
    estimate = check(build_table(rows), name)
    means = [estimate.posterior(source).mean for source in range(7)]
    assert min(means[:5]) > max(means[5:])
    assert accuracy(name, rows, truths) > 0.85


@pytest.mark.parametrize("name", ["ra_rag", "beta_em", "truthfinder", "dawid_skene", "larder"])
def test_learning_beats_the_majority(name: str) -> None:
    rows, truths = draw([0.9] * 3 + [0.2] * 5, 300, 3, seed=5)
    assert accuracy(name, rows, truths) > accuracy("majority", rows, truths) + 0.03


def test_an_estimate_answers_questions_with_sources_it_never_saw() -> None:
    rows, _ = draw([0.9] * 4, 50, 3, seed=1)
    other = build_table(claims(("new", "a", 99), ("new", "b", 0), ("new", "b", 1)))
    for name in ALL:
        estimator = make_estimator(name)
        chance = estimator.predict(other, estimator.fit(build_table(rows)))
        assert chance[other.values.index("b")] > chance[other.values.index("a")], name


def test_labels_turn_a_lying_majority_around() -> None:
    rows, truths = draw([0.9, 0.9] + [0.1] * 7, 300, 2, seed=2)
    assert accuracy("larder", rows, truths) < 0.3
    labels = [
        Observation(10_000 + n, "label", q, truths[q], verdict=1.0, author="anna")
        for n, q in enumerate(list(truths)[:20])
    ]
    assert accuracy("larder", [*rows, *labels], truths) > 0.7


def test_copies_count_once_and_the_copied_source_loses_nothing() -> None:
    honest = claims(("q", "a", 1), ("q", "a", 2))
    copies = [
        Observation(10 + source, "probe", "q", "b", source, family=7) for source in (3, 4, 5, 6)
    ]
    table = build_table([*honest, *copies])
    estimator = LarderEstimator()
    chance = estimator.predict(table, estimator.fit(table))
    assert chance[table.values.index("a")] > chance[table.values.index("b")]
    majority = make_estimator("majority")
    votes = majority.predict(table, majority.fit(table))
    assert votes[table.values.index("b")] > votes[table.values.index("a")]


def test_what_kind_of_source_it_is_decides_between_strangers() -> None:
    table = build_table(claims(("q", "a", 1), ("q", "b", 2)))
    priors = {1: BetaPosterior(1, 4), 2: BetaPosterior(5, 1)}
    estimator = LarderEstimator(LarderConfig(class_priors=priors))
    chance = estimator.predict(table, estimator.fit(table))
    assert chance[table.values.index("b")] > 0.7


def test_topics_are_told_apart_where_they_differ() -> None:
    random = np.random.default_rng(0)
    rows = []
    for number in range(400):
        topic = f"t{number % 2}"
        for source in range(6):
            good = source >= 2 or topic == "t0"
            right = random.random() < (0.9 if good else 0.1)
            answer = "right" if right else f"lie {random.integers(5)}"
            question = f"q{number}"
            rows.append(
                Observation(
                    len(rows), "probe", question, answer, source, topic=topic, day=number / 10
                )
            )
    estimate = LarderEstimator().fit(build_table(rows))
    assert estimate.posterior(0, "t0").mean > 0.8
    assert estimate.posterior(0, "t1").mean < 0.3
    assert 0.4 < estimate.posterior(0).mean < 0.7


def test_a_source_that_turned_is_noticed() -> None:
    random = np.random.default_rng(0)
    rows = []
    for number in range(300):
        for source in range(6):
            turned = source == 0 and number >= 240
            right = random.random() < (0.05 if turned else 0.9)
            answer = "right" if right else f"lie {random.integers(5)}"
            rows.append(
                Observation(len(rows), "probe", f"q{number}", answer, source, day=float(number))
            )
    estimate = LarderEstimator().fit(build_table(rows))
    assert estimate.posterior(0).mean < 0.35
    assert estimate.posterior(1).mean > 0.8


@pytest.mark.parametrize("labels", [0, 20])
def test_accounts_that_lie_together_from_a_day_on_are_the_ones_that_turned(labels: int) -> None:
    """Four accounts, right without fail until day 15, then alike in their lies; nine honest."""
    rows, truths = draw([0.85] * 9, 200, 8, seed=0)
    for number, (question, truth) in enumerate(truths.items()):
        said = truth if number < 150 else "their lie"
        for account in range(100, 104):
            day = float(number // 10)
            rows.append(Observation(len(rows), "probe", question, said, account, day=day))
    for question, truth in list(truths.items())[len(truths) - labels :]:
        rows.append(Observation(len(rows), "label", question, truth, verdict=1.0, author="anna"))
    estimate = LarderEstimator().fit(build_table(rows))
    assert min(estimate.posterior(honest).mean for honest in range(9)) > 0.7
    assert max(estimate.posterior(account).mean for account in range(100, 104)) < 0.1
    assert estimate.turned_since is not None
    since = dict(zip(estimate.sources, estimate.turned_since.tolist(), strict=True))
    assert [since[account] for account in range(100, 104)] == [15.0] * 4
    assert max(since[honest] for honest in range(9)) == -np.inf


def test_a_claim_is_no_witness_for_its_own_source() -> None:
    table = build_table(claims(("q", "a", 1), ("q", "b", 2), ("r", "c", 2), ("r", "c", 3)))
    estimate = LarderEstimator().fit(table)
    prior = 0.0  # even odds, as nobody said anything about these
    assert estimate.claim_weights(table)[0] == pytest.approx(prior, abs=0.05)
    again = build_table(claims(("q", "a", 1), ("q", "b", 2)))
    assert estimate.claim_weights(again)[0] < prior - 0.05


def test_an_unsure_claim_leaves_a_range_as_wide_as_it_was() -> None:
    estimate = LarderEstimator().fit(build_table(claims(("q", "a", 1), ("q", "b", 2))))
    strength = (estimate.alpha + estimate.beta)[:, 0]
    prior = LarderConfig().prior
    before = prior.alpha + prior.beta
    assert np.all(before <= strength + 1e-9)
    assert np.all(strength < before + 1)  # it is not worth a whole claim


def test_ranges_of_sources_that_say_little_hold_as_often_as_they_say() -> None:
    held = []
    for seed in range(4):
        p = np.random.default_rng([seed, 7]).beta(3, 2, 200)
        rows, _ = draw(p.tolist(), 100, 8, seed, coverage=0.02)
        estimate = LarderEstimator().fit(build_table(rows))
        for source in estimate.sources:
            interval = credible_interval(estimate.posterior(source))
            held.append(interval.low <= p[source] <= interval.high)
    assert 0.75 <= np.mean(held) <= 0.85


def test_a_storm_of_probes_moves_a_source_by_a_days_worth() -> None:
    spread = [Observation(n, "probe", f"q{n // 3}", "a", n % 3) for n in range(600)]
    capped = LarderEstimator().fit(build_table(spread)).posterior(0)
    free = LarderEstimator(LarderConfig(probes_per_day=1e9)).fit(build_table(spread)).posterior(0)
    planned = build_table(replace(row, is_planned=True) for row in spread)
    asked = LarderEstimator().fit(planned).posterior(0)
    assert capped.alpha + capped.beta < 24
    assert free.alpha + free.beta > 150
    assert asked.alpha + asked.beta == pytest.approx(free.alpha + free.beta)


def test_a_source_that_talks_alone_does_not_promote_itself() -> None:
    rows = [Observation(n, "probe", f"q{n}", "a", 1, day=float(n)) for n in range(200)]
    alone = LarderEstimator().fit(build_table(rows)).posterior(1)
    assert alone.mean < 0.75


def test_several_truths_survive_sources_that_name_one_each() -> None:
    rows = []
    for number in range(60):
        for source in range(6):
            answer = f"sense {source % 2}" if source < 4 else f"lie {number} {source}"
            rows.append(Observation(len(rows), "probe", f"q{number}", answer, source))
    table = build_table(rows)
    estimator = make_estimator("larder", takes_several=True)
    chance = estimator.predict(table, estimator.fit(table))
    accepted = {table.values[v].split()[0] for v in np.flatnonzero(chance > 0.5)}
    assert accepted == {"sense"}
    assert (chance > 0.5).sum() == 120


def test_omissions_are_no_denials_of_a_list() -> None:
    rows = []
    for number in range(50):
        for source in range(8):
            named = ["first", "second"] if source < 3 else ["first"]
            if source == 7:
                named = ["first", f"invented {number}"]
            rows += [(f"book{number}", name, source) for name in named]
    table = build_table(claims(*rows))
    estimator = make_estimator("two_sided")
    chance = estimator.predict(table, estimator.fit(table))
    accepted = {table.values[v].split()[0] for v in np.flatnonzero(chance > 0.5)}
    assert accepted == {"first", "second"}


def test_lists_are_judged_topic_by_topic_and_old_ones_fade() -> None:
    """Sources 0 and 1 invent a name in t1; source 7 did so everywhere, two years ago only."""
    rows = []
    for number in range(120):
        topic = f"t{number % 2}"
        for source in range(8):
            invents = (source < 2 and topic == "t1") or (source == 7 and number < 60)
            for name in ["first", f"invented {source}"] if invents else ["first", "second"]:
                day = 0.0 if number < 60 else 720.0
                question = f"{topic} {number}"
                rows.append(
                    Observation(len(rows), "probe", question, name, source, topic=topic, day=day)
                )
    estimate = make_estimator("larder", takes_several=True).fit(build_table(rows))
    weight = {s: estimate.weight[row] for row, s in enumerate(estimate.sources)}
    good, bad = (estimate.topics.index(topic) for topic in ("t0", "t1"))
    assert weight[0][good] > weight[0][bad] + 1
    assert weight[3][bad] > weight[0][bad] + 1
    assert weight[7].mean() > weight[0][bad] + 0.5


def test_names_and_shapes_are_checked() -> None:
    with pytest.raises(UnknownEstimator, match="majority"):
        make_estimator("oracle")
    good = LarderEstimator().fit(build_table(claims(("q", "a", 1))))
    with pytest.raises(InvalidReliability, match="shape"):
        Estimate("x", (1, 2), good.topics, *[good.alpha] * 4, default_weight=0.0, rounds=1)
