"""The tables of one database as a test reads them while, or after, another process writes them."""

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import NullPool, create_engine, text

from app.db.lexical_postgres import to_vector
from app.db.postgres import sync_arguments, sync_url
from app.settings import PGVECTOR, SQLITE
from retrieval.segmentation import index_words

Rows = list[tuple]


@dataclass(frozen=True, slots=True)
class SqliteTables:
    path: Path
    vector_index: str = "auto"

    @property
    def url(self) -> str:
        return f"{SQLITE}{self.path}"

    def rows(self, statement: str) -> Rows:
        """Changes nothing. No rows where the tables are not made yet."""
        connection = sqlite3.connect(self.path)
        connection.create_function("larder_words", 1, index_words, deterministic=True)
        try:
            return connection.execute(statement).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
            return []
        finally:
            connection.rollback()
            connection.close()

    def check_sound(self) -> None:
        """The file, its references, and that words under the index are those of the chunks."""
        assert self.rows("PRAGMA integrity_check") == [("ok",)]
        assert self.rows("PRAGMA foreign_key_check") == []
        check = "INSERT INTO chunks_fts(chunks_fts, rank) VALUES ('integrity-check', 1)"
        assert self.rows(check) == []
        assert self.rows("SELECT id FROM chunks_fts_docsize ORDER BY id") == self.rows(
            "SELECT id FROM chunks ORDER BY id"
        )


@dataclass(frozen=True, slots=True)
class PostgresTables:
    url: str
    vector_index: str = PGVECTOR

    def rows(self, statement: str, **values: object) -> Rows:
        arguments = sync_arguments(self.url)
        engine = create_engine(sync_url(self.url), connect_args=arguments, poolclass=NullPool)
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement), values)]

    def check_sound(self) -> None:
        """Words and pgvector's rows are those of the chunks; the server keeps the references."""
        chunks = self.rows("SELECT id, label, text FROM chunks ORDER BY id")
        found = self.rows("SELECT chunk_id, CAST(words AS text) FROM chunk_words ORDER BY chunk_id")
        ids = [number for number, _, _ in chunks]
        words = self._as_stored([to_vector(label, text) for _, label, text in chunks])
        assert found == list(zip(ids, words, strict=True))
        ((table,),) = self.rows(
            "SELECT tablename FROM pg_tables WHERE tablename LIKE 'chunk\\_vectors%'"
        )
        stored = dict(self.rows("SELECT chunk_id, vector FROM embeddings"))
        searched = dict(self.rows(f"SELECT chunk_id, CAST(vector AS text) FROM {table}"))
        assert stored.keys() == searched.keys()
        for number, vector in searched.items():
            assert np.array(json.loads(vector), np.float32).tobytes() == stored[number]

    def _as_stored(self, vectors: list[str]) -> list[str]:
        """In the order and the spelling that the server gives a tsvector."""
        found = self.rows(
            "SELECT CAST(CAST(vector AS tsvector) AS text) FROM unnest(CAST(:vectors AS text[])) "
            "WITH ORDINALITY AS given(vector, number) ORDER BY number",
            vectors=vectors,
        )
        return [words for (words,) in found]


Tables = SqliteTables | PostgresTables
