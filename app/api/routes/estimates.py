"""Estimates: probes asked of every source in the background, and how far they are."""

from fastapi import APIRouter, Query

from app.answer.wire import JsonObject
from app.api.deps import ContainerDep
from app.api.source_schemas import NewEstimate
from app.api.values import RowId
from app.bootstrap import Container
from app.db.reliability_rows import EstimateRow, NewProbe
from app.sources.types import ProbePlan
from app.sources.wire import estimate_data

router = APIRouter(prefix="/api/v1/sources/estimate", tags=["sources"])


@router.post("", status_code=202)
async def start_estimate(body: NewEstimate, container: ContainerDep) -> JsonObject:
    probes = (NewProbe(item.question, item.topic, item.answer) for item in body.questions)
    plan = ProbePlan(
        collection=body.collection,
        take_from=body.take_from or ("questions" if body.questions else "documents"),
        questions=tuple(probes),
        limit=body.limit,
        estimator=body.estimator,
        author=body.by,
    )
    row = await container.estimation.estimation.start(plan)
    container.estimation.worker.submit()
    return await _view(row, container)


@router.get("")
async def list_estimates(
    container: ContainerDep, limit: int = Query(20, ge=1, le=200)
) -> JsonObject:
    rows = await container.source_tools.estimates.list(limit)
    return {"items": [await _view(row, container) for row in rows]}


@router.get("/{estimate_id}")
async def get_estimate(estimate_id: RowId, container: ContainerDep) -> JsonObject:
    estimates = container.source_tools.estimates
    view = await _view(await estimates.get(estimate_id), container)
    answers = await estimates.answers_of(estimate_id)
    names = {row.id: row.name for row in await container.sources.list()}
    return view | {"answered": {names[key]: n for key, n in answers.items() if key in names}}


@router.post("/{estimate_id}/cancel")
async def cancel_estimate(estimate_id: RowId, container: ContainerDep) -> JsonObject:
    """What was answered so far stays, and counts at the next estimate."""
    estimates = container.source_tools.estimates
    await estimates.get(estimate_id)
    await estimates.end(estimate_id, "cancelled")
    return await _view(await estimates.get(estimate_id), container)


async def _view(row: EstimateRow, container: Container) -> JsonObject:
    names = {item.id: item.name for item in await container.collections.list()}
    return estimate_data(row, names.get(row.collection_id))
