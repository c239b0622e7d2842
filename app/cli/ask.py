"""`larder ask`: one question, the answer as it is written, then what it rests on."""

import asyncio

from rich.text import Text

from app.cli.connect import connect
from app.cli.existing import load_existing
from app.cli.output import out, print_json, print_note
from app.cli.remote import Client, JsonObject

VERDICTS = {
    "abstain": "No passage states an answer",
    "answer": "Supported",
    "several": "Several answers hold",
    "disagree": "Sources disagree",
    "low_support": "Low support",
}


def run_ask(body: JsonObject, *, as_json: bool) -> None:
    asyncio.run(_ask(body, as_json=as_json))


async def _ask(body: JsonObject, *, as_json: bool) -> None:
    console = out()
    seen: dict[str, JsonObject] = {}
    async with connect(load_existing(), print_note) as client:
        async for name, data in client.events(body):
            if name != "message.delta":
                seen[name] = data
            elif not as_json:
                console.print(Text(str(data["text"])), end="")
                console.file.flush()
        if as_json:
            print_json(await _report(client, body, seen))
            return
    console.print("\n")
    _print_verdict(seen.get("verdict"))
    _print_citations(seen["message.completed"])
    _print_reuse(seen["message.completed"])


async def _report(client: Client, body: JsonObject, seen: dict[str, JsonObject]) -> JsonObject:
    completed = seen["message.completed"]
    explanation = None
    if "verdict" in seen:
        explanation = await client.get(f"/api/v1/runs/{completed['run_id']}/explanation")
    return {
        "question": body["question"],
        "collection": seen["run.started"]["collection"],
        "model": seen["run.started"]["model"],
        **completed,
        "plan": seen.get("cache.plan"),
        "trust": seen["run.started"]["trust"],
        "verdict": seen.get("verdict"),
        "explanation": explanation,
    }


def _print_verdict(verdict: JsonObject | None) -> None:
    """One line: how sure, and how many pieces of evidence stand behind it."""
    if verdict is None:
        return
    answers, others = verdict["answers"], verdict["others"]
    assert isinstance(answers, list)
    assert isinstance(others, list)
    words = _headline(str(verdict["kind"]), str(verdict["trust"]), answers)
    if isinstance(chance := verdict["probability"], float | int):
        words += f" ({chance:.0%}, {_basis(verdict['calibration'])})"
    for answer in answers if len(answers) > 1 else []:
        words += f"; “{answer['answer']}” {answer['probability']:.0%}"
    behind = sum(answer["families"] for answer in answers)
    against = sum(answer["families"] for answer in others)
    print_note(f"{words}. Pieces of evidence: {behind} for it, {against} for something else.")


def _headline(kind: str, trust: str, answers: list[JsonObject]) -> str:
    """A written answer stands though nothing states it, and a fair chance is not called low."""
    if kind == "abstain" and trust != "vote":
        return "No passage states this"
    if kind == "low_support" and answers[0]["wording"] == "thin":
        return "One piece of evidence only"
    return VERDICTS[kind]


def _basis(calibration: object) -> str:
    """What the chance rests on."""
    if not isinstance(calibration, dict):
        return "not calibrated"
    if calibration["origin"] == "worlds":
        return "calibrated on generated worlds only"
    return f"calibrated on {calibration['answers']} judged answers"


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
