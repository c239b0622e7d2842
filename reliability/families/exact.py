"""L0: the same text after normalising, the same address, or one upload with the same title."""

import re
from collections.abc import Sequence
from hashlib import sha256

from reliability.families.types import Join, Passage


def normal_text(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def exact_joins(passages: Sequence[Passage]) -> list[Join]:
    first: dict[tuple[str, str], Passage] = {}
    joins = []
    for passage in passages:
        for key, why in _keys(passage):
            earlier = first.setdefault(key, passage)
            if earlier is not passage:
                joins.append(Join(earlier.passage_id, passage.passage_id, "L0", why))
    return joins


def voice_joins(passages: Sequence[Passage]) -> list[Join]:
    """One source that gives one answer in several passages; a passage without an answer stays."""
    first: dict[tuple[int, str], Passage] = {}
    joins = []
    for passage in passages:
        if passage.answer is None:
            continue
        earlier = first.setdefault((passage.source, passage.answer), passage)
        if earlier is not passage:
            joins.append(Join(earlier.passage_id, passage.passage_id, "L0", "the same source"))
    return joins


def _keys(passage: Passage) -> list[tuple[tuple[str, str], str]]:
    keys = []
    text = normal_text(passage.text)
    if text:
        digest = sha256(text.encode()).hexdigest()
        keys.append((("text", digest), "the same words"))
    if passage.address:
        keys.append((("address", passage.address), "the same address"))
    if passage.upload_batch and passage.title:
        batch = f"{passage.upload_batch}\x1f{passage.title.casefold()}"
        keys.append((("batch", batch), "one upload, the same title"))
    return keys
