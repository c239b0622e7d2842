"""A process that asks probes and may be killed at any moment: real database and worker.

`asked` grows by a byte with each question that a source is asked; `done` appears at the end.
"""

import asyncio
import os
from pathlib import Path

from app.db.reliability_rows import NewProbe
from app.db.session import Database
from app.sources.beliefs import Beliefs
from app.sources.estimation import Estimation
from app.sources.meanings import Meanings
from app.sources.types import ProbePlan, SourceAnswer
from app.sources.worker import EstimationWorker
from tests.fakes.source_reader import TableReader
from tests.fakes.store import make_store

NUM_PROBES = 40
SOURCES = ("a", "b", "c")


class NotingReader(TableReader):
    def __init__(self, file: Path) -> None:
        super().__init__({1: "Anna", 2: "Anna", 3: "Otto"}, {1: 1, 2: 2, 3: 3})
        self._file = file.open("ab", buffering=0)

    async def answer(
        self, question: str, source_id: int, collection_id: int
    ) -> SourceAnswer | None:
        self._file.write(b".")
        await asyncio.sleep(0.001)
        return await super().answer(question, source_id, collection_id)


def run_child(root: str) -> None:
    os.setpriority(os.PRIO_PROCESS, 0, 10)
    asyncio.run(_run(Path(root)))


async def _run(root: Path) -> None:
    database = await Database.open(f"sqlite+aiosqlite:///{root / 'larder.db'}")
    store = make_store(database, root / "larder.db")
    beliefs = Beliefs(store.sources, store.observations, store.versions, store.runs)
    estimation = Estimation(
        collections=store.collections,
        sources=store.sources,
        chunks=store.chunks,
        runs=store.runs,
        estimates=store.estimates,
        beliefs=beliefs,
        meanings=Meanings(store.chunks),
        reader=NotingReader(root / "asked"),
    )
    await beliefs.start()
    if not await store.estimates.list(1):
        for name in SOURCES:
            if not [row for row in await store.sources.list() if row.name == name]:
                document = await store.add(f"{name}.txt", [name], source=name)
                await store.documents.mark_indexed([document.id])
        probes = tuple(NewProbe(f"q{number}") for number in range(NUM_PROBES))
        await estimation.start(ProbePlan("c", "questions", probes, limit=NUM_PROBES))
    worker = EstimationWorker(estimation, store.estimates, beliefs)
    await worker.start()
    await worker.wait_idle()
    await worker.stop()
    await database.close()
    (root / "done").touch()
