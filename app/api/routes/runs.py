"""Questions: asked as a stream of events, kept as runs."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request

from app.answer.types import AnswerEvent, Failed, Question
from app.answer.wire import JsonObject, event_data, event_name
from app.api.deps import ContainerDep
from app.api.errors import Problem, problem_object, request_id_of
from app.api.schemas import FilterBody, NewRun, iso_time
from app.api.source_schemas import NewFeedback
from app.api.sse import EventStream, encode
from app.db.rows import RunRow
from app.decoder.types import GenerationParams, Message
from app.sources.wire import change_data
from kvstore.types import ReuseOptions
from retrieval.types import Filter

# Each a source's name or id; a handful is what a person tries out.
Without = Annotated[Sequence[str], Query(max_length=50)]

router = APIRouter(prefix="/api/v1/runs", tags=["runs"])


@router.post("")
async def create_run(body: NewRun, request: Request, container: ContainerDep) -> EventStream:
    container.decoder.check_room()
    question = _to_question(body, container.settings.max_answer_tokens)
    events = container.answers.answer(question)
    # What is wrong with the question itself is an HTTP error, so the first event comes first.
    first = await anext(events)
    return EventStream(_encoded(first, events, request_id_of(request.scope)))


@router.get("")
async def list_runs(container: ContainerDep, limit: int = Query(20, ge=1, le=200)) -> JsonObject:
    return {"items": [_summary(row) for row in await container.runs.recent(limit)]}


@router.get("/{run_id}")
async def get_run(run_id: str, container: ContainerDep) -> JsonObject:
    return _full(await container.runs.get(run_id))


@router.get("/{run_id}/explanation")
async def explain_run_route(
    run_id: str, container: ContainerDep, without: Without = ()
) -> JsonObject:
    return await container.answers.explain(run_id, without)


@router.post("/{run_id}/feedback", status_code=201)
async def give_feedback(run_id: str, body: NewFeedback, container: ContainerDep) -> JsonObject:
    is_good = body.verdict == "good"
    change = await container.source_tools.feedback.give(
        run_id, is_good=is_good, author=body.by, chunk_id=body.chunk_id
    )
    return change_data(change)


def _to_question(body: NewRun, default_max_tokens: int) -> Question:
    return Question(
        text=body.question,
        collection=body.collection,
        history=tuple(Message(item.role, item.content) for item in body.history),
        params=GenerationParams(body.max_tokens or default_max_tokens, body.temperature),
        reuse=ReuseOptions(body.mode, body.policy, body.ratio, body.encoding),
        filter=_to_filter(body.filter),
        trust=body.trust,
    )


def _to_filter(body: FilterBody) -> Filter:
    return Filter(
        sources=frozenset(body.sources),
        tags=frozenset(body.tags),
        date_from=body.date_from,
        date_to=body.date_to,
        min_reliability=body.min_reliability,
    )


async def _encoded(
    first: AnswerEvent, rest: AsyncGenerator[AnswerEvent, None], request_id: str
) -> AsyncGenerator[str, None]:
    async with aclosing(rest):
        yield encode(_data(first, request_id), event=event_name(first), event_id=1)
        event_id = 1
        async for event in rest:
            event_id += 1
            yield encode(_data(event, request_id), event=event_name(event), event_id=event_id)


def _data(event: AnswerEvent, request_id: str) -> JsonObject:
    if isinstance(event, Failed):
        return problem_object(Problem(event.status, event.code, event.detail), request_id)
    return event_data(event)


def _summary(row: RunRow) -> JsonObject:
    return {
        "run_id": row.id,
        "created_at": iso_time(row.created_at),
        "question": row.question,
        "collection": row.collection,
        "mode": row.mode,
        "trust": row.trust,
        "tokens": _tokens(row),
        "ttft_ms": row.ttft_ms,
        "finish_reason": row.finish_reason,
    }


def _full(row: RunRow) -> JsonObject:
    return {
        "run_id": row.id,
        "created_at": iso_time(row.created_at),
        "question": row.question,
        "collection": row.collection,
        "answer": row.answer,
        "plan": row.plan,
        "passages": list(row.passages),
        "citations": list(row.citations),
        "trust": row.trust,
        "verdict": row.verdict,
        "reliability_version": row.reliability_version,
        "tokens": _tokens(row),
        "timings_ms": row.timings_ms,
        "finish_reason": row.finish_reason,
    }


def _tokens(row: RunRow) -> dict[str, int]:
    return asdict(row.tokens)
