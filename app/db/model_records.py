"""What calibration found out about each model, as JSON under the model's identity."""

import json
import time
from collections.abc import Mapping

from sqlalchemy.dialects.postgresql import insert  # SQLite takes the same

from app.db import models
from app.db.session import Database, retried


class ModelRecords:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, identity: str) -> dict[str, object] | None:
        async with self._database.session() as session:
            row = await session.get(models.ModelRecord, identity)
        if row is None:
            return None
        record: dict[str, object] = json.loads(row.record_json)
        return record

    @retried
    async def save(self, identity: str, record: Mapping[str, object]) -> None:
        """A second record replaces the first."""
        values = {"record_json": json.dumps(record), "saved_at": time.time()}
        statement = insert(models.ModelRecord).values(identity=identity, **values)
        statement = statement.on_conflict_do_update(index_elements=["identity"], set_=values)
        async with self._database.transaction() as session:
            await session.execute(statement)
