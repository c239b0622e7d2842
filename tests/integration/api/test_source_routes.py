"""What is done about sources over HTTP."""

import httpx2
import pytest

from app.bootstrap import Container

pytestmark = pytest.mark.anyio

SOURCES = "/api/v1/sources"
QUESTION = "When does the pool open, and what does a ticket cost?"


async def ask(client: httpx2.AsyncClient) -> str:
    """A finished run; its id."""
    asked = {"question": QUESTION, "collection": "town"}
    assert (await client.post("/api/v1/runs", json=asked)).status_code == 200
    return (await client.get("/api/v1/runs")).json()["items"][0]["run_id"]


async def ids(client: httpx2.AsyncClient) -> dict[str, int]:
    return {item["name"]: item["id"] for item in (await client.get(SOURCES)).json()["items"]}


async def test_a_label_moves_a_source_and_can_be_undone(
    client: httpx2.AsyncClient, town: int
) -> None:
    council = (await ids(client))["council"]
    path = f"{SOURCES}/{council}"
    label = {"question": "When?", "answer": "7:00", "verdict": 1, "by": "mara", "note": "was there"}
    reply = await client.post(f"{path}/labels", json=label)
    assert reply.status_code == 201
    change = reply.json()
    assert change["version"] == 1
    assert change["after"] > change["before"] == 0.5
    explained = (await client.get(path)).json()
    assert explained["reliability"] == change["after"]
    assert explained["low"] < explained["reliability"] < explained["high"]
    assert explained["counts"]["labels"] == explained["counts"]["checked_by_people"] == 1
    (listed,) = (await client.get(f"{path}/observations")).json()["items"]
    assert (listed["kind"], listed["by"], listed["note"]) == ("label", "mara", "was there")
    undo = {"observations": [listed["id"]], "by": "ole", "note": "it was 8:00"}
    reply = await client.post(f"{SOURCES}/undo", json=undo)
    assert reply.json()["observations"] == 1
    assert (await client.get(path)).json()["reliability"] == pytest.approx(0.5)
    page = (await client.get(f"{path}/observations")).json()
    assert page["items"][0]["undone_by"] > listed["id"]
    versions = (await client.get(f"{SOURCES}/versions")).json()["items"]
    assert [item["version"] for item in versions] == [2, 1]
    rebuilt = (await client.get(f"{SOURCES}/versions/1")).json()
    assert rebuilt["is_same"]
    assert rebuilt["largest_difference"] == 0
    reply = await client.post(f"{SOURCES}/undo", json={"version": 1})
    assert reply.json()["observations"] == 1
    assert (await client.get(path)).json()["reliability"] == pytest.approx(change["after"])


async def test_a_quarantined_source_is_in_no_answer(client: httpx2.AsyncClient, town: int) -> None:
    council = (await ids(client))["council"]
    path = f"{SOURCES}/{council}"
    reply = await client.patch(path, json={"state": "quarantined", "note": "sold", "by": "mara"})
    assert reply.json()["state"] == "quarantined"
    run = (await client.get(f"/api/v1/runs/{await ask(client)}")).json()
    assert {item["source"] for item in run["passages"]} <= {"gazette"}
    assert (await client.patch(path, json={"state": "active"})).json()["state"] == "active"
    run = (await client.get(f"/api/v1/runs/{await ask(client)}")).json()
    assert run["passages"][0]["source"] == "council"
    events = (await client.get(path)).json()["events"]
    assert [event["action"] for event in events] == ["released", "quarantined"]


async def test_a_question_that_sources_answer_differently_is_worth_a_label(
    client: httpx2.AsyncClient, town: int
) -> None:
    known = await ids(client)
    for name, answer in (("council", "7:00"), ("gazette", "8:00")):
        label = {"question": "When?", "answer": answer, "verdict": 0.5, "by": "mara"}
        path = f"{SOURCES}/{known[name]}/labels"
        assert (await client.post(path, json=label)).status_code == 201
    found = (await client.get(f"{SOURCES}/review?limit=5")).json()
    assert set(found) == {"questions", "turned", "suspected_copies"}
    (asked,) = found["questions"]
    assert asked["question"] == "When?"
    assert {item["answer"] for item in asked["answers"]} == {"7:00", "8:00"}


async def test_names_classes_and_merges(client: httpx2.AsyncClient, town: int) -> None:
    known = await ids(client)
    path = f"{SOURCES}/{known['council']}"
    reply = await client.patch(path, json={"name": "Town council", "class": "official"})
    assert (reply.json()["name"], reply.json()["class"]) == ("Town council", "official")
    assert reply.json()["reliability"] == pytest.approx(0.8)
    reply = await client.patch(path, json={"name": "gazette"})
    assert (reply.status_code, reply.json()["code"]) == (409, "source_exists")
    reply = await client.patch(path, json={"merged_into": known["gazette"]})
    assert reply.json()["merged_into"] == known["gazette"]
    explained = (await client.get(path)).json()
    assert (explained["name"], explained["merged"]) == ("gazette", ["Town council"])
    assert (await client.patch(path, json={"merged_into": 0})).json()["merged_into"] is None
    assert (await client.get(path)).json()["aliases"] == ["council"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/1/labels", {"question": "q", "answer": "a", "verdict": 2}, 422),
        ("/1/labels", {"question": "q", "answer": "a", "verdict": "NaN"}, 422),
        ("/1/labels", {"question": " ", "answer": "a", "verdict": 1}, 422),
        ("/1/labels", {"question": "q", "answer": "a" * 4001, "verdict": 1}, 422),
        ("/99/labels", {"question": "q", "answer": "a", "verdict": 1}, 404),
        ("/undo", {}, 422),
        ("/undo", {"observations": [7]}, 422),
        ("/undo", {"observations": [1], "author": "x"}, 422),
        ("/undo", {"version": 7}, 404),
        ("/undo", {"source_id": 99}, 404),
    ],
)
async def test_mistakes_are_problems(
    client: httpx2.AsyncClient, town: int, path: str, body: dict[str, object], status: int
) -> None:
    reply = await client.post(f"{SOURCES}{path}", json=body)
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"


async def test_changes_that_make_no_sense_are_refused(
    client: httpx2.AsyncClient, town: int
) -> None:
    path = f"{SOURCES}/1"
    for body in ({}, {"by": "mara"}, {"state": "gone"}, {"class": "royal"}, {"merged_into": 1}):
        reply = await client.patch(path, json=body)
        assert reply.status_code == 422, body
    assert (await client.patch(path, json={"merged_into": 99})).status_code == 404
    for gone in ("/99", "/99/observations", "/versions/9"):
        assert (await client.get(f"{SOURCES}{gone}")).status_code == 404


async def test_feedback_is_a_small_word_about_the_cited_source(
    client: httpx2.AsyncClient, town: int
) -> None:
    run_id = await ask(client)
    before = {i["name"]: i["reliability"] for i in (await client.get(SOURCES)).json()["items"]}
    path = f"/api/v1/runs/{run_id}/feedback"
    reply = await client.post(path, json={"verdict": "good", "by": "reader"})
    assert reply.status_code == 201, reply.text
    assert (reply.json()["observations"], reply.json()["counted"]) == (1, True)
    after = {i["name"]: i["reliability"] for i in (await client.get(SOURCES)).json()["items"]}
    assert 0 < after["council"] - before["council"] < 0.1
    assert after["gazette"] == before["gazette"]
    for body in ({"verdict": "great"}, {}, {"verdict": "bad", "chunk_id": 99}):
        assert (await client.post(path, json=body)).status_code == 422
    reply = await client.post("/api/v1/runs/run_9/feedback", json={"verdict": "bad"})
    assert reply.status_code == 404


async def test_a_deleted_document_takes_what_was_said_about_it(
    client: httpx2.AsyncClient, town: int, container: Container
) -> None:
    run_id = await ask(client)
    await client.post(f"/api/v1/runs/{run_id}/feedback", json={"verdict": "good"})
    documents = (await client.get(f"/api/v1/collections/{town}/documents")).json()["items"]
    pool = next(item["id"] for item in documents if item["name"] == "pool.md")
    reply = await client.delete(f"/api/v1/documents/{pool}")
    assert reply.json()["observations"] == 1
    council = (await ids(client))["council"]
    assert (await client.get(f"{SOURCES}/{council}")).json()["reliability"] == pytest.approx(0.5)
    latest = await container.source_tools.versions.latest()
    assert latest is not None
    assert latest.reason == "a document was deleted"
