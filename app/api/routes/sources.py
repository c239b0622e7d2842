"""Sources: how far each is believed and why; labels, quarantine, merges, undoing."""

from fastapi import APIRouter, Query

from app.api.deps import ContainerDep
from app.api.source_schemas import NewLabel, NewUndo, SourceChange
from app.api.values import RowId
from app.sources.types import Label, Undo
from app.sources.wire import (
    JsonObject,
    change_data,
    explanation_data,
    observation_data,
    rebuilt_data,
    review_data,
    source_data,
    version_data,
)

router = APIRouter(prefix="/api/v1/sources", tags=["sources"])


@router.get("")
async def list_sources(container: ContainerDep) -> JsonObject:
    return {"items": [source_data(row) for row in await container.sources.list()]}


@router.get("/versions")
async def list_versions(
    container: ContainerDep, limit: int = Query(20, ge=1, le=200)
) -> JsonObject:
    rows = await container.source_tools.versions.list(limit)
    return {"items": [version_data(row) for row in rows]}


@router.get("/versions/{version}")
async def rebuild_version(version: RowId, container: ContainerDep) -> JsonObject:
    return rebuilt_data(await container.source_tools.beliefs.rebuild(version))


@router.post("/undo")
async def undo(body: NewUndo, container: ContainerDep) -> JsonObject:
    what = Undo(tuple(body.observations), body.author, body.source_id, body.version)
    return change_data(await container.source_tools.curator.undo(what, body.by, body.note))


@router.get("/review")
async def review_sources(
    container: ContainerDep, limit: int = Query(20, ge=1, le=200)
) -> JsonObject:
    names = {row.id: row.name for row in await container.sources.list()}
    return review_data(await container.source_tools.reviewer.review(limit), names)


@router.get("/{source_id}")
async def get_source(source_id: RowId, container: ContainerDep) -> JsonObject:
    return explanation_data(await container.source_tools.explainer.explain(source_id))


@router.patch("/{source_id}")
async def change_source(
    source_id: RowId, body: SourceChange, container: ContainerDep
) -> JsonObject:
    """One after the other; the source as it is then."""
    await container.sources.get(source_id)
    curator = container.source_tools.curator
    if body.name is not None:
        await curator.rename(source_id, body.name, body.by)
    if body.class_name is not None:
        await curator.set_class(source_id, body.class_name, body.by)
    if body.reliability is not None:
        await curator.set_reliability(source_id, body.reliability, body.by)
    if body.state is not None:
        await curator.set_state(source_id, body.state, body.by, body.note)
    if body.merged_into == 0:
        await curator.separate(source_id, body.by)
    elif body.merged_into is not None:
        await curator.merge(source_id, body.merged_into, body.by)
    return source_data(await container.sources.get(source_id))


@router.get("/{source_id}/observations")
async def list_observations(
    source_id: RowId,
    container: ContainerDep,
    limit: int = Query(50, ge=1, le=200),
    before: RowId | None = None,
) -> JsonObject:
    await container.sources.get(source_id)
    rows = await container.source_tools.observations.of_source([source_id], limit + 1, before)
    shown = [observation_data(row) for row in rows[:limit]]
    return {"items": shown, "has_more": len(rows) > limit}


@router.post("/{source_id}/labels", status_code=201)
async def label_source(source_id: RowId, body: NewLabel, container: ContainerDep) -> JsonObject:
    label = Label(
        question=body.question,
        answer=body.answer,
        verdict=body.verdict,
        author=body.by,
        source_id=source_id,
        topic=body.topic,
        note=body.note,
    )
    return change_data(await container.source_tools.curator.label(label))
