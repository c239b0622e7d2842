"""Why an answer was believed, from its stored votes: nothing is read or decoded again.

Pure; the run's verdict is the JSON object that app/answer/wire.py wrote.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import TypeVar

from app.answer.types import BelievedSource, ChanceBasis, HeardVote
from app.answer.verdict import (
    decision_config,
    is_learned_here,
    judged,
    probability_of,
    to_posteriors,
    to_vote,
)
from app.answer.wire import JsonObject, rounded
from app.db.rows import RunRow
from app.errors import SourceNotFound, VerdictNotFound
from reliability.decision import ACCEPT, Decision, DecisionConfig
from reliability.explanation import FamilyReason, WhatIf, explain
from reliability.families.types import Families, Join
from reliability.observations import ObservationLog

Value = TypeVar("Value")


def explain_run(
    run: RunRow,
    log: ObservationLog,
    without: Collection[str] = (),
    owners: Mapping[int, int] | None = None,
) -> JsonObject:
    """The explanation as docs/api.md promises it; `without` names sources (or ids) to leave out,
    `owners` has what sources were merged into since.

    Raises VerdictNotFound, or SourceNotFound for one that said nothing to this question.
    """
    verdict = run.verdict
    if verdict is None:
        raise VerdictNotFound(f"the run {run.id!r} has no verdict to explain")
    sources = _values(BelievedSource, verdict["sources"])
    left_out = [_source(name, sources) for name in without]
    votes = [v for v in _values(HeardVote, verdict["votes"]) if v.source_id not in left_out]
    basis = _basis(verdict.get("calibration"))
    joins = _values(Join, verdict["joins"])
    found = explain(
        [to_vote(vote) for vote in votes],
        to_posteriors(sources),
        log,
        Families({vote.chunk_id: vote.family for vote in votes}, tuple(joins)),
        _config(verdict, basis, sources),
        owners,
    )
    names = {source.source_id: source.source for source in sources}
    by_chunk = {vote.chunk_id: vote for vote in votes}
    return {
        "run_id": run.id,
        "question": run.question,
        "trust": run.trust,
        "reliability_version": run.reliability_version,
        "without": sorted(names[source_id] for source_id in left_out),
        **_decision(found.decision, names, basis),
        "calibration": None if basis is None else asdict(basis),
        "others": _others(found.decision, names),
        "supporting": [_family(reason, votes, by_chunk, names) for reason in found.supporting],
        "opposing": [_family(reason, votes, by_chunk, names) for reason in found.opposing],
        "sources": [
            {
                "source_id": reason.source,
                "source": names[reason.source],
                **rounded(asdict(reason.belief)),
                "checked_by_people": reason.checked_by_people,
                "cross_checked": reason.cross_checked,
                "unchecked": reason.unchecked,
            }
            for reason in found.sources
        ],
        # Without a source, passages that were not asked might have spoken.
        "what_if": [
            _what_if(item, names, basis) | {"all_asked": not verdict.get("unasked")}
            for item in found.what_if
        ],
    }


def _config(
    verdict: JsonObject, basis: ChanceBasis | None, sources: Sequence[BelievedSource]
) -> DecisionConfig:
    stated = verdict.get("stated")
    return decision_config(
        basis,
        sources,
        takes_several=bool(verdict["takes_several"]),
        stated=None if stated is None else str(stated),
    )


def _values(kind: type[Value], items: object) -> list[Value]:
    assert isinstance(items, list)
    return [kind(**item) for item in items]


def _source(name_or_id: str, sources: Sequence[BelievedSource]) -> int:
    for source in sources:
        if name_or_id.strip() == source.source:
            return source.source_id
    for source in sources:
        if name_or_id.strip() == str(source.source_id):
            return source.source_id
    raise SourceNotFound(f"no source {name_or_id!r} spoke to this question")


def _basis(stored: object) -> ChanceBasis | None:
    """None for a run from before chances were calibrated."""
    if not isinstance(stored, dict):
        return None
    return ChanceBasis(**(stored | {"accept": stored.get("accept", ACCEPT)}))


def _decision(
    decision: Decision, names: Mapping[int, str], basis: ChanceBasis | None
) -> JsonObject:
    return rounded(
        {
            "kind": decision.kind,
            "probability": probability_of(decision),
            "is_calibrated": is_learned_here(basis),
            "answers": [asdict(judged(belief, names)) for belief in decision.answers],
        }
    )


def _others(decision: Decision, names: Mapping[int, str]) -> object:
    given = {(belief.answer, belief.sense) for belief in decision.answers}
    rest = [b for b in decision.all_answers if (b.answer, b.sense) not in given]
    return rounded({"others": [asdict(judged(belief, names)) for belief in rest]})["others"]


def _family(
    reason: FamilyReason,
    votes: Sequence[HeardVote],
    by_chunk: Mapping[int, HeardVote],
    names: Mapping[int, str],
) -> JsonObject:
    members = [v for v in votes if v.family == reason.family and v.answer == reason.answer]
    return {
        "family": reason.family,
        "answer": reason.answer,
        "sources": [names[source] for source in reason.sources],
        "passages": [
            {
                "chunk_id": vote.chunk_id,
                "document_id": vote.document_id,
                "title": vote.title,
                "source": vote.source,
                "said": vote.said,
                "quote": vote.quote,
            }
            for vote in members
        ],
        "counted_once": [
            {
                "level": join.level,
                "why": join.why,
                "sources": sorted({by_chunk[join.one].source, by_chunk[join.other].source}),
            }
            for join in reason.counted_once
        ],
    }


def _what_if(item: WhatIf, names: Mapping[int, str], basis: ChanceBasis | None) -> JsonObject:
    decided = _decision(item.decision, names, basis)
    return {"without": names[item.without], **decided, "changes": item.changes}
