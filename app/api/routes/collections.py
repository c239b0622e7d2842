"""Collections: the sets of documents a question is asked of."""

from fastapi import APIRouter

from app.api.deps import ContainerDep
from app.api.schemas import CollectionList, CollectionView, NewCollection
from app.api.values import RowId

router = APIRouter(prefix="/api/v1/collections", tags=["collections"])


@router.get("")
async def list_collections(container: ContainerDep) -> CollectionList:
    rows = await container.collections.list()
    return CollectionList(items=[CollectionView.model_validate(row) for row in rows])


@router.post("", status_code=201)
async def create_collection(body: NewCollection, container: ContainerDep) -> CollectionView:
    return CollectionView.model_validate(await container.collections.create(body.name))


@router.get("/{collection_id}")
async def get_collection(collection_id: RowId, container: ContainerDep) -> CollectionView:
    return CollectionView.model_validate(await container.collections.get(collection_id))
