"""Runs: every question asked, what it cost and what it answered."""

import json
import secrets
import time
from collections.abc import Mapping, Sequence

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert  # SQLite takes the same

from app.db import models
from app.db.overview import Measured, summarise
from app.db.reliability_rows import JudgedRun
from app.db.removal import REDACTED
from app.db.rows import NewRun, OverviewRow, RunResult, RunRow, RunTokens
from app.db.session import Database, retried
from app.errors import InvalidValue, RunNotFound

MAX_HOURS = 24 * 90
NO_MATCH = "no_match"  # the model was not asked, so there is no first word
ASKED_AT_ONCE = 500  # names in one statement


class Runs:
    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    async def start(self, run: NewRun) -> str:
        """Record that a question was asked; returns the run's id."""
        row = models.Run(
            id=f"run_{secrets.token_hex(12)}",
            created_at=time.time(),
            question=run.question,
            collection_id=run.collection_id,
            collection=run.collection,
            model=run.model,
            mode=run.mode,
            policy=run.policy,
            ratio=run.ratio,
            answer="",
            tokens_prompt=0,
            tokens_exact_prefix=0,
            tokens_reused=0,
            tokens_recomputed=0,
            tokens_fresh=0,
            tokens_generated=0,
            timings_json="{}",
            passages_json="[]",
            citations_json="[]",
            is_redacted=False,
            trust=run.trust,
            reliability_version=0,
        )
        async with self._database.transaction() as session:
            session.add(row)
        return row.id

    @retried
    async def finish(self, run_id: str, result: RunResult) -> None:
        """Record the outcome. Nothing is quoted from a document deleted in the meantime."""
        values = _result_values(result)
        document_ids = _document_ids((*result.passages, *result.citations))
        documents = models.Document.id.in_(document_ids)
        async with self._database.transaction() as session:
            found = set(await session.scalars(select(models.Document.id).where(documents)))
            if found != document_ids:
                values |= REDACTED
            statement = update(models.Run).where(models.Run.id == run_id).values(values)
            known = await session.scalar(statement.returning(models.Run.id))
            if known is None:
                raise RunNotFound(f"there is no run {run_id!r}")
            links = [{"run_id": run_id, "document_id": number} for number in sorted(found)]
            if links and found == document_ids:
                await session.execute(insert(models.RunDocument).on_conflict_do_nothing(), links)

    async def get(self, run_id: str) -> RunRow:
        async with self._database.session() as session:
            run = await session.get(models.Run, run_id)
        if run is None:
            raise RunNotFound(f"there is no run {run_id!r}")
        return _to_row(run)

    async def recent(self, limit: int) -> list[RunRow]:
        """Newest first."""
        newest = models.Run.created_at.desc(), models.Run.id
        async with self._database.session() as session:
            runs = await session.scalars(select(models.Run).order_by(*newest).limit(limit))
            return [_to_row(run) for run in runs]

    async def judged(self, run_ids: Sequence[str], questions: Sequence[str]) -> list[JudgedRun]:
        """Verdicts of these runs and of runs that asked these questions, oldest first."""
        run, found = models.Run, dict[str, JudgedRun]()
        columns = select(run.id, run.created_at, run.question, run.verdict_json, run.collection_id)
        async with self._database.session() as session:
            for column, wanted in ((run.id, run_ids), (run.question, questions)):
                for start in range(0, len(wanted), ASKED_AT_ONCE):
                    some = column.in_(wanted[start : start + ASKED_AT_ONCE])
                    rows = await session.execute(columns.where(some, run.verdict_json.is_not(None)))
                    for row in rows:
                        verdict = json.loads(row.verdict_json or "{}")
                        found[row.id] = JudgedRun(
                            row.id, row.created_at, row.question, verdict, row.collection_id
                        )
        return sorted(found.values(), key=lambda item: (item.created_at, item.id))

    async def overview(self, hours: int, now: float | None = None) -> OverviewRow:
        """What the cache did over the last `hours`; only finished runs that had a passage."""
        if not 1 <= hours <= MAX_HOURS:
            raise InvalidValue(f"hours must lie between 1 and {MAX_HOURS}, not {hours}")
        end = time.time() if now is None else now
        run = models.Run
        statement = select(
            run.created_at,
            run.mode,
            run.tokens_prompt.label("prompt"),
            run.tokens_exact_prefix.label("exact_prefix"),
            run.tokens_reused.label("reused"),
            run.tokens_recomputed.label("recomputed"),
            run.tokens_fresh.label("fresh"),
            run.tokens_generated.label("generated"),
            run.ttft_ms,
            run.prefill_ms,
            run.full_prefill_ms_estimate,
        ).where(
            run.created_at > end - hours * 3600,
            run.created_at <= end,
            run.finish_reason != NO_MATCH,  # nor NULL, which is being answered
        )
        async with self._database.session() as session:
            rows = (await session.execute(statement.order_by(run.created_at))).mappings()
            measured = [Measured(**row) for row in rows]
            documents = await session.scalar(select(func.count()).select_from(models.Document))
            chunks = await session.scalar(select(func.count()).select_from(models.Chunk))
        return summarise(measured, hours, end, documents=documents or 0, chunks=chunks or 0)


def _result_values(result: RunResult) -> dict[str, object]:
    values: dict[str, object] = {
        "finished_at": time.time(),
        "answer": result.answer,
        "finish_reason": result.finish_reason,
        "tokens_prompt": result.tokens.prompt,
        "tokens_exact_prefix": result.tokens.exact_prefix,
        "tokens_reused": result.tokens.reused,
        "tokens_recomputed": result.tokens.recomputed,
        "tokens_fresh": result.tokens.fresh,
        "tokens_generated": result.tokens.generated,
        "ttft_ms": result.timings_ms.get("ttft"),
        "prefill_ms": result.prefill_ms,
        "full_prefill_ms_estimate": result.full_prefill_ms_estimate,
        "timings_json": json.dumps(dict(result.timings_ms)),
        "plan_json": None if result.plan is None else json.dumps(result.plan),
        "passages_json": json.dumps(result.passages),
        "citations_json": json.dumps(result.citations),
        "verdict_json": None if result.verdict is None else json.dumps(result.verdict),
        "reliability_version": result.reliability_version,
    }
    asked = {"policy": result.policy, "ratio": result.ratio}
    return values | {name: value for name, value in asked.items() if value is not None}


def _document_ids(parts: Sequence[Mapping[str, object]]) -> set[int]:
    return {number for part in parts if isinstance(number := part.get("document_id"), int)}


def _to_row(run: models.Run) -> RunRow:
    tokens = RunTokens(
        run.tokens_prompt,
        run.tokens_exact_prefix,
        run.tokens_reused,
        run.tokens_recomputed,
        run.tokens_fresh,
        run.tokens_generated,
    )
    return RunRow(
        id=run.id,
        created_at=run.created_at,
        finished_at=run.finished_at,
        question=run.question,
        collection_id=run.collection_id,
        collection=run.collection,
        model=run.model,
        mode=run.mode,
        policy=run.policy,
        ratio=run.ratio,
        answer=run.answer,
        finish_reason=run.finish_reason,
        tokens=tokens,
        ttft_ms=None if run.finish_reason == NO_MATCH else run.ttft_ms,
        prefill_ms=run.prefill_ms,
        full_prefill_ms_estimate=run.full_prefill_ms_estimate,
        timings_ms=json.loads(run.timings_json),
        plan=None if run.plan_json is None else json.loads(run.plan_json),
        passages=tuple(json.loads(run.passages_json)),
        citations=tuple(json.loads(run.citations_json)),
        is_redacted=run.is_redacted,
        trust=run.trust,
        verdict=None if run.verdict_json is None else json.loads(run.verdict_json),
        reliability_version=run.reliability_version,
    )
