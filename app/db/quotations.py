"""Which labels quote a document that goes: words that a person typed and that it alone holds."""

import re
from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import Chunk
from app.db.reliability_models import Observation

RUN_WORDS = 5  # so many words in a row are a quotation, wherever they are typed
_WORD = re.compile(r"\w+")


async def quoting_labels(session: AsyncSession, document_id: int) -> list[int]:
    """Ids of labels whose answer stands in the document, or whose question or note has five words
    in a row from it; not where every such passage stands in another document too."""
    mine = Chunk.document_id == document_id
    texts = await session.scalars(select(Chunk.text).where(mine).order_by(Chunk.ordinal))
    held = _padded(" ".join(texts))
    label = Observation
    statement = select(label.id, label.question, label.answer, label.note)
    found = []
    for row in (await session.execute(statement.where(label.kind == "label"))).all():
        quoted = [run for run in _runs(row.answer, (row.question, row.note)) if run in held]
        if await _stands_here_alone(session, quoted, document_id):
            found.append(row.id)
    return found


def _runs(answer: str | None, others: Iterable[str]) -> Iterator[str]:
    """What may be a quotation, padded; an answer is one however short it is."""
    words = _WORD.findall((answer or "").casefold())
    if 0 < len(words) < RUN_WORDS:
        yield _spaced(words)
    for text in (answer or "", *others):
        words = _WORD.findall(text.casefold())
        for start in range(len(words) - RUN_WORDS + 1):
            yield _spaced(words[start : start + RUN_WORDS])


async def _stands_here_alone(session: AsyncSession, runs: Sequence[str], document_id: int) -> bool:
    """Whether some of `runs` is in no other document that is left."""
    for run in dict.fromkeys(runs):
        # SQLite lowers ASCII alone: "É" in another document is missed, and the label goes.
        holds_words = [
            func.lower(Chunk.text).contains(word, autoescape=True) for word in run.split()
        ]
        statement = select(Chunk.text).where(Chunk.document_id != document_id, *holds_words)
        if not any(run in _padded(text) for text in await session.scalars(statement)):
            return True
    return False


def _padded(text: str) -> str:
    return _spaced(_WORD.findall(text.casefold()))


def _spaced(words: Sequence[str]) -> str:
    return f" {' '.join(words)} "
