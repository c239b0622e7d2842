"""The application on a file system of a few MiB of its own that really fills up.

Argument: an empty folder to mount it on. Prints one JSON object: what was acknowledged, whether the
disk was met full, and what there is after room was made.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
from pathlib import Path

from app.bootstrap import Container, open_container
from app.errors import StorageFull
from app.ingest.worker import WorkerConfig
from tests.fakes.app import make_settings
from tests.fakes.job_child import JOB_ID, load_fakes, text_of

SIZE = "16m"
ROOM = 1_500_000  # bytes left when documents begin to come
MOST = 400


def fill(root: Path) -> Path:
    """A file that takes all but `ROOM`; removing it makes room."""
    ballast = root / "ballast"
    with ballast.open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 65_536)
            file.flush()
    with ballast.open("r+b") as file:
        file.truncate(ballast.stat().st_size - ROOM)
    return ballast


async def accept_until_full(container: Container, collection_id: int) -> list[str]:
    taken: list[str] = []
    try:
        for number in range(MOST):
            body = (text_of(number) * 40).encode()
            await container.ingest.accept(collection_id, "s", f"{number}.md", body, None, JOB_ID)
            taken.append(f"{number}.md")
            container.worker.submit()
            await asyncio.sleep(0)
    except StorageFull:
        return taken
    raise AssertionError("the disk never was full")


async def run(root: Path) -> dict[str, object]:
    settings = make_settings(root / "data")
    async with open_container(settings, lambda _: None, load=load_fakes) as container:
        container.worker._config = WorkerConfig(retry_s=0.2)
        collection = await container.collections.create("c")
        ballast = fill(root)
        taken = await accept_until_full(container, collection.id)
        await asyncio.sleep(2)  # the worker goes on as far as it can, and waits
        was_open = await container.jobs.count_open()
        ballast.unlink()
        container.worker.submit()
        await asyncio.wait_for(container.worker.wait_idle(), 200)
        job = await container.jobs.get(JOB_ID)
        rows, _ = await container.documents.list(collection.id, 2 * MOST)
        ready = [row.name for row in rows if row.state == "ready"]
        return {
            "taken": taken,
            "was_open": was_open,
            "names": [row.name for row in rows],
            "ready": ready,
            "job": [job.state, job.failed, job.attempts],
        }


def main() -> None:
    root = Path(sys.argv[1])
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(root)], check=True)
    sys.stdout.write(json.dumps(asyncio.run(run(root))))


if __name__ == "__main__":
    main()
