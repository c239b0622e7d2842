"""One engine's values into another's. Pure, one short function each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from app.answer.types import (
    Assessed,
    CachePlanned,
    PlannedSegment,
    Question,
    RankedPassage,
    SourceWeight,
)
from app.db.rows import PassageRow, RunTokens
from app.decoder.types import DecodeRequest, Passage, Prefilled
from kvstore.types import ReuseMode, SegmentReport, TokenCounts
from kvstore.vote import BranchReport
from reliability.prior import prior_with_mean
from reliability.types import Assessment, BetaPosterior, Dropped, Evidence
from retrieval.types import ScoredChunk

CONTEXT_FULL = "context_full"
VOTE = "vote"  # as policy and reason of a plan: nothing had to be repaired


def to_evidence(scored: ScoredChunk, row: PassageRow) -> Evidence:
    return Evidence(chunk_id=scored.chunk_id, source_id=row.source_id, score=scored.score)


def to_posterior(row: PassageRow) -> BetaPosterior:
    return prior_with_mean(row.reliability, row.strength)


def on_topic(row: PassageRow, believed: Mapping[int, BetaPosterior]) -> PassageRow:
    """The passage, its source believed as it is on the question's topic."""
    belief = believed.get(row.source_id)
    if belief is None:
        return row
    return replace(row, reliability=belief.mean, strength=belief.alpha + belief.beta)


def to_ranked(rank: int, scored: ScoredChunk, row: PassageRow) -> RankedPassage:
    return RankedPassage(
        rank=rank,
        chunk_id=row.chunk_id,
        document_id=row.document_id,
        title=row.title,
        label=row.label,
        source=row.source,
        reliability=row.reliability,
        score=scored.score,
        start=row.start,
        end=row.end,
        page=row.page,
        text=row.text,
    )


def to_passages(rows: Sequence[PassageRow]) -> tuple[Passage, ...]:
    return tuple(Passage(row.chunk_id, row.token_ids, row.primers) for row in rows)


def to_request(question: Question, rows: Sequence[PassageRow]) -> DecodeRequest:
    return DecodeRequest(
        passages=to_passages(rows),
        question=question.text,
        history=question.history,
        params=question.params,
        reuse=question.reuse,
        collection_id=rows[0].collection_id if rows else None,
    )


def to_assessed(
    assessment: Assessment, request: DecodeRequest, rows: Mapping[int, PassageRow]
) -> Assessed:
    """What reliability decided, less the passages that did not fit the model's context."""
    in_prompt = tuple(passage.chunk_id for passage in request.passages)
    unfit = [chunk_id for chunk_id in assessment.kept if chunk_id not in in_prompt]
    names = {row.source_id: row.source for row in rows.values()}
    return Assessed(
        kept=in_prompt,
        dropped=(
            *assessment.dropped,
            *(Dropped(chunk_id, CONTEXT_FULL) for chunk_id in unfit),
        ),
        weights=tuple(
            SourceWeight(names[source_id], weight)
            for source_id, weight in assessment.weights.items()
        ),
    )


def to_planned(prefilled: Prefilled, passages: Sequence[PassageRow]) -> CachePlanned:
    """The prefill report with the chunks named; chunk segments come in the prompt's order."""
    report = prefilled.report
    chunks = iter(passages)
    segments = []
    for segment in report.segments:
        row = next(chunks) if segment.kind == "chunk" else None
        segments.append(_planned(segment, row))
    return CachePlanned(
        mode=report.mode,
        policy=report.policy,
        ratio=report.ratio,
        reason=report.reason,
        segments=tuple(segments),
        tokens=report.tokens,
        prefill_ms=prefilled.prefill_ms,
        full_prefill_ms_estimate=prefilled.full_prefill_ms_estimate,
    )


def to_vote_planned(
    mode: ReuseMode,
    reports: Sequence[BranchReport],
    passages: Sequence[PassageRow],
    prefill_ms: float,
    full_prefill_ms_estimate: float,
) -> CachePlanned:
    """All prompts of a vote as one plan: what they begin and end with is added up."""
    sides = [(report.segments[0], report.segments[-1]) for report in reports]
    segments = [
        _planned(report.segments[1], row) for report, row in zip(reports, passages, strict=True)
    ]
    prefix, question = (
        replace(_planned(side[0], None), tokens=sum(item.num_tokens for item in side))
        for side in zip(*sides, strict=True)
    )
    tokens = add_tokens([report.tokens for report in reports])
    return CachePlanned(
        mode=mode,
        policy=VOTE,
        ratio=0.0,
        reason=VOTE,
        segments=(prefix, *segments, question),
        tokens=tokens,
        prefill_ms=prefill_ms,
        full_prefill_ms_estimate=full_prefill_ms_estimate,
    )


def _planned(segment: SegmentReport, row: PassageRow | None) -> PlannedSegment:
    return PlannedSegment(
        kind=segment.kind,
        chunk_id=row.chunk_id if row else None,
        title=row.title if row else None,
        tokens=segment.num_tokens,
        action=segment.action,
        recomputed=segment.recomputed,
        tier=segment.tier,
        encoding=segment.encoding,
        reason=segment.reason,
        saved_ms=segment.saved_ms,
    )


def add_tokens(counts: Sequence[TokenCounts]) -> TokenCounts:
    names = ("prompt", "exact_prefix", "reused", "recomputed", "fresh")
    return TokenCounts(*(sum(getattr(count, name) for count in counts) for name in names))


def to_run_tokens(counts: TokenCounts, num_generated: int) -> RunTokens:
    return RunTokens(
        prompt=counts.prompt,
        exact_prefix=counts.exact_prefix,
        reused=counts.reused,
        recomputed=counts.recomputed,
        fresh=counts.fresh,
        generated=num_generated,
    )
