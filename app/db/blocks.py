"""Blocks of a document as the database keeps them: one row a document, five numbers a block.

A row a block would be tens of thousands of them for a large document; nobody asks for one alone.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import models
from retrieval.types import Block, BlockKind

KINDS: tuple[BlockKind, ...] = get_args(BlockKind)  # their places are stored: only add at the end
_NO_PAGE = 0

PageStarts = tuple[tuple[int, int], ...]  # (where in the text, the page that begins there)


def pack(blocks: Sequence[Block]) -> bytes:
    """Little-endian int32 [n, 5]: kind, start, end, level, page."""
    rows = [
        (KINDS.index(block.kind), block.start, block.end, block.level, block.page or _NO_PAGE)
        for block in blocks
    ]
    return np.asarray(rows, dtype="<i4").tobytes()


def unpack(packed: bytes) -> list[Block]:
    rows = np.frombuffer(packed, dtype="<i4").reshape(-1, 5).tolist()
    return [
        Block(KINDS[kind], start, end, level, page or None)
        for kind, start, end, level, page in rows
    ]


async def find_page_starts(
    session: AsyncSession, spans: Iterable[tuple[int, int, int]]
) -> dict[tuple[int, int, int], PageStarts]:
    """Pages that begin within each (document id, start, end), after its first."""
    wanted = list(spans)
    row = models.DocumentBlocks
    statement = select(row.document_id, row.blocks).where(
        row.document_id.in_({document_id for document_id, _, _ in wanted})
    )
    blocks = {
        found.document_id: np.frombuffer(found.blocks, dtype="<i4").reshape(-1, 5)
        for found in await session.execute(statement)
    }
    return {span: _within(blocks[span[0]], *span[1:]) for span in wanted if span[0] in blocks}


def _within(rows: NDArray[np.int32], start: int, end: int) -> PageStarts:
    inside = rows[(rows[:, 2] > start) & (rows[:, 1] < end)]
    turns = [(int(now[1]), int(now[4])) for before, now in pairwise(inside) if now[4] != before[4]]
    return tuple(turns)
