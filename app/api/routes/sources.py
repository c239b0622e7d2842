"""Sources and how far each is believed."""

from fastapi import APIRouter

from app.api.deps import ContainerDep
from app.api.schemas import NewReliability, SourceList, SourceView

router = APIRouter(prefix="/api/v1/sources", tags=["sources"])


@router.get("")
async def list_sources(container: ContainerDep) -> SourceList:
    rows = await container.sources.list()
    return SourceList(items=[SourceView.model_validate(row) for row in rows])


@router.patch("/{source_id}")
async def set_reliability(
    source_id: int, body: NewReliability, container: ContainerDep
) -> SourceView:
    row = await container.sources.set_reliability(source_id, body.reliability)
    return SourceView.model_validate(row)
