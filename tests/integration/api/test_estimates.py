"""Estimates over HTTP: started, watched, cancelled; the decoder reads one source at a time."""

import httpx2
import pytest

from app.bootstrap import Container
from tests.fakes.decoder import FakeDecoder

pytestmark = pytest.mark.anyio

ESTIMATE = "/api/v1/sources/estimate"
QUESTION = "When does the pool in Kiln Lane open on weekdays?"


async def test_each_source_is_read_alone(
    client: httpx2.AsyncClient, town: int, container: Container, decoder: FakeDecoder
) -> None:
    decoder.script = "At 7:00 on weekdays."
    questions = [{"question": QUESTION, "answer": "7:00 on weekdays", "topic": "hours"}]
    reply = await client.post(ESTIMATE, json={"collection": "town", "questions": questions})
    assert reply.status_code == 202, reply.text
    assert (reply.json()["state"], reply.json()["total"]) == ("running", 1)
    await container.estimation.worker.wait_idle()
    row = (await client.get(f"{ESTIMATE}/{reply.json()['id']}")).json()
    assert (row["state"], row["collection"], row["version"]) == ("done", "town", 1)
    assert (row["done"], row["answers"], row["silent"]) == (1, 1, 1)
    assert len(decoder.requests[0].passages) == 1
    assert decoder.requests[0].question.startswith(QUESTION)
    assert decoder.requests[0].reuse.mode == "auto"
    sources = {i["name"]: i for i in (await client.get("/api/v1/sources")).json()["items"]}
    path = f"/api/v1/sources/{sources['council']['id']}"
    (listed,) = (await client.get(f"{path}/observations")).json()["items"]
    assert (listed["answer"], listed["topic"]) == ("7:00 on weekdays", "hours")
    assert listed["note"] == "7:00 on weekdays"
    assert listed["weight"] >= 0.5
    assert sources["council"]["reliability"] > 0.5
    # Nothing is known of it, so it is held to be what the others are: a little above even.
    assert 0.5 < sources["gazette"]["reliability"] < 0.52
    assert [i["id"] for i in (await client.get(ESTIMATE)).json()["items"]] == [row["id"]]


async def test_what_no_passage_states_is_no_answer(
    client: httpx2.AsyncClient, town: int, container: Container, decoder: FakeDecoder
) -> None:
    decoder.script = "Zebras live there."
    await client.post(ESTIMATE, json={"collection": "town", "questions": [{"question": QUESTION}]})
    await container.estimation.worker.wait_idle()
    (row,) = (await client.get(ESTIMATE)).json()["items"]
    assert (row["answers"], row["silent"]) == (0, 2)


async def test_questions_can_come_from_documents_and_an_estimate_be_cancelled(
    client: httpx2.AsyncClient, town: int, container: Container, decoder: FakeDecoder
) -> None:
    decoder.pause = 30
    reply = await client.post(ESTIMATE, json={"collection": str(town), "from": "documents"})
    estimate = reply.json()
    assert estimate["total"] == 2
    again = await client.post(ESTIMATE, json={"collection": "town", "from": "documents"})
    assert (again.status_code, again.json()["code"]) == (409, "estimate_running")
    reply = await client.post(f"{ESTIMATE}/{estimate['id']}/cancel")
    assert (reply.json()["state"], reply.json()["failed"]) == ("cancelled", 2)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"collection": "town", "limit": 0}, 422),
        ({"collection": "town", "from": "stars"}, 422),
        ({"collection": "town", "from": "runs"}, 422),
        ({"collection": "town", "estimator": "oracle"}, 422),
        ({"collection": "town", "questions": [{"question": ""}]}, 422),
        ({"collection": "nowhere"}, 404),
    ],
)
async def test_mistakes_are_problems(
    client: httpx2.AsyncClient, town: int, body: dict[str, object], status: int
) -> None:
    reply = await client.post(ESTIMATE, json=body)
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert (await client.get(f"{ESTIMATE}/9")).status_code == 404
    assert (await client.post(f"{ESTIMATE}/9/cancel")).status_code == 404
