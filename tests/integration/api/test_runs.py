"""Questions over HTTP: the event stream, stored runs, errors before and during a stream."""

import json

import httpx2
import pytest

from app.errors import StorageFull
from tests.fakes.decoder import FakeDecoder
from tests.integration.api.conftest import ANSWER

pytestmark = pytest.mark.anyio

Events = list[tuple[str, dict[str, object]]]
QUESTION = "When does the pool open, and what does a ticket cost?"


async def ask(client: httpx2.AsyncClient, **body: object) -> Events:
    asked = {"question": QUESTION, "collection": "town"} | body
    reply = await client.post("/api/v1/runs", json=asked)
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    return read_events(reply.text)


def read_events(text: str) -> Events:
    events = []
    for number, block in enumerate(text.strip().split("\n\n"), start=1):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        assert fields["id"] == str(number)
        events.append((fields["event"], json.loads(fields["data"])))
    return events


def names(events: Events) -> list[str]:
    return list(dict.fromkeys(name for name, _ in events))


def only(events: Events, name: str) -> dict[str, object]:
    (data,) = [data for found, data in events if found == name]
    return data


async def test_events_come_in_order_with_their_fields(
    client: httpx2.AsyncClient, town: int
) -> None:
    events = await ask(client)
    assert names(events) == [
        "run.started",
        "retrieval.completed",
        "assessment.completed",
        "cache.plan",
        "message.delta",
        "citation.added",
        "verdict",
        "message.completed",
    ]
    started = only(events, "run.started")
    assert started == {
        "run_id": started["run_id"],
        "collection": "town",
        "mode": "auto",
        "model": "Fake-1B",
        "trust": "weighted",
    }
    passage = only(events, "retrieval.completed")["passages"][0]
    assert set(passage) == {
        "rank",
        "chunk_id",
        "document_id",
        "title",
        "label",
        "source",
        "reliability",
        "score",
        "start",
        "end",
        "page",
        "text",
    }
    assessment = only(events, "assessment.completed")
    assert {"source": "council", "reliability": 0.5} in assessment["weights"]
    plan = only(events, "cache.plan")
    assert set(plan) == {
        "mode",
        "policy",
        "ratio",
        "reason",
        "segments",
        "tokens",
        "prefill_ms",
        "full_prefill_ms_estimate",
    }
    kinds = [segment["kind"] for segment in plan["segments"]]
    assert kinds == ["prefix", *["chunk"] * len(assessment["kept"]), "question"]
    chunk = plan["segments"][1]
    assert (chunk["chunk_id"], chunk["title"]) == (assessment["kept"][0], passage["title"])
    text = "".join(str(data["text"]) for name, data in events if name == "message.delta")
    assert text == ANSWER


async def test_completed_repeats_citations_tokens_and_timings(
    client: httpx2.AsyncClient, town: int
) -> None:
    events = await ask(client)
    completed = only(events, "message.completed")
    assert (completed["answer"], completed["finish_reason"]) == (ANSWER, "stop")
    assert completed["citations"] == [data for name, data in events if name == "citation.added"]
    assert len(completed["citations"]) == 2
    tokens = completed["tokens"]
    assert tokens["prompt"] == sum(
        tokens[name] for name in ("exact_prefix", "reused", "recomputed", "fresh")
    )
    assert set(completed["timings_ms"]) == {
        "queue",
        "retrieve",
        "assess",
        "lookup",
        "load",
        "rotate",
        "probe",
        "prefill",
        "ttft",
        "total",
    }
    assert completed["timings_ms"]["total"] >= completed["timings_ms"]["ttft"] > 0


async def test_runs_are_stored(client: httpx2.AsyncClient, town: int) -> None:
    completed = only(await ask(client, mode="exact"), "message.completed")
    (summary,) = (await client.get("/api/v1/runs?limit=5")).json()["items"]
    assert set(summary) == {
        "run_id",
        "created_at",
        "question",
        "collection",
        "mode",
        "trust",
        "tokens",
        "ttft_ms",
        "finish_reason",
    }
    assert (summary["mode"], summary["finish_reason"]) == ("exact", "stop")
    run = (await client.get(f"/api/v1/runs/{completed['run_id']}")).json()
    assert set(run) == {
        "run_id",
        "created_at",
        "question",
        "collection",
        "answer",
        "plan",
        "passages",
        "citations",
        "trust",
        "verdict",
        "reliability_version",
        "tokens",
        "timings_ms",
        "finish_reason",
    }
    for name in ("answer", "citations", "tokens", "timings_ms"):
        assert run[name] == completed[name], name
    assert run["created_at"].endswith("Z")
    assert run["plan"]["mode"] == "exact"
    assert len(run["passages"]) > 0


async def test_what_is_asked_reaches_the_decoder(
    client: httpx2.AsyncClient, town: int, decoder: FakeDecoder
) -> None:
    history = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
    await ask(
        client,
        collection=str(town),
        mode="auto",
        policy="seam",
        ratio=0.25,
        max_tokens=3,
        temperature=0.5,
        history=history,
    )
    (request,) = decoder.requests
    assert (request.reuse.policy, request.reuse.ratio) == ("seam", 0.25)
    assert (request.params.max_tokens, request.params.temperature) == (3, 0.5)
    assert [message.content for message in request.history] == ["Hello", "Hi"]


async def test_a_vote_is_asked_for_and_explained(
    client: httpx2.AsyncClient, town: int, decoder: FakeDecoder
) -> None:
    decoder.script = "At 7:00."
    decoder.votes = {"council": "I don't know."}
    events = await ask(client, trust="vote")
    verdict = only(events, "verdict")
    assert (verdict["trust"], verdict["reliability_version"]) == ("vote", 0)
    assert [vote["source"] for vote in verdict["votes"]] == ["council"]
    run_id = only(events, "message.completed")["run_id"]
    route = f"/api/v1/runs/{run_id}/explanation"
    found = (await client.get(route)).json()
    assert (found["kind"], found["probability"]) == (verdict["kind"], verdict["probability"])
    assert [family["sources"] for family in found["supporting"]] == [["council"]]
    assert [item["without"] for item in found["what_if"]] == ["council"]
    assert found["what_if"][0]["changes"] is True
    without = (await client.get(route, params={"without": "council"})).json()
    assert (without["kind"], without["answers"], without["without"]) == ("abstain", [], ["council"])
    stored = (await client.get(f"/api/v1/runs/{run_id}")).json()
    assert (stored["trust"], stored["verdict"]) == ("vote", verdict)


async def test_what_has_no_explanation_says_so(client: httpx2.AsyncClient, town: int) -> None:
    missing = await client.get("/api/v1/runs/run_0/explanation")
    assert (missing.status_code, missing.json()["code"]) == (404, "run_not_found")
    run_id = only(await ask(client, question="Zebras?"), "message.completed")["run_id"]
    nothing = await client.get(f"/api/v1/runs/{run_id}/explanation")
    assert (nothing.status_code, nothing.json()["code"]) == (404, "verdict_not_found")
    run_id = only(await ask(client), "message.completed")["run_id"]
    stranger = await client.get(f"/api/v1/runs/{run_id}/explanation?without=stranger")
    assert (stranger.status_code, stranger.json()["code"]) == (404, "source_not_found")
    many = "&".join(f"without={n}" for n in range(51))
    assert (await client.get(f"/api/v1/runs/{run_id}/explanation?{many}")).status_code == 422


async def test_an_unknown_trust_is_refused(client: httpx2.AsyncClient, town: int) -> None:
    body = {"question": QUESTION, "collection": "town", "trust": "blind"}
    reply = await client.post("/api/v1/runs", json=body)
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_request")


async def test_openai_clients_may_vote_too(client: httpx2.AsyncClient, town: int) -> None:
    body = {
        "messages": [{"role": "user", "content": QUESTION}],
        "collection": "town",
        "trust": "vote",
    }
    reply = (await client.post("/v1/chat/completions", json=body)).json()
    assert reply["larder"]["verdict"]["trust"] == "vote"
    assert reply["usage"]["prompt_tokens_details"]["cached_tokens"] > 0


async def test_a_cut_answer_says_length(client: httpx2.AsyncClient, town: int) -> None:
    completed = only(await ask(client, max_tokens=2), "message.completed")
    assert completed["finish_reason"] == "length"
    assert completed["tokens"]["generated"] == 2


async def test_no_match_names_the_collection(client: httpx2.AsyncClient, town: int) -> None:
    events = await ask(client, question="Zebras?")
    assert "cache.plan" not in names(events)
    completed = only(events, "message.completed")
    assert completed["finish_reason"] == "no_match"
    assert "“town”" in completed["answer"]
    assert only(events, "message.delta") == {"text": completed["answer"]}


async def test_an_empty_collection_says_so(client: httpx2.AsyncClient) -> None:
    await client.post("/api/v1/collections", json={"name": "bare"})
    completed = only(await ask(client, collection="bare"), "message.completed")
    assert "no documents yet" in completed["answer"]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"collection": "nowhere"}, 404, "collection_not_found"),
        ({"question": "word " * 3000}, 422, "question_too_long"),
        ({"question": "   "}, 422, "invalid_request"),
        ({"mode": "never"}, 422, "invalid_request"),
        ({"ratio": 1.5}, 422, "invalid_request"),
        ({"policy": "magic"}, 422, "invalid_value"),
        ({"max_tokens": 0}, 422, "invalid_request"),
        ({"history": [{"role": "system", "content": "x"}]}, 422, "invalid_request"),
        ({"colour": "red"}, 422, "invalid_request"),
    ],
)
async def test_a_wrong_question_is_an_http_error(
    client: httpx2.AsyncClient, town: int, change: dict[str, object], status: int, code: str
) -> None:
    asked = {"question": QUESTION, "collection": "town"} | change
    reply = await client.post("/api/v1/runs", json=asked)
    assert (reply.status_code, reply.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (StorageFull("the disk is full"), "storage_full", 507),
        (KeyError("secret detail"), "internal_error", 500),
    ],
)
async def test_an_error_during_the_answer_ends_the_stream(
    client: httpx2.AsyncClient,
    town: int,
    decoder: FakeDecoder,
    error: Exception,
    code: str,
    status: int,
) -> None:
    decoder.error = error
    events = await ask(client)
    assert events[-1][0] == "error"
    problem = events[-1][1]
    assert (problem["code"], problem["status"]) == (code, status)
    assert "secret" not in str(problem)
    (summary,) = (await client.get("/api/v1/runs")).json()["items"]
    assert summary["finish_reason"] == "error"


async def test_a_filter_decides_what_is_found(client: httpx2.AsyncClient, town: int) -> None:
    async def sources(**wanted: object) -> set[object]:
        events = await ask(client, filter=wanted)
        passages = only(events, "retrieval.completed")["passages"]
        assert isinstance(passages, list)
        return {passage["source"] for passage in passages}

    assert "council" in await sources()
    assert await sources(sources=["gazette"]) <= {"gazette"}
    assert await sources(sources=["nobody"]) == set()
    assert await sources(tags=["law"]) == set()
    assert await sources(date_from="2000-01-01") == set()
    assert await sources(min_reliability=0.9) == set()
    asked = {"question": QUESTION, "collection": "town"}
    for wrong in (
        {"date_from": "2026-02-01", "date_to": "2026-01-01"},
        {"min_reliability": 2},
        {"acl_classes": ["staff"]},  # a right is not asked for
    ):
        reply = await client.post("/api/v1/runs", json=asked | {"filter": wrong})
        assert reply.status_code == 422, reply.text


async def test_a_full_line_is_an_http_error(
    client: httpx2.AsyncClient, town: int, decoder: FakeDecoder
) -> None:
    decoder.is_full = True
    body = {"question": QUESTION, "collection": "town"}
    reply = await client.post("/api/v1/runs", json=body)
    assert (reply.status_code, reply.json()["code"]) == (503, "server_busy")
    assert int(reply.headers["retry-after"]) > 0
    for is_streamed in (False, True):
        chat = {"messages": [{"role": "user", "content": QUESTION}], "stream": is_streamed}
        reply = await client.post("/v1/chat/completions", json=chat)
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "server_busy")
        assert int(reply.headers["retry-after"]) > 0
    assert (await client.get("/api/v1/runs")).json()["items"] == []
