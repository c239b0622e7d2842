"""Events as plain dictionaries, with the names and fields docs/api.md promises.

The one form that streams, stored runs and `larder ask --json` share. Pure.
"""

from dataclasses import asdict

from app.answer.types import (
    AnswerEvent,
    Assessed,
    CachePlanned,
    Cited,
    Completed,
    Delta,
    Failed,
    Retrieved,
    RunStarted,
    Verdict,
)

JsonObject = dict[str, object]

DIGITS = 4

EVENT_NAMES: dict[type[AnswerEvent], str] = {
    RunStarted: "run.started",
    Retrieved: "retrieval.completed",
    Assessed: "assessment.completed",
    CachePlanned: "cache.plan",
    Delta: "message.delta",
    Cited: "citation.added",
    Verdict: "verdict",
    Completed: "message.completed",
    Failed: "error",
}


def event_name(event: AnswerEvent) -> str:
    return EVENT_NAMES[type(event)]


def event_data(event: AnswerEvent) -> JsonObject:
    """The event's JSON object. Numbers are rounded to what a reader can use; those that a verdict
    is worked out from again are not."""
    if isinstance(event, Cited):
        return rounded(asdict(event.citation))
    if isinstance(event, Verdict):
        return rounded(asdict(event)) | {"sources": [asdict(item) for item in event.sources]}
    return rounded(asdict(event))


def rounded(data: JsonObject) -> JsonObject:
    return {key: _round(value) for key, value in data.items()}


def _round(value: object) -> object:
    match value:
        case float():
            return round(value, DIGITS)
        case dict():
            return {key: _round(item) for key, item in value.items()}
        case list() | tuple():
            return [_round(item) for item in value]
        case _:
            return value
