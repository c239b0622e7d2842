"""The OpenAI-compatible routes: what existing chat clients speak."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from app.answer.types import AnswerEvent, Completed, Delta, Failed, Question
from app.answer.wire import JsonObject
from app.api.deps import ContainerDep
from app.api.errors import Problem, openai_error, problem_response
from app.api.openai_reply import Reply
from app.api.schemas import ChatCompletionRequest, ChatMessage
from app.api.sse import EventStream, encode
from app.bootstrap import Container
from app.decoder.types import GenerationParams, Message
from app.errors import CollectionNotFound, DocumentNotFound, InvalidValue
from kvstore.types import ReuseOptions
from retrieval.parsing.normalise import is_visible

DONE = "data: [DONE]\n\n"

router = APIRouter(prefix="/v1", tags=["openai"])


@router.get("/models")
async def list_models(container: ContainerDep) -> JsonObject:
    return {"object": "list", "data": [_model(container)]}


@router.get("/models/{model_id:path}", response_model=None)
async def get_model(
    model_id: str, request: Request, container: ContainerDep
) -> JsonObject | Response:
    if model_id != container.decoder.name:
        problem = Problem(404, "model_not_found", f"there is no model {model_id!r}")
        return problem_response(problem, request.scope)
    return _model(container)


@router.post("/chat/completions")
async def create_chat_completion(
    body: ChatCompletionRequest, request: Request, container: ContainerDep
) -> Response:
    container.decoder.check_room()
    question = await _to_question(body, container)
    events = container.answers.answer(question)
    started = await anext(events)
    reply = Reply(container.decoder.name, started)
    if not body.stream:
        return await _whole(reply, events, request, container)
    include_usage = body.stream_options is not None and body.stream_options.include_usage
    return EventStream(_chunks(reply, events, include_usage, container))


def _model(container: Container) -> JsonObject:
    return {"id": container.decoder.name, "object": "model", "created": 0, "owned_by": "larder"}


async def _whole(
    reply: Reply,
    events: AsyncGenerator[AnswerEvent, None],
    request: Request,
    container: Container,
) -> Response:
    async with aclosing(events):
        async for event in events:
            reply.note(event)
            if isinstance(event, Failed):
                return problem_response(_problem(event), request.scope)
            if isinstance(event, Completed):
                return JSONResponse(reply.completion(event, await _files(event, container)))
    raise RuntimeError("the answer ended without Completed or Failed")


async def _chunks(
    reply: Reply,
    events: AsyncGenerator[AnswerEvent, None],
    include_usage: bool,
    container: Container,
) -> AsyncGenerator[str, None]:
    async with aclosing(events):
        yield encode(reply.chunk({"role": "assistant", "content": ""}))
        async for event in events:
            reply.note(event)
            match event:
                case Delta():
                    yield encode(reply.chunk({"content": event.text}))
                case Failed():
                    yield encode(openai_error(_problem(event)))
                    return
                case Completed():
                    yield encode(reply.last_chunk(event, await _files(event, container)))
                    if include_usage:
                        yield encode(reply.usage_chunk(event))
        yield DONE


async def _files(event: Completed, container: Container) -> dict[int, str]:
    """Names of the documents that are cited, as far as they are still there."""
    names = {}
    for document_id in {citation.document_id for citation in event.citations}:
        with suppress(DocumentNotFound):
            names[document_id] = (await container.documents.get(document_id)).name
    return names


async def _to_question(body: ChatCompletionRequest, container: Container) -> Question:
    """The last user message is the question; what precedes it is history."""
    messages = [message for message in body.messages if message.role in {"user", "assistant"}]
    if not messages or messages[-1].role != "user":
        raise InvalidValue("The last message must come from the user: it is the question.")
    *history, last = messages
    text = _text(last).strip()
    if not is_visible(text):
        raise InvalidValue("The last message has no text.")
    max_tokens = body.max_completion_tokens or body.max_tokens
    return Question(
        text=text,
        collection=body.collection or await _first_collection(container),
        history=_history(history),
        params=GenerationParams(
            max_tokens or container.settings.max_answer_tokens, body.temperature or 0.0
        ),
        reuse=ReuseOptions(body.cache),
        trust=body.trust,
    )


async def _first_collection(container: Container) -> str:
    collections = await container.collections.list()
    if not collections:
        raise CollectionNotFound("There is no collection yet; create one and add documents.")
    return str(collections[0].name)


def _history(messages: Sequence[ChatMessage]) -> tuple[Message, ...]:
    return tuple(
        Message("user" if message.role == "user" else "assistant", _text(message))
        for message in messages
    )


def _text(message: ChatMessage) -> str:
    """Plain content, or the text parts of a list; images and the like are left out."""
    if not isinstance(message.content, list):
        return message.content or ""
    return "\n".join(part.text or "" for part in message.content if part.type == "text")


def _problem(failed: Failed) -> Problem:
    return Problem(failed.status, failed.code, failed.detail)
