"""Everything that keeps beliefs about sources, over a real SQLite file."""

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.db.observations import append_rows
from app.db.reliability_rows import NewObservation
from app.db.session import Database
from app.sources.beliefs import Beliefs
from app.sources.curator import Curator
from app.sources.estimation import Estimation
from app.sources.explain import Explainer
from app.sources.feedback import Feedback
from app.sources.meanings import Meanings
from app.sources.protocols import SourceReader
from tests.fakes.store import Store, make_store

DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Desk:
    """A curator's desk."""

    store: Store
    now: float = 0.0  # epoch seconds; earlier than what was observed: as of that

    @property
    def beliefs(self) -> Beliefs:
        """A new one each time, as in another process."""
        store = self.store
        return Beliefs(
            store.sources, store.observations, store.versions, store.runs, clock=lambda: self.now
        )

    @property
    def curator(self) -> Curator:
        store = self.store
        return Curator(
            store.sources, store.source_changes, store.observations, store.versions, self.beliefs
        )

    @property
    def explainer(self) -> Explainer:
        store = self.store
        return Explainer(
            store.sources, store.source_changes, store.observations, store.versions, self.beliefs
        )

    @property
    def feedback(self) -> Feedback:
        store = self.store
        return Feedback(store.runs, store.chunks, store.observations, self.beliefs)

    def estimation(self, reader: SourceReader, answers_aim: int = 200) -> Estimation:
        store = self.store
        return Estimation(
            collections=store.collections,
            sources=store.sources,
            chunks=store.chunks,
            runs=store.runs,
            estimates=store.estimates,
            beliefs=self.beliefs,
            meanings=Meanings(store.chunks),
            reader=reader,
            answers_aim=answers_aim,
        )

    async def document(self, source: str, *passages: str) -> int:
        """A document of `source` that can be found; the source's id."""
        row = await self.store.add(f"{source}.txt", passages, source=source)
        await self.store.documents.mark_indexed([row.id])
        return row.source_id

    async def source(self, name: str) -> int:
        return (await self.store.sources.get_or_create(name)).id

    async def reliability(self, source_id: int) -> float:
        return (await self.store.sources.get(source_id)).reliability

    async def figures(self) -> dict[str, tuple[float, float]]:
        return {row.name: (row.alpha, row.beta) for row in await self.store.sources.list()}

    async def ask(
        self, question: str, answers: Mapping[int, str | None], day: float = 0.0, topic: str = ""
    ) -> list[int]:
        """One probe: what each source answered."""
        rows = [
            NewObservation("probe", source, question, answer, topic=topic)
            for source, answer in answers.items()
        ]
        return await self.store.observations.append(rows, observed_at=day * DAY)

    async def ask_many(
        self,
        skills: Mapping[int, float],
        questions: int,
        seed: int = 0,
        topics: Sequence[str] = ("",),
    ) -> None:
        """Probes that each source answers rightly with its own chance."""
        draw = random.Random(seed)
        async with self.store.database.transaction() as session:
            for n in range(questions):
                rows = [
                    NewObservation(
                        "probe",
                        source,
                        f"{seed}: who was number {n}?",
                        "Anna Berg" if draw.random() < skill else f"Otto {draw.choice('KLMNP')}urz",
                        topic=topics[n % len(topics)],
                    )
                    for source, skill in skills.items()
                ]
                await append_rows(session, rows, n / 10 * DAY)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    database = await Database.open(f"sqlite+aiosqlite:///{tmp_path / 'larder.db'}")
    yield Desk(make_store(database, tmp_path / "larder.db"))
    await database.close()
