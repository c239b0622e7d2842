"""Work that answers leave behind, done one piece at a time while no question waits."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 0.5  # while questions are being answered

Item = TypeVar("Item")


class HasQuestions(Protocol):
    """`DecoderService`."""

    @property
    def is_idle(self) -> bool: ...


class IdleQueue(ABC, Generic[Item]):
    """Start it on the event loop that serves. Of more than `most` pieces the last are forgotten."""

    def __init__(self, name: str, most: int, questions: HasQuestions) -> None:
        self._name = name
        self._questions = questions
        self._due: asyncio.Queue[Item] = asyncio.Queue(most)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def work(self, item: Item) -> None: ...

    @abstractmethod
    def failure(self, item: Item) -> str:
        """What the log says where that raised."""

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def wait_idle(self) -> None:
        """Until everything that is due has been looked at."""
        await self._due.join()

    def add(self, items: Sequence[Item]) -> None:
        """From any thread."""
        if items and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._enqueue, items)

    def _enqueue(self, items: Sequence[Item]) -> None:
        for item in items:
            if not self._due.full():
                self._due.put_nowait(item)

    async def _run(self) -> None:
        while True:
            item = await self._due.get()
            try:
                while not self._questions.is_idle:
                    await asyncio.sleep(LOOK_AGAIN_S)
                await self.work(item)
            except Exception:
                log.exception("%s", self.failure(item))
            finally:
                self._due.task_done()
