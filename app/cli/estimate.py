"""`larder sources estimate`: start it, or go on with it, and watch until it is done."""

import asyncio
import json
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from app.cli.connect import connect
from app.cli.existing import load_existing
from app.cli.output import err, print_json, print_note, print_table
from app.cli.remote import Client, JsonObject, items
from app.errors import InvalidValue

POLL_SECONDS = 0.5
PATH = "/api/v1/sources/estimate"
MAX_FILE_BYTES = 10 << 20


def run_estimate(body: JsonObject, questions: Path | None, *, as_json: bool) -> None:
    if questions is not None:
        body = body | {"questions": read_questions(questions)}
    asyncio.run(_run(body, as_json=as_json))


async def _run(body: JsonObject, *, as_json: bool) -> None:
    async with connect(load_existing(), print_note) as client:
        before = await _reliabilities(client)
        row = await _start(client, body)
        row = await _watch(client, row)
        after = await _reliabilities(client)
    if as_json:
        print_json(
            row
            | {
                "sources": [
                    {"name": n, "before": before.get(n), "after": v} for n, v in after.items()
                ]
            }
        )
    else:
        answered = row["answered"]
        assert isinstance(answered, dict)
        print_table(
            ("source", "answered", "before", "after"),
            [(n, answered.get(n, 0), before.get(n), v) for n, v in after.items()],
        )
    if row["state"] != "done":
        raise InvalidValue(f"estimate {row['id']} ended as {row['state']}: {row['error'] or ''}")


async def _start(client: Client, body: JsonObject) -> JsonObject:
    """A new one; or the one of this collection that is running, for instance since a restart."""
    for row in items(await client.get(PATH)):
        if row["state"] == "running" and body["collection"] in {
            row["collection"],
            str(row["collection_id"]),
        }:
            print_note(f"going on with estimate {row['id']}")
            return row
    return await client.post(PATH, body)


async def _watch(client: Client, row: JsonObject) -> JsonObject:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[said]}"),
    )
    with Progress(*columns, console=err()) as bar:
        task = bar.add_task("probes", total=_count(row, "total"), said="")
        while True:
            row = await client.get(f"{PATH}/{row['id']}")
            said = f"{row['answers']:,} answers, {row['silent']:,} times silent"
            done = _count(row, "done") + _count(row, "failed")
            bar.update(task, completed=done, total=_count(row, "total"), said=said)
            if row["state"] != "running":
                return row
            await asyncio.sleep(POLL_SECONDS)


async def _reliabilities(client: Client) -> dict[str, object]:
    found = items(await client.get("/api/v1/sources"))
    return {str(item["name"]): item["reliability"] for item in found}


def read_questions(path: Path) -> list[JsonObject]:
    """One JSON object a line: question and, where known, answer and topic."""
    if not path.is_file():
        raise InvalidValue(f"there is no file {path}")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise InvalidValue(f"{path} is larger than {MAX_FILE_BYTES:,} bytes")
    found: list[JsonObject] = []
    text = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise InvalidValue(f"line {number} of {path.name} is not JSON: {error}") from error
        if not isinstance(value, dict) or not isinstance(value.get("question"), str):
            raise InvalidValue(f'line {number} of {path.name} has no text "question"')
        found.append({k: v for k, v in value.items() if k in ("question", "answer", "topic")})
    if not found:
        raise InvalidValue(f"{path} has no questions")
    return found


def _count(row: JsonObject, name: str) -> int:
    value = row[name]
    return value if isinstance(value, int) else 0
