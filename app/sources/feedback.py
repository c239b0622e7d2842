"""A user's thumb about an answer, as weighted observations of the sources it rests on."""

import time
from collections.abc import Mapping
from typing import Any

from app.db.chunks import Chunks
from app.db.collections import check_name
from app.db.observations import DAY_S, Observations
from app.db.reliability_rows import NewObservation
from app.db.rows import PassageRow, RunRow
from app.db.runs import Runs
from app.errors import InvalidValue, ServerBusy
from app.sources.beliefs import Beliefs
from app.sources.checks import check_answer, check_question
from app.sources.fold import Circumstances, cap_feedback
from app.sources.judging import ONE_ANSWER
from app.sources.types import Change
from reliability.observations import FEEDBACK_WEIGHT

USER = "user"  # who speaks where nobody is named
# Stored, not counted, beyond the caps of the fold; beyond this nothing is stored either.
MAX_STORED_A_DAY = 1000


class Feedback:
    def __init__(
        self, runs: Runs, chunks: Chunks, observations: Observations, beliefs: Beliefs
    ) -> None:
        self._runs = runs
        self._chunks = chunks
        self._observations = observations
        self._beliefs = beliefs

    async def give(
        self, run_id: str, *, is_good: bool, author: str = USER, chunk_id: int | None = None
    ) -> Change:
        """One thumb. With `chunk_id` it is about that passage's source only, else about every
        source the answer cites.

        Raises `RunNotFound`, and `InvalidValue` where the answer is not there, does not show the
        passage, or has several sides and none is named.
        """
        run = await self._runs.get(run_id)
        author = check_name(author, "person")
        _check_answered(run)
        today = await self._observations.since(time.time() // DAY_S * DAY_S)
        given = [row for row in today if row.kind == "feedback"]
        if len(given) >= MAX_STORED_A_DAY:
            raise ServerBusy(f"there were {len(given):,} observations by users today; try tomorrow")
        passages = await self._passages(run, chunk_id)
        rows = [
            _observation(run, passage, said, author, is_good=is_good) for passage, said in passages
        ]
        ids = await self._observations.append(rows)
        version = await self._beliefs.catch_up()
        today = await self._observations.since(time.time() // DAY_S * DAY_S)
        counted = {row.id for row in cap_feedback(today, Circumstances())}
        return Change(
            len(ids), version.id if version else None, is_counted=not counted.isdisjoint(ids)
        )

    async def _passages(self, run: RunRow, chunk_id: int | None) -> list[tuple[PassageRow, str]]:
        """One passage a source, with what it says."""
        shown = _chunk_ids(run.passages)
        if chunk_id is not None and chunk_id not in shown:
            raise InvalidValue(f"the answer of {run.id} was not given passage {chunk_id}")
        said = _said(run) if chunk_id is None else _said_in(run, chunk_id)
        found = await self._chunks.passages([number for number in said if number in shown])
        if not found:
            raise InvalidValue(
                f"the answer of {run.id} cites no passage that is still there; name one by its id"
            )
        of_source: dict[int, PassageRow] = {}
        for passage in found:
            of_source.setdefault(passage.source_id, passage)
        return [(passage, said[passage.chunk_id]) for passage in of_source.values()]


def _said(run: RunRow) -> dict[int, str]:
    """The one answer by each passage that states it and is cited. Raises `InvalidValue` where
    there are several: a thumb does not say which one is meant."""
    cited = _chunk_ids(run.citations)
    if run.verdict is None:  # of a run from before verdicts
        return dict.fromkeys(cited, run.answer)
    if run.verdict["kind"] not in ONE_ANSWER:
        raise InvalidValue(
            f"the answer of {run.id} has several sides or none; name the passage that is meant"
        )
    (given,) = _items(run.verdict["answers"])
    votes = _items(run.verdict["votes"])
    stating = {vote["chunk_id"] for vote in votes if vote["answer"] == given["answer"]}
    meant = [number for number in cited if number in stating] or cited
    return dict.fromkeys(meant, str(given["answer"]))


def _said_in(run: RunRow, chunk_id: int) -> dict[int, str]:
    """What one passage says: its own answer, else the part of the answer that cites it."""
    if run.verdict is None:
        return {chunk_id: run.answer}
    votes = [v for v in _items(run.verdict["votes"]) if v["chunk_id"] == chunk_id]
    if votes:
        return {chunk_id: str(votes[0]["answer"])}
    for citation in _items(list(run.citations)):
        if citation["chunk_id"] == chunk_id:
            return {chunk_id: run.answer[citation["answer_start"] : citation["answer_end"]]}
    raise InvalidValue(f"passage {chunk_id} states no part of the answer of {run.id}")


def _items(value: object) -> list[dict[str, Any]]:
    return value if isinstance(value, list) else []


def _check_answered(run: RunRow) -> None:
    if run.is_redacted:
        raise InvalidValue(f"the answer of {run.id} went with a document that was deleted")
    if run.finish_reason not in ("stop", "length") or not run.answer.strip():
        raise InvalidValue(f"{run.id} has no answer to judge")


def _chunk_ids(parts: tuple[Mapping[str, object], ...]) -> list[int]:
    found = [number for part in parts if isinstance(number := part.get("chunk_id"), int)]
    return list(dict.fromkeys(found))


def _observation(
    run: RunRow, passage: PassageRow, said: str, author: str, *, is_good: bool
) -> NewObservation:
    return NewObservation(
        "feedback",
        passage.source_id,
        check_question(run.question[:2000]),
        check_answer(said[:4000]),
        verdict=1.0 if is_good else 0.0,
        weight=FEEDBACK_WEIGHT,
        author=author,
        document_id=passage.document_id,
        run_id=run.id,
        collection_id=run.collection_id,
    )
