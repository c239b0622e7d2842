"""Worlds, tables and documents: what the generator promises, bad files, and the known results."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from app.errors import InvalidValue
from app.evaluation.reliability_answers import answers, cross_fit, learned_answers
from app.evaluation.reliability_attack_runs import attack_rows
from app.evaluation.reliability_attacks import ATTACKS, injection, sybils_copied
from app.evaluation.reliability_documents import load_poisoned, load_ramdocs
from app.evaluation.reliability_plots import write_plots
from app.evaluation.reliability_quality import compare, evaluate
from app.evaluation.reliability_run import check_names, file_world
from app.evaluation.reliability_scene import honest_scene
from app.evaluation.reliability_served import served_answers
from app.evaluation.reliability_speed import speed_row
from app.evaluation.reliability_tables import load_claims
from app.evaluation.reliability_world import World
from app.evaluation.reliability_worlds import SPECS, WORLDS, make_world
from reliability.observations import Observation
from reliability.table import build_table


@pytest.mark.parametrize("name", ["beta", "topics", "drift", "adversarial_7_of_9", "authors"])
def test_worlds_are_drawn_by_seed(name: str) -> None:
    one, again, other = make_world(name, 1), make_world(name, 1), make_world(name, 2)
    assert (one.probes, one.tests, one.truths) == (again.probes, again.tests, again.truths)
    assert one.probes != other.probes
    asked = {row.question for row in one.tests or one.probes}
    assert asked <= set(one.truths) | {row.question for row in one.probes}


def test_sources_are_as_reliable_and_as_talkative_as_said() -> None:
    world = make_world("spammer_hammer", 0)
    said = [row for row in world.tests if row.source == 8]
    right = np.mean([row.answer in world.truths[row.question] for row in said])
    assert right == pytest.approx(0.9, abs=0.06)
    assert len(said) / 600 == pytest.approx(SPECS["spammer_hammer"].coverage, abs=0.08)


def test_copies_are_found_from_their_texts() -> None:
    world = make_world("copy_4_of_9", 0)
    by_question: dict[str, dict[int, int | None]] = {}
    for row in world.tests:
        assert row.source is not None
        by_question.setdefault(row.question, {})[row.source] = row.family
    copied = [families for families in by_question.values() if {0, 1, 2, 3} <= families.keys()]
    assert np.mean([len({f[s] for s in range(4)}) == 1 for f in copied]) > 0.95
    honest = [f for f in by_question.values() if {4, 5} <= f.keys()]
    assert all(families[4] != families[5] for families in honest)


@pytest.mark.parametrize(
    ("name", "least"), [("copy_4_of_9", 0.9), ("adversarial_7_of_9", 0.75), ("authors", 0.8)]
)
def test_larder_holds_where_a_vote_fails(name: str, least: float) -> None:
    world = make_world(name, 0)
    ours, vote = evaluate(world, "larder"), evaluate(world, "majority")
    assert ours.right.mean() > least
    assert ours.right.mean() > vote.right.mean() + 0.05


def test_nobody_does_better_than_the_oracle_and_larder_comes_close_to_it() -> None:
    world = make_world("drift", 0)
    ours, bound = evaluate(world, "larder"), evaluate(world, "oracle")
    assert bound.right.mean() >= ours.right.mean() - 0.02
    assert ours.right.mean() >= bound.right.mean() - 0.02
    lists = make_world("authors", 0)
    rows, _ = compare(lambda _: lists, ["majority", "oracle"], 1, lambda: None)
    assert [row["estimator"] for row in rows] == ["majority"]


def test_rows_say_what_the_figures_are() -> None:
    rows, outcomes = compare(lambda seed: make_world("beta", seed), ["majority"], 2, lambda: None)
    (row,) = rows
    assert {"world", "estimator", "accuracy", "low", "high", "ece", "n"} <= row.keys()
    assert (row["world"], row["n"], row["worlds"]) == ("beta", 1200, 2)
    assert len(outcomes["majority"]) == 2


def test_calibration_never_sees_the_question_it_is_applied_to() -> None:
    raw, right = np.full(100, 0.9), np.zeros(100)
    right[0] = 1.0
    stated = cross_fit(raw, right, seed=0)
    assert stated[0] < stated[np.flatnonzero(right == 0)].max() + 1e-12
    assert cross_fit(raw[:10], right[:10], seed=0) == pytest.approx(raw[:10])


def test_from_which_chance_a_value_is_given_is_learned_on_other_questions() -> None:
    rows = tuple(
        Observation(3 * number + place, "probe", f"q{number}", answer, place)
        for number in range(40)
        for place, answer in enumerate("abc")
    )
    truths = {f"q{number}": frozenset("ab") for number in range(40)}
    world = World("made", rows, (), truths, takes_several=True)
    table = build_table(rows)
    chance = np.array([{"a": 0.9, "b": 0.42, "c": 0.3}[value] for value in table.values])
    assert answers(world, table, chance, several=True)[0].sum() == 0
    assert learned_answers(world, table, chance, seed=0) == pytest.approx(np.ones(40))
    own = table.value_question == table.questions.index("q0")
    chance[own] = np.where(np.array(table.values)[own] == "b", 0.3, 0.42)  # 0.3 would serve it
    learned = learned_answers(world, table, chance, seed=0)
    assert learned[0] == 0
    assert learned[1:] == pytest.approx(np.ones(39))


def write(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


CLAIMS = ["ObjectID", "PropertyID", "PropertyValue", "SourceID"]


def test_a_table_of_values(tmp_path: Path) -> None:
    claims = write(
        tmp_path / "lakes_claims.csv",
        [
            CLAIMS,
            *[["erie", "depth", "64 m", f"s{n}"] for n in range(3)],
            ["erie", "depth", "9", "x"],
        ],
    )
    truth = write(tmp_path / "lakes_truth.csv", [CLAIMS[:3], ["erie", "depth", "64 m"]])
    world = file_world(claims, "claims", None)(0)
    assert (world.name, len(world.probes), world.takes_several) == ("lakes", 4, False)
    assert evaluate(world, "larder").right.tolist() == [1.0]
    assert load_claims(claims, truth).truths == world.truths


def test_a_table_of_lists_is_one_of_several_truths(tmp_path: Path) -> None:
    rows = []
    for book in range(12):
        for seller in range(6):
            named = "Doe, Jane; Roe, Richard" if seller < 3 else "Jane Doe"
            rows.append([f"b{book}", "author", named, f"s{seller}"])
    claims = write(tmp_path / "claims.csv", [CLAIMS, *rows])
    truths = [[f"b{book}", "author", "Jane Doe; Richard Roe"] for book in range(12)]
    truth = write(tmp_path / "truth.csv", [CLAIMS[:3], *truths])
    world = load_claims(claims, truth)
    assert world.takes_several
    assert all(len(answers) == 2 for answers in world.truths.values())
    assert evaluate(world, "larder").right.mean() == 1.0


def test_a_table_of_authors_is_read_whatever_the_style(tmp_path: Path) -> None:
    styles = ["Doe, Jane, Roe, Richard", "Jane Doe and Richard Roe", "J. Doe & R. Roe", "Doe, J."]
    rows = [
        [f"b{book}", "author", styles[seller % 4], f"s{seller}"]
        for book in range(12)
        for seller in range(8)
    ]
    claims = write(tmp_path / "claims.csv", [CLAIMS, *rows])
    truths = [[f"b{book}", "author", "Richard Roe; Jane Doe"] for book in range(12)]
    world = load_claims(claims, write(tmp_path / "truth.csv", [CLAIMS[:3], *truths]))
    assert all(len(answers) == 2 for answers in world.truths.values())
    assert evaluate(world, "larder").right.mean() == 1.0


def test_an_old_catalogue_in_latin_1_with_entities(tmp_path: Path) -> None:
    names = ("Müller, Jürgen; Doe, Jane", "J&uuml;rgen M&#252;ller &amp; Jane Doe", "Müller/Doe")
    lines = [",".join(CLAIMS)]
    lines += [f'b{n},author,"{names[s % 3]}",s{s}' for n in range(12) for s in range(6)]
    claims = tmp_path / "claims.csv"
    claims.write_bytes("\n".join(lines).encode("cp1252"))
    truths = [[f"b{book}", "author", "Jane Doe; Jürgen Müller"] for book in range(12)]
    world = load_claims(claims, write(tmp_path / "truth.csv", [CLAIMS[:3], *truths]))
    assert evaluate(world, "larder").right.mean() == 1.0


def test_places_with_commas_are_no_lists(tmp_path: Path) -> None:
    rows = [[f"o{n}", "capital", "New York City, United States", f"s{n % 3}"] for n in range(9)]
    claims = write(tmp_path / "claims.csv", [CLAIMS, *rows])
    truth = write(tmp_path / "truth.csv", [CLAIMS[:3], *[row[:3] for row in rows]])
    assert not load_claims(claims, truth).takes_several


@pytest.mark.parametrize(
    "rows", [[], [["a", "b"]], [CLAIMS], [[*CLAIMS[:3], "x"], ["o", "p", "v", "s"]]]
)
def test_bad_tables_are_refused(tmp_path: Path, rows: list[list[str]]) -> None:
    claims = write(tmp_path / "claims.csv", rows)
    truth = write(tmp_path / "truth.csv", [CLAIMS[:3], ["o", "p", "v"]])
    with pytest.raises(InvalidValue):
        load_claims(claims, truth)


def test_unknown_names_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="known"):
        check_names("beta,atlantis", WORLDS, "world")
    assert check_names("none", WORLDS, "world") == []
    assert check_names("all", WORLDS, "world") == list(WORLDS)
    with pytest.raises(InvalidValue, match="known"):
        make_world("atlantis", 0)
    with pytest.raises(InvalidValue, match="format"):
        file_world(tmp_path, "squad", None)
    with pytest.raises(InvalidValue):
        load_claims(tmp_path / "none.csv", tmp_path / "none.csv")
    with pytest.raises(InvalidValue, match="--truth"):
        file_world(tmp_path / "table.csv", "claims", None)
    bad = tmp_path / "bad.json"
    bad.write_text("[1]", encoding="utf-8")
    for load in (load_ramdocs, load_poisoned):
        with pytest.raises(InvalidValue):
            load(bad, 0)
        with pytest.raises(InvalidValue):
            load(tmp_path / "none", 0)


def document(kind: str, answer: str, text: str = "") -> dict[str, str]:
    return {"type": kind, "answer": answer, "text": text}


def test_ramdocs_wants_all_right_answers_and_no_wrong_one(tmp_path: Path) -> None:
    lines = []
    for number in range(30):
        documents = [document("correct", "1858", f"Fort ({number}, old)")] * 2
        documents += [document("correct", "1860", f"Fort ({number}, new)")] * 2
        documents += [document("misinfo", "1999"), document("noise", "unknown")]
        lines.append(
            {
                "question": "When?",
                "documents": documents,
                "disambig_entity": [f"Fort ({number}, old)", f"Fort ({number}, new)"],
                "gold_answers": ["1858", "1860"],
                "wrong_answers": ["1999"],
            }
        )
    path = tmp_path / "ramdocs.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    world = load_ramdocs(path, 0)
    assert evaluate(world, "majority").right.sum() == 0
    found = evaluate(world, "larder")
    assert found.right.mean() > 0.2
    assert len(found.learned) == len(found.right)
    unlisted = file_world(path, "ramdocs_unlisted", None)(0)
    assert (unlisted.probes, unlisted.senses) == (world.probes, {})


def test_poisoned_texts_by_accounts_made_together_count_once(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    items = {}
    for number in range(60):
        own = [f"n{number}x{place}" for place in range(6)]
        texts = [
            " ".join([*random.permutation(own)[:5], *(f"w{w}" for w in random.integers(0, 999, 3))])
            for _ in range(5)
        ]
        items[str(number)] = {
            "question": f"q{number}",
            "correct answer": "yes",
            "incorrect answer": "no",
            "adv_texts": texts,
        }
    path = tmp_path / "nq.json"
    path.write_text(json.dumps(items), encoding="utf-8")
    world = load_poisoned(path, 0)
    assert evaluate(world, "larder").right.mean() > 0.95
    assert evaluate(world, "majority").right.mean() < 0.6


def test_attacks_beat_a_plain_vote_and_not_ours() -> None:
    rows = {(r["world"], r["estimator"]): r for r in attack_rows(["none", "many_files"], 1, int)}
    calm, plain = rows["attack_none", "larder"], rows["attack_none", "plain"]
    assert float(str(calm["accuracy"])) >= float(str(plain["accuracy"])) - 0.02
    assert set(ATTACKS) >= {"poison", "sybils", "camouflage", "on_off", "brigade", "framing"}
    for system in ("larder", "served"):
        assert float(str(rows["attack_many_files", system]["success"])) < 0.05
    assert (
        float(str(rows["attack_none", "served"]["accuracy"]))
        >= float(str(plain["accuracy"])) - 0.01
    )


def test_habits_are_seen_as_a_server_sees_questions() -> None:
    """Twelve accounts that copy four in five texts: one question at a time shows those only."""
    scene = honest_scene(np.random.default_rng([0, 12]))
    sybils_copied(scene, 12)
    found = served_answers(scene)
    taken = [found.get(question) == answer for question, answer in scene.false.items()]
    assert np.mean(taken) < 0.05


def test_plots_are_svg(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    stated = random.random(500)
    right = (random.random(500) < stated).astype(float)
    files = write_plots(tmp_path / "plots", "beta", "larder", stated, right)
    assert [file.name for file in files] == [
        "beta_larder_reliability.svg",
        "beta_larder_risk_coverage.svg",
    ]
    assert all(file.read_text(encoding="utf-8").startswith("<svg ") for file in files)


def test_speed_is_printed() -> None:
    row = speed_row(sources=50, observations=500)
    assert row["refit_s"] > row["update_ms"] / 1000 > 0  # type: ignore[operator]


def test_an_order_to_the_reader_states_nothing_but_one_that_says_it_too_does() -> None:
    scene = honest_scene(np.random.default_rng(0))
    injection(scene, 2)
    said = {
        passage.text: row.alignment
        for row, passage in zip(scene.rows, scene.passages, strict=True)
        if passage.text
    }
    assert len(said) == 2 * len(scene.false)
    obeyed = [weight for text, weight in said.items() if text.startswith(("Ignore", "Forget"))]
    assert obeyed
    assert not any(obeyed)
    assert all(weight == 1 for text, weight in said.items() if text.startswith("Disregard"))
