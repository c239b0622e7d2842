"""Searches that look past sources in quarantine and documents on their way out, instead of finding
their passages and dropping them: a thousand on the question would leave no room for others.
"""

from dataclasses import replace
from typing import Protocol

from app.db.sources import Sources
from retrieval.types import Query, ScoredChunk


class Retriever(Protocol):
    async def search(self, query: Query) -> list[ScoredChunk]: ...


class ActiveSourcesOnly:
    """`retriever`, told to search among active sources and documents that stay; where all are, as
    it is."""

    def __init__(self, retriever: Retriever, sources: Sources) -> None:
        self._retriever = retriever
        self._sources = sources

    async def search(self, query: Query) -> list[ScoredChunk]:
        if await self._sources.are_all_found():
            return await self._retriever.search(query)
        among = replace(query.filter, only_active=True)
        return await self._retriever.search(replace(query, filter=among))
