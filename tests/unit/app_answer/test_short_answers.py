"""What a source's words come to, and which of several things of one name is meant."""

import pytest

from app.answer.short_answers import asks_for_several, core_of, judge, read_answer, senses

QUESTION = "When was the mill built?"


@pytest.mark.parametrize(
    ("said", "core"),
    [
        ("1742", "1742"),
        ("It was built in 1742.", "1742"),
        ("The mill was built in 1742 by monks.", "1742 by monks"),
        ("In 1742, the mill was built.", "1742"),
        ("The mill was built.", "The mill was built"),
    ],
)
def test_the_core_is_what_the_question_does_not_have(said: str, core: str) -> None:
    assert core_of(said, QUESTION) == core


@pytest.mark.parametrize(
    "text", ["", "  \n", "I don't know.", "The passage does not say when it was built.", "Unknown"]
)
def test_no_answer(text: str) -> None:
    assert read_answer(text, QUESTION) is None


def test_only_the_first_sentence_counts_and_a_lead_in_goes() -> None:
    answer = read_answer("Answer: It was built in 1742. Bread was dear then.", QUESTION)
    assert answer is not None
    assert (answer.said, answer.core) == ("It was built in 1742.", "1742")


def test_long_answers_are_cut() -> None:
    answer = read_answer("word " * 500, "Who built the mill?")
    assert answer is not None
    assert len(answer.said) <= 160


def test_one_that_holds_the_other_says_the_same() -> None:
    assert judge("", "Paris", "Paris in France") == "same"
    assert judge("", "Paris", "Rome") == "unsure"
    assert judge("", "", "Rome") == "unsure"


def test_questions_that_ask_for_several() -> None:
    assert asks_for_several("Who were the builders?")
    assert asks_for_several("List the bridges.")
    assert not asks_for_several("Who was the builder?")


def test_senses_are_told_apart_only_where_several_are_meant() -> None:
    question = "What is the population of Broken Bow?"
    titles = ["Broken Bow, Nebraska", "Broken Bow (Oklahoma)", "Harvest report"]
    assert senses(question, titles) == ["Broken Bow, Nebraska", "Broken Bow (Oklahoma)", ""]
    assert senses(question, ["Broken Bow, Nebraska", "Harvest report"]) == ["", ""]
    assert senses("How large is Broken Bow, Nebraska?", titles)[:2] == ["", ""]


@pytest.mark.parametrize(
    ("question", "answer", "fits"),
    [
        ("When did the bridge open?", "The bridge opened at 152 metres.", False),
        ("When did the bridge open?", "It will have its birthday party after all", False),
        ("When did the bridge open?", "after the war", True),
        ("When did the bridge open?", "In 1871.", True),
        ("When did the bridge open?", "On 3 May", True),
        ("When was the hill measured?", "at 1633 metres", False),
        ("When does it open?", "9", True),
        ("When does it open?", "at 9.30", True),
        ("In which century was it built?", "the 12th century", True),
        ("How many people live there?", "those who work at the mill", False),
        ("How many people live there?", "12,910", True),
        ("How many people live there?", "about three hundred", True),
        ("How long is the bridge?", "it is very old", False),
        ("How long is it open?", "until Easter", True),
        ("How much does it cost?", "nothing", True),
        ("Who built it?", "Anna Berg", True),
    ],
)
def test_a_time_or_an_amount_is_wanted_where_one_is_asked(
    question: str, answer: str, *, fits: bool
) -> None:
    assert (read_answer(answer, question) is not None) == fits
