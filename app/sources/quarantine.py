"""Searches that look past sources in quarantine, instead of finding their passages and dropping
them: a source with a thousand passages on the question would leave no room for the others.
"""

from dataclasses import replace
from typing import Protocol

from app.db.sources import Sources
from retrieval.types import Query, ScoredChunk


class Retriever(Protocol):
    async def search(self, query: Query) -> list[ScoredChunk]: ...


class ActiveSourcesOnly:
    """`retriever`, told to search among active sources; nothing changes where all are active."""

    def __init__(self, retriever: Retriever, sources: Sources) -> None:
        self._retriever = retriever
        self._sources = sources

    async def search(self, query: Query) -> list[ScoredChunk]:
        if await self._sources.are_all_active():
            return await self._retriever.search(query)
        among = replace(query.filter, only_active=True)
        return await self._retriever.search(replace(query, filter=among))
