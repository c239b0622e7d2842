"""L1: nearly the same words, by shingles of five words; MinHash proposes, Jaccard confirms."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import combinations

import numpy as np
import numpy.typing as npt

from reliability.families.exact import normal_text
from reliability.families.types import Join, Passage

SHINGLE_WORDS = 5
PERMUTATIONS = 128
BANDS = 32  # of 4 rows: finds pairs from a Jaccard of about 0.4 upwards
MIN_JACCARD = 0.6
MIN_CONTAINMENT = 0.8  # of the shorter one in the longer one
ALL_PAIRS_UP_TO = 64  # fewer passages are compared without MinHash
PRIME = (1 << 31) - 1  # products of two residues fit 64 bits

Shingles = frozenset[int]


def shingles(text: str) -> Shingles:
    """Hashes of all runs of five words; a shorter text is one shingle."""
    words = normal_text(text).split()
    if not words:
        return frozenset()
    last = max(1, len(words) - SHINGLE_WORDS + 1)
    runs = (" ".join(words[i : i + SHINGLE_WORDS]) for i in range(last))
    return frozenset(
        int.from_bytes(blake2b(run.encode(), digest_size=4).digest(), "big") for run in runs
    )


def jaccard(one: Shingles, other: Shingles) -> float:
    return len(one & other) / max(1, len(one | other))


def containment(one: Shingles, other: Shingles) -> float:
    """Share of the smaller set that the greater one holds."""
    return len(one & other) / max(1, min(len(one), len(other)))


def signatures(sets: Sequence[Shingles], seed: int = 1) -> npt.NDArray[np.uint64]:
    """MinHash [sets, 128]: two equal entries with the chance of their Jaccard."""
    random = np.random.default_rng(seed)
    a = random.integers(1, PRIME, PERMUTATIONS, dtype=np.uint64)
    b = random.integers(0, PRIME, PERMUTATIONS, dtype=np.uint64)
    rows = np.zeros((len(sets), PERMUTATIONS), dtype=np.uint64)
    for row, shingle_set in enumerate(sets):
        hashes = np.fromiter(shingle_set, dtype=np.uint64, count=len(shingle_set)) % PRIME
        rows[row] = ((hashes[:, None] * a + b) % PRIME).min(axis=0)
    return rows


def candidates(sets: Sequence[Shingles]) -> Iterator[tuple[int, int]]:
    """Pairs of places worth comparing: all of few, those that share a band of many."""
    used = [place for place, shingle_set in enumerate(sets) if shingle_set]
    if len(used) <= ALL_PAIRS_UP_TO:
        yield from combinations(used, 2)
        return
    signed = signatures([sets[place] for place in used])
    seen: set[tuple[int, int]] = set()
    for band in np.split(signed, BANDS, axis=1):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for row, place in zip(band, used, strict=True):
            buckets[row.tobytes()].append(place)
        for bucket in buckets.values():
            seen.update(combinations(bucket, 2))
    yield from sorted(seen)


def lexical_joins(passages: Sequence[Passage]) -> list[Join]:
    sets = [shingles(passage.text) for passage in passages]
    joins = []
    for i, j in candidates(sets):
        alike, held = jaccard(sets[i], sets[j]), containment(sets[i], sets[j])
        if alike >= MIN_JACCARD or held >= MIN_CONTAINMENT:
            why = f"{max(alike, held):.0%} of the wording is the same"
            joins.append(Join(passages[i].passage_id, passages[j].passage_id, "L1", why))
    return joins
