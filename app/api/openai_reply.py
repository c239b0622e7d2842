"""An answer as OpenAI's chat completion objects. Pure; knows no request and no stream."""

import time
from collections.abc import Mapping

from app.answer.types import AnswerEvent, Citation, Completed, Retrieved, RunStarted, Verdict
from app.answer.wire import JsonObject, event_data

FileNames = Mapping[int, str]  # by document id


class Reply:
    """One completion's identity, and the sources its last object names."""

    def __init__(self, model: str, started: AnswerEvent) -> None:
        run_id = started.run_id if isinstance(started, RunStarted) else ""
        self._id = f"chatcmpl-{run_id}"
        self._model = model
        self._created = int(time.time())
        self._sources: object = []
        self._verdict: JsonObject | None = None

    def note(self, event: AnswerEvent) -> None:
        if isinstance(event, Retrieved):
            self._sources = event_data(event)["passages"]
        elif isinstance(event, Verdict):
            self._verdict = event_data(event)

    def completion(self, event: Completed, files: FileNames) -> JsonObject:
        message = {
            "role": "assistant",
            "content": event.answer,
            "refusal": None,
            "annotations": annotations(event.citations, files),
        }
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": finish_reason(event),
        }
        body = self._object("chat.completion", [choice])
        return body | {"usage": usage(event), "larder": self._larder(event)}

    def chunk(self, delta: JsonObject, finish: str | None = None) -> JsonObject:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._object("chat.completion.chunk", [choice])

    def last_chunk(self, event: Completed, files: FileNames) -> JsonObject:
        """No content: the reason it ended, the annotations and our own object."""
        delta: JsonObject = {"annotations": annotations(event.citations, files)}
        return self.chunk(delta, finish_reason(event)) | {"larder": self._larder(event)}

    def usage_chunk(self, event: Completed) -> JsonObject:
        return self._object("chat.completion.chunk", []) | {"usage": usage(event)}

    def _object(self, kind: str, choices: list[JsonObject]) -> JsonObject:
        return {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": self._model,
            "choices": choices,
        }

    def _larder(self, event: Completed) -> JsonObject:
        data = event_data(event)
        names = ("run_id", "finish_reason", "citations", "tokens", "timings_ms")
        ours = {"sources": self._sources, "verdict": self._verdict}
        return {name: data[name] for name in names} | ours


def annotations(citations: tuple[Citation, ...], files: FileNames) -> list[JsonObject]:
    """A document that is gone by now has no file name; its title stands in for it."""
    return [
        {
            "type": "file_citation",
            "start_index": citation.answer_start,
            "end_index": citation.answer_end,
            "file_citation": {
                "file_id": str(citation.document_id),
                "filename": files.get(citation.document_id, citation.title),
                "quote": citation.quote,
            },
        }
        for citation in citations
    ]


def finish_reason(event: Completed) -> str:
    """OpenAI knows no `no_match`: to its clients that is an answer like any other."""
    return "length" if event.finish_reason == "length" else "stop"


def usage(event: Completed) -> JsonObject:
    tokens = event.tokens
    return {
        "prompt_tokens": tokens.prompt,
        "completion_tokens": tokens.generated,
        "total_tokens": tokens.prompt + tokens.generated,
        "prompt_tokens_details": {"cached_tokens": tokens.exact_prefix + tokens.reused},
    }
