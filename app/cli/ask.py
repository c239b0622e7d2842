"""`larder ask`: one question, the answer as it is written, then what it rests on."""

import asyncio

from rich.text import Text

from app.cli.connect import connect
from app.cli.output import out, print_json, print_note
from app.cli.remote import JsonObject
from app.settings import load_settings


def run_ask(body: JsonObject, *, as_json: bool) -> None:
    asyncio.run(_ask(body, as_json=as_json))


async def _ask(body: JsonObject, *, as_json: bool) -> None:
    console = out()
    seen: dict[str, JsonObject] = {}
    async with connect(load_settings(), print_note) as client:
        async for name, data in client.events(body):
            if name != "message.delta":
                seen[name] = data
            elif not as_json:
                console.print(Text(str(data["text"])), end="")
                console.file.flush()
    if as_json:
        print_json(_report(body, seen))
        return
    console.print("\n")
    _print_citations(seen["message.completed"])
    _print_reuse(seen["message.completed"])


def _report(body: JsonObject, seen: dict[str, JsonObject]) -> JsonObject:
    completed = seen["message.completed"]
    return {
        "question": body["question"],
        "collection": seen["run.started"]["collection"],
        "model": seen["run.started"]["model"],
        **completed,
        "plan": seen.get("cache.plan"),
    }


def _print_citations(completed: JsonObject) -> None:
    """One line a passage, in the order the answer first used them."""
    citations = completed["citations"]
    assert isinstance(citations, list)
    console = out()
    first_of: dict[int, JsonObject] = {}
    for citation in citations:
        first_of.setdefault(citation["number"], citation)
    for number, citation in first_of.items():
        page = f", page {citation['page']}" if citation["page"] is not None else ""
        console.print(
            Text.assemble(
                (f"[{number}] ", "bold"),
                f"{citation['title']}{page}",
                (f"  ({citation['source']}, reliability {citation['reliability']:.2f})", "dim"),
            )
        )
        console.print(Text(f"    “{citation['quote']}”", style="italic"))


def _print_reuse(completed: JsonObject) -> None:
    tokens, timings = completed["tokens"], completed["timings_ms"]
    assert isinstance(tokens, dict)
    assert isinstance(timings, dict)
    if not tokens["prompt"]:
        return
    print_note(
        f"{tokens['exact_prefix'] + tokens['reused']:,} of {tokens['prompt']:,} prompt tokens came "
        f"from the store ({tokens['exact_prefix']:,} exact, {tokens['reused']:,} reused), "
        f"{tokens['recomputed'] + tokens['fresh']:,} were computed; prefill "
        f"{timings['prefill']:,.0f} ms, about {completed['full_prefill_ms_estimate']:,.0f} ms "
        f"without reuse; first word after {timings['ttft']:,.0f} ms"
    )
