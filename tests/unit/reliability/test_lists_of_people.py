"""Lists of people: split into names, and names that are one person found."""

from itertools import permutations

import pytest

from reliability.names import clean_name, looks_like_people, split_parts, split_people
from reliability.people import cluster_people, part_people


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Doe, Jane; Roe, R.", ["Doe, Jane", "Roe, R"]),
        ("Jane Doe and Richard Roe (Ed.)", ["Jane Doe", "Richard Roe"]),
        ("Smith, John, Doe, Jane A.", ["Smith, John", "Doe, Jane A"]),
        ("J. Doe, R. Roe, and K. Poe", ["J. Doe", "R. Roe", "K. Poe"]),
        ("by Dr. Jane Doe, PhD, Richard Roe, Jr.", ["Jane Doe", "Richard Roe"]),
        ("Garcia Marquez, Gabriel", ["Garcia Marquez, Gabriel"]),
        ("van der Berg, Jan; Rowling, JK", ["van der Berg, Jan", "Rowling, J K"]),
        ("Stevens, W. R./Fenner, Bill|Rudoff", ["Stevens, W. R", "Fenner, Bill", "Rudoff"]),
        ("Doe, Jane, et al.", ["Doe, Jane"]),
        ("[various]; unknown;", []),
        ("N/A", []),
        ("Not Available", []),
        ("no author", []),
        ("Doe, Jane, 1950-", ["Doe, Jane"]),
        ("Jane Doe, 1950-2001; Richard Roe, b. 1960", ["Jane Doe", "Richard Roe"]),
        ("Jane Doe - Richard Roe + K. Poe", ["Jane Doe", "Richard Roe", "K. Poe"]),
        ("Jane Doe; Microsoft Press", ["Jane Doe"]),
        ("John Wiley & Sons; Jane Doe and Richard Roe", ["Jane Doe", "Richard Roe"]),
        ("Cambridge University Press", ["Cambridge University Press"]),
        ("Smith, A.; Smith, B.", ["Smith, A", "Smith, B"]),
        ("", []),
    ],
)  # fmt: skip
def test_lists_in_the_ways_catalogues_write_them(text: str, names: list[str]) -> None:
    assert split_people(text) == names


def test_a_name_in_capitals_has_no_initials_to_part() -> None:
    assert clean_name("WEI LI") == "WEI LI"
    assert clean_name("JK Rowling") == "J K Rowling"


def test_what_is_no_list_of_people() -> None:
    assert split_parts("red; green | blue\nblack") == ["red", "green", "blue", "black"]
    assert looks_like_people(["Doe, Jane; Roe, Richard"])
    assert not looks_like_people(["red; green", "12, 30"])
    assert not looks_like_people([])


def groups(*names: str) -> list[set[str]]:
    found = cluster_people(names)
    return [{n for n in names if found[n] == head} for head in sorted(set(found.values()))]


@pytest.mark.parametrize(
    "names",
    [
        ("Rowling, Joanne K", "J. K. Rowling", "Joanne Rowling", "Rowling", "Rowlnig, Joanne"),
        ("Anna E. Thompson", "Thompson, A. E", "A. Thompson", "Anna Thomson"),
        ("Kenneth P. Birch", "Birch, Ken", "Birch, K"),
        ("William Stone", "Bill Stone"),
        ("Jane Doe", "Jnae Doe"),
    ],
)
def test_spellings_of_one_person(names: tuple[str, ...]) -> None:
    assert groups(*names) == [set(names)]
    assert len({tuple(sorted(cluster_people(order).items())) for order in permutations(names)}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("John Smith", "Jane Smith"),
        ("Anna C. Thompson", "Anna E. Thompson"),
        ("Joanne", "Joanne Rowling"),
        ("Louis Becker", "Louis Moreau"),
        ("J. S.", "Jane Smith"),
        ("Li, Wei", "Lu, Wei"),
    ],
)
def test_people_who_are_two(one: str, other: str) -> None:
    assert len(groups(one, other)) == 2


def test_a_short_name_that_fits_two_stands_alone() -> None:
    found = cluster_people(["John Smith", "Jane Smith", "J. Smith", "Smith"])
    assert found["J. Smith"] == "J. Smith"
    assert found["John Smith"] != found["Jane Smith"]


@pytest.mark.parametrize(
    ("names", "parted"),
    [
        (["Jane Doe", "Richard Roe", "Jane Doe Richard Roe"], ["Jane Doe", "Richard Roe"]),
        (["Doe, Jane", "Roe, Richard", "Doe, Roe"], ["Doe, Jane", "Roe, Richard"]),
        (["Gabriel Garcia Marquez", "Gabriel Garcia"], None),
        (["Roe, Thomas", "Jane Doe", "James Thomas"], None),
    ],
)
def test_names_in_a_row_are_parted_where_others_give_them_in_full(
    names: list[str], parted: list[str] | None
) -> None:
    found = part_people(names)
    assert found == ({} if parted is None else {names[-1]: parted})


def test_an_initial_is_no_article() -> None:
    assert groups("Smith, A", "Smith, B") == [{"Smith, A"}, {"Smith, B"}]
