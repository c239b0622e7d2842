"""Over a real socket: OpenAI's own client, and a reader that leaves in the middle."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import openai
import pytest

from tests.fakes.app import live_server, make_settings, use_fakes
from tests.fakes.decoder import FakeDecoder
from tests.integration.api.conftest import ANSWER, POOL

QUESTION = "When does the pool open, and what does a ticket cost?"


@pytest.fixture
def decoder() -> FakeDecoder:
    return FakeDecoder(ANSWER)


@pytest.fixture
def url(tmp_path: Path, decoder: FakeDecoder, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    use_fakes(monkeypatch, decoder)
    with live_server(make_settings(tmp_path / "data")) as found:
        yield found


@pytest.fixture
def town(url: str) -> str:
    """A collection with one document that can be found; its name."""
    with httpx2.Client(base_url=url) as http:
        made = http.post("/api/v1/collections", json={"name": "town"}).json()
        path = f"/api/v1/collections/{made['id']}/documents"
        http.post(path, files={"file": ("pool.md", POOL.encode())})
        wait_until(lambda: http.get(path).json()["items"][0]["state"] == "ready")
    return "town"


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as opened:
        yield opened


def wait_until(holds: object) -> None:
    assert callable(holds)
    deadline = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in 300 s"
        time.sleep(0.02)


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["Fake-1B"]
    assert client.models.retrieve("Fake-1B").owned_by == "larder"
    with pytest.raises(openai.NotFoundError, match="there is no model 'gpt/5'"):
        client.models.retrieve("gpt/5")


def test_completion(client: openai.OpenAI, town: str) -> None:
    reply = client.chat.completions.create(
        model="any", messages=[{"role": "user", "content": QUESTION}], temperature=0
    )
    assert reply.choices[0].message.content == ANSWER
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert reply.usage.prompt_tokens_details is not None
    assert 0 < (reply.usage.prompt_tokens_details.cached_tokens or 0) < reply.usage.prompt_tokens
    assert reply.usage.completion_tokens == len(ANSWER.split())
    annotation = reply.choices[0].message.model_dump()["annotations"][0]
    assert annotation["type"] == "file_citation"
    assert annotation["file_citation"]["filename"] == "pool.md"
    quoted = ANSWER[annotation["start_index"] : annotation["end_index"]]
    assert quoted == "The pool opens at 7:00 on weekdays."
    larder = reply.model_dump()["larder"]
    assert larder["citations"][0]["source"] == "uploads"
    assert larder["sources"][0]["rank"] == 1
    assert larder["timings_ms"]["total"] > 0


def test_streaming(client: openai.OpenAI, town: str) -> None:
    stream = client.chat.completions.create(
        model="any",
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi"},
            {"role": "user", "content": [{"type": "text", "text": QUESTION}]},
        ],
        stream=True,
        stream_options={"include_usage": True},
        max_tokens=200,
        extra_body={"collection": town, "cache": "exact", "unknown": 1},
    )
    chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(texts) == ANSWER
    last = chunks[-2]
    assert last.choices[0].finish_reason == "stop"
    assert last.choices[0].delta.content is None
    cited = last.model_dump()["choices"][0]["delta"]["annotations"]
    assert [item["file_citation"]["filename"] for item in cited] == ["pool.md"] * 2
    assert "larder" in last.model_dump()
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert len({chunk.id for chunk in chunks}) == 1


def test_the_history_reaches_the_decoder(
    client: openai.OpenAI, town: str, decoder: FakeDecoder
) -> None:
    client.chat.completions.create(
        model="any",
        messages=[
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi"},
            {"role": "user", "content": QUESTION},
        ],
        max_completion_tokens=3,
        extra_body={"cache": "off"},
    )
    (request,) = decoder.requests
    assert [(item.role, item.content) for item in request.history] == [
        ("user", "Hello"),
        ("assistant", "Hi"),
    ]
    assert (request.params.max_tokens, request.reuse.mode) == (3, "off")


def test_openai_errors(client: openai.OpenAI, town: str) -> None:
    messages: list[dict[str, str]] = [{"role": "user", "content": QUESTION}]
    with pytest.raises(openai.NotFoundError, match="nowhere"):
        client.chat.completions.create(
            model="any", messages=messages, extra_body={"collection": "nowhere"}
        )
    with pytest.raises(openai.BadRequestError, match="temperature"):
        client.chat.completions.create(model="any", messages=messages, temperature=9)
    for wrong in ([{"role": "assistant", "content": "x"}], [{"role": "user", "content": " "}]):
        with pytest.raises(openai.UnprocessableEntityError):
            client.chat.completions.create(model="any", messages=wrong)


def test_no_collection_at_all(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="no collection yet"):
        client.chat.completions.create(
            model="any", messages=[{"role": "user", "content": QUESTION}]
        )


def test_an_error_during_the_answer(client: openai.OpenAI, town: str, decoder: FakeDecoder) -> None:
    decoder.error = KeyError("secret detail")
    messages: list[dict[str, str]] = [{"role": "user", "content": QUESTION}]
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="any", messages=messages)
    with pytest.raises(openai.APIError, match="Something broke"):
        list(client.chat.completions.create(model="any", messages=messages, stream=True))


def test_a_reader_that_leaves_stops_the_model(url: str, town: str, decoder: FakeDecoder) -> None:
    decoder.script, decoder.pause = "word " * 500, 0.02
    body = {"question": QUESTION, "collection": town}
    with (
        httpx2.Client(base_url=url) as http,
        http.stream("POST", "/api/v1/runs", json=body) as reply,
    ):
        for event in httpx2.EventSource(reply):
            if event.event == "message.delta":
                break
    wait_until(lambda: decoder.cancelled == 1)
    with httpx2.Client(base_url=url) as http:

        def newest() -> dict[str, object]:
            found: dict[str, object] = http.get("/api/v1/runs").json()["items"][0]
            return found

        wait_until(lambda: newest()["finish_reason"] == "cancelled")
        run = http.get(f"/api/v1/runs/{newest()['run_id']}").json()
    assert 0 < len(run["answer"].split()) < 500
    assert run["tokens"]["prompt"] > 0


def test_head_is_get_without_the_body(url: str, town: str) -> None:
    with httpx2.Client(base_url=url) as http:
        job = http.get("/api/v1/jobs").json()["items"][0]["id"]
        for path in ("/healthz", "/api/v1/collections", "/v1/models", "/metrics", "/"):
            head, whole = http.head(path), http.get(path)
            assert (head.status_code, head.content) == (whole.status_code, b""), path
            assert head.headers["content-type"] == whole.headers["content-type"]
        assert http.head(f"/api/v1/jobs/{job}/events").status_code == 200
        assert http.head("/api/v1/collections/99").status_code == 404
        assert http.head("/v1/chat/completions").status_code == 405
        assert http.get("/healthz").status_code == 200
