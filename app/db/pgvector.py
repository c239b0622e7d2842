"""Vectors in PostgreSQL itself (pgvector): exact, and above some size through an HNSW index.

Synchronous: searches run in threads. Implements what `retrieval.dense_indexes.DenseIndexes` does.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from sqlalchemy import Connection, NullPool, RowMapping, TextClause, create_engine, text
from sqlalchemy.exc import DBAPIError

from app.db import postgres
from app.db.sqlite import storage_errors
from app.errors import DatabaseUnreachable
from retrieval.background import SAMPLE, Background
from retrieval.dense import check_vectors
from retrieval.errors import IndexMismatch
from retrieval.protocols import Float32Array, Ids

# Exact takes some 40 ms at 50,000 vectors of 384 on one core; building the graph takes a minute.
GRAPH_ABOVE = 50_000
# Where so few count, allowed or in the collection, the graph is not used: it would look at many to
# find few. Comparing them takes some 15 ms.
EXACT_IDS = 20_000
BATCH = 1_000


class PgVectorIndexes:
    """Opened once a server; the rows are a copy of `embeddings`, put right at every start.

    Each embedder has a table of its own, so that one can be filled while another one is searched.
    """

    def __init__(
        self, url: str, dimension: int, graph_above: int = GRAPH_ABOVE, embedder: str = ""
    ) -> None:
        self._table = f"chunk_vectors_{hashlib.sha256(embedder.encode()).hexdigest()[:12]}"
        self._url = url
        self._dimension = dimension
        self._graph_above = graph_above
        self._is_graphed = False
        self._backgrounds: dict[int, Background] = {}
        self._sizes: dict[int, int] = {}
        self._engine = create_engine(
            postgres.sync_url(url), connect_args=postgres.sync_arguments(url), pool_pre_ping=True
        )
        try:
            self._prepare()
        except DBAPIError as error:
            self._engine.dispose()
            raise DatabaseUnreachable(
                "vector_index is pgvector, and this PostgreSQL server lacks the extension: install "
                "pgvector there, or choose another vector_index (LARDER_VECTOR_INDEX)"
            ) from error

    def ids(self, collection_id: int) -> Ids:
        statement = text(f"SELECT chunk_id FROM {self._table} WHERE collection_id = :collection")
        with self._engine.connect() as connection:
            rows = connection.scalars(statement, {"collection": collection_id}).all()
        return np.array(rows, np.int64)

    def add(self, collection_id: int, chunk_ids: Sequence[int], vectors: Float32Array) -> None:
        """All or nothing. An id that is in the index already is refused."""
        check_vectors(chunk_ids, vectors, self._dimension)
        statement = text(
            f"INSERT INTO {self._table} (chunk_id, collection_id, vector) "
            "SELECT id, :collection, CAST(vector AS vector) "
            "FROM unnest(CAST(:ids AS bigint[]), CAST(:vectors AS text[])) AS given(id, vector) "
            "ON CONFLICT DO NOTHING"
        )
        with storage_errors(), self._engine.begin() as connection:
            for first in range(0, len(chunk_ids), BATCH):
                ids = chunk_ids[first : first + BATCH]
                values = {
                    "collection": collection_id,
                    "ids": _array(ids),
                    "vectors": [_literal(vector) for vector in vectors[first : first + BATCH]],
                }
                if connection.execute(statement, values).rowcount < len(ids):
                    raise IndexMismatch(f"a chunk from {min(ids)} to {max(ids)} is in it already")
        if collection_id in self._backgrounds:
            self._backgrounds[collection_id].add(vectors)
        self._sizes.pop(collection_id, None)
        self._follow_size()

    def remove(self, collection_id: int, chunk_ids: Sequence[int]) -> int:
        """How many went. Ids that are not in the index are passed over."""
        statement = text(
            f"DELETE FROM {self._table} WHERE collection_id = :collection "
            "AND chunk_id = ANY(CAST(:ids AS bigint[]))"
        )
        num_gone = 0
        with storage_errors(), self._engine.begin() as connection:
            for first in range(0, len(chunk_ids), BATCH):
                ids = _array(chunk_ids[first : first + BATCH])
                values = {"collection": collection_id, "ids": ids}
                num_gone += connection.execute(statement, values).rowcount
        self._sizes.pop(collection_id, None)
        return num_gone

    def search(
        self, collection_id: int, vector: Float32Array, limit: int, allowed: Ids | None = None
    ) -> list[tuple[int, float]]:
        if vector.shape != (self._dimension,):
            raise IndexMismatch(f"vector has shape {vector.shape}, not ({self._dimension},)")
        if limit < 1:
            return []
        values: dict[str, object] = {
            "collection": collection_id,
            "vector": _literal(vector),
            "limit": limit,
        }
        if allowed is not None:
            values["ids"] = _array(allowed.tolist())
        with self._engine.connect() as connection:
            looked_at = self._size(connection, collection_id) if allowed is None else len(allowed)
            self._choose_plan(connection, limit, looked_at)
            rows = connection.execute(self._nearest(allowed is not None), values).mappings()
            return [_hit(row) for row in rows]

    def vectors(self, collection_id: int, chunk_ids: Sequence[int]) -> dict[int, Float32Array]:
        """What is stored of those that are in the index."""
        statement = text(
            f"SELECT chunk_id, CAST(vector AS text) AS vector FROM {self._table} "
            "WHERE collection_id = :collection AND chunk_id = ANY(CAST(:ids AS bigint[]))"
        )
        values = {"collection": collection_id, "ids": _array(chunk_ids)}
        with self._engine.connect() as connection:
            rows = connection.execute(statement, values).all()
        return {int(row.chunk_id): _parsed(row.vector) for row in rows}

    def spread(self, collection_id: int, vector: Float32Array) -> float:
        """How far the question's cosines with passages at random lie apart; above 0."""
        background = self._backgrounds.get(collection_id)
        if background is None:
            background = self._sampled(collection_id)
        return background.spread(vector)

    def _sampled(self, collection_id: int) -> Background:
        """From the rows that an earlier process left, at the first question; kept from then on."""
        statement = text(
            f"SELECT CAST(vector AS text) FROM {self._table} WHERE collection_id = :collection "
            "ORDER BY hashint8(chunk_id) LIMIT :limit"
        )
        values = {"collection": collection_id, "limit": SAMPLE}
        with self._engine.connect() as connection:
            rows = connection.scalars(statement, values).all()
        background = Background(self._dimension)
        if rows:
            background.add(np.stack([_parsed(row) for row in rows]))
            self._backgrounds[collection_id] = background
        return background

    def drop_others(self) -> None:
        """Forget the vectors of embedders that are used no more."""
        found = text(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() "
            "AND starts_with(tablename, 'chunk_vectors')"
        )
        with storage_errors(), self._engine.begin() as connection:
            for name in set(connection.scalars(found)) - {self._table}:
                connection.execute(text(f"DROP TABLE IF EXISTS {name}"))

    def close(self) -> None:
        self._engine.dispose()

    @property
    def _graph(self) -> str:
        return f"ix_{self._table}_hnsw"

    def _prepare(self) -> None:
        with self._engine.begin() as connection:
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
            connection.execute(
                text(
                    f"CREATE TABLE IF NOT EXISTS {self._table} (chunk_id bigint PRIMARY KEY, "
                    "collection_id bigint NOT NULL, vector vector NOT NULL)"
                )
            )
            connection.execute(
                text(
                    f"CREATE INDEX IF NOT EXISTS ix_{self._table}_collection_id "
                    f"ON {self._table} (collection_id)"
                )
            )

    def _follow_size(self) -> None:
        if self._is_graphed:
            return
        with self._engine.begin() as connection:
            num_vectors = connection.scalar(text(f"SELECT count(*) FROM {self._table}")) or 0
        if num_vectors > self._graph_above:
            self._build_graph()
            self._is_graphed = True

    def _build_graph(self) -> None:
        """On a connection of its own, that waits: it takes minutes, which no other answer may."""
        patient = create_engine(
            postgres.sync_url(self._url),
            connect_args=postgres.sync_arguments(self._url, None),
            poolclass=NullPool,
        )
        with storage_errors(), patient.begin() as connection:
            connection.execute(
                text(
                    f"CREATE INDEX IF NOT EXISTS {self._graph} ON {self._table} USING hnsw "
                    f"((vector::vector({self._dimension})) vector_ip_ops)"
                )
            )

    def _size(self, connection: Connection, collection_id: int) -> int:
        """Vectors of a collection: counted once, then kept."""
        if collection_id not in self._sizes:
            statement = text(
                f"SELECT count(*) FROM {self._table} WHERE collection_id = :collection"
            )
            found = connection.scalar(statement, {"collection": collection_id})
            self._sizes[collection_id] = found or 0
        return self._sizes[collection_id]

    def _choose_plan(self, connection: Connection, limit: int, num_looked_at: int) -> None:
        """The graph for wide searches; it goes on until the filter has let enough through. It holds
        all collections and stops after 20,000 vectors, so a small one among large ones would get
        too few hits from it."""
        if num_looked_at <= EXACT_IDS:
            settings = {"enable_indexscan": "off"}
        else:
            settings = {
                "hnsw.ef_search": str(min(1000, max(100, 2 * limit))),
                "hnsw.iterative_scan": "strict_order",
            }
        for name, value in settings.items():
            connection.execute(text(f"SET LOCAL {name} = '{value}'"))

    def _nearest(self, is_filtered: bool) -> TextClause:
        """Negative inner product is the operator's; the cast is what the graph is built on."""
        distance = f"vector::vector({self._dimension}) <#> CAST(:vector AS vector)"
        wanted = "AND chunk_id = ANY(CAST(:ids AS bigint[]))" if is_filtered else ""
        return text(
            f"SELECT chunk_id, -({distance}) AS score FROM {self._table} "
            f"WHERE collection_id = :collection {wanted} ORDER BY {distance} LIMIT :limit"
        )


def _hit(row: RowMapping) -> tuple[int, float]:
    return int(row["chunk_id"]), float(row["score"])


def _parsed(literal: str) -> Float32Array:
    return np.array(literal.strip("[]").split(","), np.float32)


def _literal(vector: Float32Array) -> str:
    """Nine digits give every float32 back as it was."""
    return "[" + ",".join(f"{value:.9g}" for value in vector.tolist()) + "]"


def _array(ids: Sequence[int]) -> str:
    return "{" + ",".join(map(str, ids)) + "}"
