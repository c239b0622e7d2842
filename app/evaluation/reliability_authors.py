"""The worlds `authors` and `catalogue`: sellers list authors of books in styles of their own.

Errors are omissions, as in catalogues of real shops; names are reordered, shortened and misspelt,
and go through the reader of tables as a file's would.
"""

import re

import numpy as np

from app.evaluation.reliability_tables import Claim, world_of
from app.evaluation.reliability_world import World

Random = np.random.Generator

SELLERS, BOOKS = 300, 150
POOL = 9  # names that could stand on a book: up to four true ones and three that get invented
MISSPELT = 0.02
FIRST = (
    *("Anna", "Boris", "Carla", "Dmitri", "Elena", "Frank", "Greta", "Hassan", "Ines", "Jonas"),
    *("Katrin", "Louis", "Marta", "Nils", "Olga", "Pedro", "Rosa", "Stefan", "Tamara", "Viktor"),
)
LAST = (
    *("Abbott", "Becker", "Castillo", "Dietrich", "Eriksen", "Fontaine", "Grimaldi", "Hoffmann"),
    *("Ibarra", "Jovanovic", "Kowalski", "Lindqvist", "Moreau", "Nakamura", "Okafor", "Petrov"),
    *("Quintana", "Rasmussen", "Silvestri", "Thompson", "Ulrich", "Vasquez", "Wagner", "Yamada"),
)
Name = tuple[str, str, str]  # first, middle initial, family


def make_authors(seed: int, *, soiled: float = 0.0) -> World:
    """Half of the sellers' lists are whole; of the others most stop at the first author.

    So large a share of the lists is `soiled`: a publisher in the field, nothing but "N/A", "et
    al.", or names without anything between them. Everything is asked of what was learned, since
    each book is listed by about ten sellers only.
    """
    random = np.random.default_rng([seed, *b"authors"])
    activity = np.minimum(0.5, random.pareto(1.2, SELLERS) * 0.012 + 0.002)
    whole, invents = random.beta(1, 1, SELLERS), random.beta(1, 9, SELLERS)
    styles = random.integers(0, len(STYLES), SELLERS)
    claims: list[Claim] = []
    truths: list[Claim] = []
    for number in range(BOOKS):
        book = f"book{number}\x1fauthors"
        names = _names(random)
        true = names[: int(random.choice(4, p=(0.4, 0.3, 0.2, 0.1))) + 1]
        truths.append(Claim(book, _written(random, true, 0, misspelt=0.0), ""))
        for seller in np.flatnonzero(random.random(SELLERS) < activity).tolist():
            named = true if random.random() < whole[seller] else _in_part(random, true)
            if random.random() < invents[seller]:
                false = names[4 + int(random.integers(3))]
                named = [*named[: int(random.integers(len(named) + 1))], false]
            text = _written(random, named, int(styles[seller]), misspelt=MISSPELT)
            text = _soiled(random, text) if random.random() < soiled else text
            claims.append(Claim(book, text, f"s{seller}"))
    return world_of("catalogue" if soiled else "authors", claims, truths)


def _names(random: Random) -> list[Name]:
    """People of one book have family names of their own."""
    last = random.permutation(len(LAST))[:POOL]
    return [
        (FIRST[random.integers(len(FIRST))], "ABCDEFGHJKLM"[random.integers(12)], LAST[place])
        for place in last.tolist()
    ]


def _in_part(random: Random, authors: list[Name]) -> list[Name]:
    if random.random() < 0.7:
        return authors[:1]
    return [name for name in authors if random.random() < 0.6] or authors[:1]


def _written(random: Random, names: list[Name], style: int, *, misspelt: float) -> str:
    """The list in a seller's style, in an order of the seller's where that is not the first."""
    ordered = [names[i] for i in random.permutation(len(names))] if style else names
    form, separator = STYLES[style]
    spelt = [_misspelt(random, name) if random.random() < misspelt else name for name in ordered]
    written = [
        form.format(first=first, f=first[0], m=middle, last=last) for first, middle, last in spelt
    ]
    return separator.join(written)


def _soiled(random: Random, text: str) -> str:
    kind = SOILED[random.integers(len(SOILED))]
    in_a_row = re.sub(r"; |, | and | & |\|", " ", text)
    return kind.format(text=text, in_a_row=in_a_row)


def _misspelt(random: Random, name: Name) -> Name:
    """Two letters of the family name take each other's place."""
    place = 1 + int(random.integers(len(name[2]) - 2))
    last = list(name[2])
    last[place], last[place + 1] = last[place + 1], last[place]
    return name[0], name[1], "".join(last)


SOILED = (
    *("{text}, et al.", "by {text}", "{text}; Northfield University Press", "{in_a_row}", "N/A"),
    *("{text} (Author), Harbour & Sons", "{text}, 1950-", "Author unknown"),
)
STYLES = (
    ("{last}, {first} {m}.", "; "),
    ("{first} {last}", "; "),
    ("{first} {m}. {last}", ", "),
    ("{f}. {last}", " and "),
    ("{last}, {f}. {m}.", "; "),
    ("{first} {last}", " & "),
    ("{last}, {first}", "|"),
    ("{last}", "; "),
)
