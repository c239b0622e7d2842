"""A claim of a world as an answer hears it: a passage that says it."""

from app.answer.verdict import Heard
from app.db.rows import PassageRow, SourceRow
from reliability.observations import Observation


def heard_claim(
    row: Observation, source: SourceRow, *, answer: str, text: str, first_day: float | None = None
) -> Heard:
    """`text` is the passage, `first_day` when its source was first seen."""
    passage = PassageRow(
        chunk_id=row.observation_id,
        document_id=row.observation_id,
        collection_id=1,
        source_id=source.id,
        source=source.name,
        reliability=source.reliability,
        title="",
        label="",
        text=text,
        start=0,
        end=0,
        page=None,
        token_ids=(),
        strength=source.alpha + source.beta,
        is_new=source.is_new,
        first_day=first_day,
    )
    return Heard(passage, answer, answer, row.alignment)
