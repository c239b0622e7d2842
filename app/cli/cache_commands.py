"""What `larder cache` does: calls of the HTTP interface, a bar while a job runs, tables."""

import asyncio
from collections.abc import Mapping, Sequence

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from app.cli.cache_words import behind_in_words, told
from app.cli.connect import connect
from app.cli.existing import load_existing
from app.cli.output import err, print_json, print_note, print_table
from app.cli.remote import Client, JsonObject, items
from app.errors import LarderError

POLL_SECONDS = 0.2
PAGE_LEN = 100
OPEN = {"queued", "running"}
BAD = {"damaged", "unreadable"}  # what makes `verify` exit with 1


class JobFailed(LarderError):
    """A job ended in another way than by being done."""


def show_stats(*, as_json: bool) -> None:
    body = asyncio.run(_get("/api/v1/cache"))
    if as_json:
        print_json(body)
        return
    rates = _mapping(body["load_bytes_per_s"])
    counters = _mapping(body["counters"])
    tiers = [_mapping(tier) for tier in _list(body["tiers"])]
    print_table(
        ("tier", "entries", "pinned", "bytes", "budget", "hits", "MB/s"),
        [
            (
                tier["name"],
                tier["entries"],
                tier["pinned"],
                tier["bytes"],
                tier["budget_bytes"],
                counters.get(f"hits_{tier['name']}", 0),
                _megabytes(rates.get(str(tier["name"]))),
            )
            for tier in tiers
        ],
    )
    print_note(
        f"{counters['misses']:,} misses, {counters['corrupt']:,} damaged, "
        f"{counters['evicted']:,} evicted; {_number(counters['saved_ms']) / 1000:,.1f} s saved"
    )


def list_documents(named: Mapping[str, str | int | None], *, as_json: bool) -> None:
    params = {name: value for name, value in named.items() if value is not None}
    body = asyncio.run(_get("/api/v1/cache/entries", **params))
    if as_json:
        print_json(body)
        return
    names = ("document_id", "name", "chunks", "stored", "entries", "bytes", "pinned")
    print_table(names, [tuple(item[name] for name in names) for item in items(body)])


def explain_chunks(named: Mapping[str, int | None], *, as_json: bool) -> None:
    params = {name: value for name, value in named.items() if value is not None}
    found = asyncio.run(_all_chunks(params))
    if as_json:
        print_json({"items": found})
        return
    names = ("chunk", "encoding", "tiers", "tokens", "bytes", "uses", "pinned", "behind", "missing")
    print_table(names, [row for chunk in found for row in _chunk_rows(chunk)])


def run_job(verb: str, body: JsonObject, *, as_json: bool) -> None:
    """Start a job and wait for it. Ctrl-C leaves it undone where it was."""
    result = asyncio.run(_run(verb, body))
    if as_json:
        print_json(result)
        return
    tiers = result.pop("tiers", None)
    print_note(told(result))
    if verb == "pin" and result["without"]:
        print_note("chunks without an entry: `larder cache warm` makes them")
    if tiers:
        names = ("tier", "entries", "num_bytes", "failed")
        print_table(names, [tuple(_mapping(t)[n] for n in names) for t in _list(tiers)])


def run_verify(*, as_json: bool) -> None:
    result = asyncio.run(_run("verify", {}))
    tiers = {name: _mapping(found) for name, found in _mapping(result["tiers"]).items()}
    if as_json:
        print_json(result)
    else:
        print_table(
            ("tier", "outcome", "entries"),
            [(tier, name, n) for tier, found in tiers.items() for name, n in found.items()],
        )
    if any(BAD & found.keys() for found in tiers.values()):
        raise typer.Exit(1)


async def _get(path: str, **params: str | int) -> JsonObject:
    async with connect(load_existing(), print_note) as client:
        return await client.get(path, **params)


async def _all_chunks(params: dict[str, int]) -> list[JsonObject]:
    found: list[JsonObject] = []
    async with connect(load_existing(), print_note) as client:
        while True:
            after = _number(found[-1]["chunk_id"]) if found else 0
            query = params | {"after": after, "limit": PAGE_LEN}
            page = await client.get("/api/v1/cache/explain", **query)
            found.extend(items(page))
            if not page["has_more"]:
                return found


async def _run(verb: str, body: JsonObject) -> dict[str, object]:
    async with connect(load_existing(), print_note) as client:
        job = await client.post(f"/api/v1/cache/{verb}", body)
        try:
            job = await _watch(client, verb, job)
        except asyncio.CancelledError:
            await asyncio.shield(client.post(f"/api/v1/jobs/{job['id']}/cancel", {}))
            raise
    if job["state"] != "succeeded":
        raise JobFailed(str(job["error"] or f"the job was {job['state']}"))
    return _mapping(job["result"])


async def _watch(client: Client, verb: str, job: JsonObject) -> JsonObject:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=err()) as bar:
        task = bar.add_task(verb, total=None)
        is_told = False
        while job["state"] in OPEN:
            await asyncio.sleep(POLL_SECONDS)
            job = await client.get(f"/api/v1/jobs/{job['id']}")
            if not is_told and _mapping(job["result"]).get("complete") is False:
                is_told = True
                print_note("A tier cannot be asked just now; it is tried again until it answers.")
            bar.update(task, completed=_number(job["done"]), total=_number(job["total"]))
    return job


def _chunk_rows(chunk: JsonObject) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for value in _list(chunk["entries"]):
        entry = _mapping(value)
        rows.append(
            (
                str(chunk["chunk_id"]),
                entry["encoding"] if entry["is_current"] else "other model",
                ", ".join(map(str, _list(entry["tiers"]))),
                entry["num_tokens"],
                entry["num_bytes"],
                entry["uses"],
                "yes" if entry["pinned"] else "",
                behind_in_words([str(name) for name in _list(entry["behind"])]),
                "",
            )
        )
    if chunk["missing"] is not None:
        empty = (None, None, chunk["num_tokens"], 0, 0, "", "")
        rows.append((str(chunk["chunk_id"]), *empty, chunk["missing"]))
    return rows


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else []


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _megabytes(value: object) -> float | None:
    return value / 1e6 if isinstance(value, float) else None
