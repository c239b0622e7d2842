import pytest

from app.answer.figures import agree, contradict, figures, has_all, named_in


@pytest.mark.parametrize(
    ("passage", "claim", "stated", "agrees", "contradicts"),
    [
        ("opened in 1871", "opened in 1871", True, True, False),
        ("opened in 1871", "opened in 1872", False, False, True),
        ("opened on 12 September 1871", "opened in 1871", True, True, False),
        ("opened on 12 September 1871", "opened in September 1871", True, True, False),
        ("opened in 1871", "opened on 12 September 1871", False, True, False),
        ("opened on 3 May 1871", "opened on 12 September 1871", False, False, True),
        ("opened on May 3, 1872", "opened in 1871", False, False, True),
        ("it is 148.2 metres long", "it is 148 metres long", True, True, False),
        ("it is 152 metres long", "it is 148 metres long", False, False, True),
        ("opened in 1870", "opened in 1871", False, False, True),
        ("gate 4 was built in 1633", "gate 5 was built in 1633", False, False, False),
        ("in 2024 had 12,910", "in 2021 had 12,480", False, False, False),
        ("cost 1,250,000 euros", "cost 1250000 euros [1]", True, True, False),
    ],
)
def test_figures_of_a_passage_and_a_claim(
    passage: str, claim: str, *, stated: bool, agrees: bool, contradicts: bool
) -> None:
    present, wanted = figures(passage), figures(claim)
    assert has_all(present, wanted) == stated
    assert agree(present, wanted) == agrees
    assert contradict(present, wanted) == contradicts


def test_numbers_of_a_question_say_what_is_asked_about() -> None:
    assert named_in("What is the seal number of record 17?") == {"17"}
    assert named_in("Did it open in 1871?") == frozenset()
    other, wanted = figures("record 13 has seal 40"), figures("seal 41 for record 17")
    assert not contradict(other, wanted, {"17"})
