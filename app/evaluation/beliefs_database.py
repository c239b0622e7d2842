"""A throw-away database that holds a world's observations, and the beliefs learned from them."""

import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from app.db.observations import DAY_S, Observations, append_rows
from app.db.reliability_rows import NewObservation
from app.db.reliability_versions import ReliabilityVersions
from app.db.runs import Runs
from app.db.session import Database
from app.db.sources import Sources
from app.sources.beliefs import Beliefs
from reliability.observations import Observation


@dataclass(frozen=True, slots=True)
class BeliefsDatabase:
    database: Database
    sources: Sources
    beliefs: Beliefs

    async def add_sources(self, numbers: Sequence[int]) -> dict[int, int]:
        """Ids of new sources, by the world's numbers."""
        rows = [await self.sources.get_or_create(f"source {number}") for number in numbers]
        return {number: row.id for number, row in zip(numbers, rows, strict=True)}

    async def observe(self, rows: Sequence[Observation], ids: Mapping[int, int]) -> None:
        """Append rows of a world as the product stores them; rows of one time come together."""
        days: dict[float, list[NewObservation]] = defaultdict(list)
        for row in rows:
            days[row.day].append(_stored(row, ids))
        async with self.database.transaction() as session:
            for day in sorted(days):
                await append_rows(session, days[day], day * DAY_S)


def _stored(row: Observation, ids: Mapping[int, int]) -> NewObservation:
    return NewObservation(
        "label" if row.kind == "label" else "probe",
        None if row.source is None else ids[row.source],
        row.question,
        row.answer,
        topic=row.topic,
        verdict=row.verdict,
        author=row.author,
        weight=row.alignment,
        family=row.family,
    )


@asynccontextmanager
async def open_beliefs(url: str | None = None) -> AsyncIterator[BeliefsDatabase]:
    """A new SQLite file, or an empty PostgreSQL database at `url`."""
    with tempfile.TemporaryDirectory(prefix="larder-eval-") as folder:
        file = f"sqlite+aiosqlite:///{Path(folder) / 'larder.db'}"
        database = await Database.open(url or file)
        try:
            sources = Sources(database)
            beliefs = Beliefs(
                sources,
                Observations(database),
                ReliabilityVersions(database),
                Runs(database),
                clock=lambda: 0.0,  # a world's days end with its last observation
            )
            yield BeliefsDatabase(database, sources, beliefs)
        finally:
            await database.close()
