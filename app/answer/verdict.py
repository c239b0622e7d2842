"""From what passages say to a verdict: who is one family, which answers mean the same, what holds.

Pure; the order of passages plays no role.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from app.answer.citations import stances
from app.answer.short_answers import ShortAnswer, asks_for_several, judge, senses
from app.answer.types import (
    BelievedSource,
    ChanceBasis,
    Citation,
    HeardVote,
    JudgedAnswer,
    Trust,
    Verdict,
)
from app.answer.vote_citations import stating_words
from app.answer.wire import DIGITS
from app.db.rows import PassageRow
from reliability.alignment import Alignment, Rung, align
from reliability.arrays import FloatArray
from reliability.calibration import Calibration, Calibrator
from reliability.decision import ACCEPT, AnswerBelief, Decision, DecisionConfig, Vote, decide
from reliability.families.find import FamilyConfig, find_families
from reliability.families.types import Families, Pair, Passage
from reliability.matching import cluster_answers
from reliability.prior import prior_with_mean
from reliability.types import BetaPosterior

LEAST_SHOWN = 10.0**-DIGITS / 2

Judged = Mapping[tuple[int, str], Alignment]  # what models say of a chunk and an answer


@dataclass(frozen=True, slots=True)
class Heard:
    """One passage's word, before families are known."""

    row: PassageRow
    answer: str
    said: str
    alignment: float
    rung: Rung = "overlap"
    quote: str = ""


@dataclass(frozen=True, slots=True)
class Basis:
    """What a verdict is made with, beside the passages' words."""

    question: str
    trust: Trust
    version: int
    calibration: Calibration | None = None
    copiers: frozenset[Pair] = frozenset()  # sources whose common answers count once
    cosine_limit: float | None = None  # from which on two passages say the same
    vectors: Mapping[int, FloatArray] = field(default_factory=dict)  # of chunks, unit length


def alignment_of(row: PassageRow, answer: ShortAnswer, judged: Judged) -> Alignment:
    """How surely the passage says so: by a model's word in `judged`, else by wording."""
    return judged.get((row.chunk_id, answer.core)) or align(answer.core, row.text)


def heard_in_votes(
    question: str,
    said: Sequence[tuple[PassageRow, ShortAnswer | None]],
    judged: Judged = MappingProxyType({}),
) -> list[Heard]:
    """Answers that sources gave one by one, as far as their passages state them.

    A source that gives several answers divides its word among them, unless they were asked for.
    """
    given = [
        (row, answer, aligned)
        for row, answer in said
        if answer is not None and (aligned := alignment_of(row, answer, judged)).score > 0
    ]
    clusters = cluster_answers([answer.core for _, answer, _ in given], question, judge)
    names = [clusters.representative[answer.core] or answer.core for _, answer, _ in given]
    per_source: dict[int, set[str]] = {}
    for (row, _, _), name in zip(given, names, strict=True):
        per_source.setdefault(row.source_id, set()).add(name)
    takes_several = asks_for_several(question)
    return [
        Heard(
            row,
            name,
            answer.said,
            aligned.score if takes_several else aligned.score / len(per_source[row.source_id]),
            aligned.rung,
            stating_words(answer.core, row.text),
        )
        for (row, answer, aligned), name in zip(given, names, strict=True)
    ]


def claim_of(answer: str, citations: Sequence[Citation]) -> str | None:
    """The first sentence of an answer that a passage states; it is the one that is judged."""
    if not citations:
        return None
    return answer[citations[0].answer_start : citations[0].answer_end].strip()


def heard_in_answer(
    question: str, answer: str, citations: Sequence[Citation], rows: Sequence[PassageRow]
) -> list[Heard]:
    """What the passages of a prompt have to what its answer says (see `claim_of`)."""
    claim = claim_of(answer, citations)
    if claim is None:
        return []
    found = stances(claim, rows, question)
    against = [stance.quote for stance in found if not stance.agrees]
    clusters = cluster_answers(against)
    return [
        Heard(
            stance.passage,
            claim if stance.agrees else clusters.representative[stance.quote] or stance.quote,
            stance.quote,
            min(1.0, stance.score),
            quote=stance.quote,
        )
        for stance in found
    ]


def cast_votes(heard: Sequence[Heard], basis: Basis) -> tuple[tuple[HeardVote, ...], Families]:
    """What is counted: each word with its sense and its family of evidence."""
    sense_of = senses(basis.question, [item.row.title for item in heard])
    config = FamilyConfig(basis.cosine_limit, basis.copiers, one_voice=True)
    families = find_families([_passage(item, basis) for item in heard], config)
    pairs = zip(heard, sense_of, strict=True)
    return tuple(_vote(item, sense, families) for item, sense in pairs), families


def judge_passages(heard: Sequence[Heard], basis: Basis, *, stated: str | None = None) -> Verdict:
    """The verdict on `heard`; `stated` is what an answer that is written already says."""
    votes, families = cast_votes(heard, basis)
    rows = {item.row.source_id: item.row for item in heard}
    sources = tuple(_believed(rows[source_id]) for source_id in sorted(rows))
    takes_several = asks_for_several(basis.question)
    calibration = None if basis.calibration is None else to_chance_basis(basis.calibration)
    config = decision_config(calibration, sources, takes_several=takes_several, stated=stated)
    decision = decide([to_vote(vote) for vote in votes], to_posteriors(sources), config)
    names = {source.source_id: source.source for source in sources}
    given = {(belief.answer, belief.sense) for belief in decision.answers}
    others = [b for b in decision.all_answers if (b.answer, b.sense) not in given]
    return Verdict(
        kind=decision.kind,
        probability=probability_of(decision),
        is_calibrated=is_learned_here(calibration),
        calibration=calibration,
        trust=basis.trust,
        reliability_version=basis.version,
        takes_several=takes_several,
        answers=tuple(judged(belief, names) for belief in decision.answers),
        others=tuple(judged(belief, names) for belief in others),
        votes=votes,
        joins=families.joins,
        sources=sources,
        stated=stated,
    )


def to_chance_basis(calibration: Calibration) -> ChanceBasis:
    """The knots rounded as they are stored, so that a verdict can be worked out again exactly."""
    calibrator = calibration.calibrator
    return ChanceBasis(
        origin=calibration.origin,
        answers=calibration.answers,
        thumbs=calibration.thumbs,
        version=calibration.version,
        accept=round(calibration.accept or ACCEPT, DIGITS),
        method=calibrator.method,
        score_odds=tuple(round(odds, DIGITS) for odds in calibrator.score_odds),
        chance_odds=tuple(round(odds, DIGITS) for odds in calibrator.chance_odds),
    )


def decision_config(
    basis: ChanceBasis | None,
    sources: Sequence[BelievedSource],
    *,
    takes_several: bool,
    stated: str | None = None,
) -> DecisionConfig:
    newcomers = frozenset(source.source_id for source in sources if source.is_new)
    plain = DecisionConfig(takes_several=takes_several, newcomers=newcomers, stated=stated)
    if basis is None:
        return plain
    knots = tuple(basis.score_odds), tuple(basis.chance_odds)
    calibrator = Calibrator(basis.method, *knots, labels=basis.answers + basis.thumbs)
    return replace(plain, accept=basis.accept, calibrator=calibrator)


def is_learned_here(basis: ChanceBasis | None) -> bool:
    return basis is not None and basis.origin == "labels"


def to_vote(vote: HeardVote) -> Vote:
    return Vote(
        passage_id=vote.chunk_id,
        source=vote.source_id,
        family=vote.family,
        answer=vote.answer,
        alignment=vote.alignment,
        sense=vote.sense,
    )


def to_posteriors(sources: Sequence[BelievedSource]) -> dict[int, BetaPosterior]:
    """Runs of before stored four digits, which make 0 of a very small figure."""
    least = LEAST_SHOWN
    return {
        source.source_id: BetaPosterior(max(source.alpha, least), max(source.beta, least))
        for source in sources
    }


def probability_of(decision: Decision) -> float | None:
    """The first answer's chance, or where several are given that of the least likely."""
    chances = [belief.chance for belief in decision.answers]
    if not chances:
        return None
    return min(chances) if decision.kind == "several" else chances[0]


def judged(belief: AnswerBelief, names: Mapping[int, str]) -> JudgedAnswer:
    return JudgedAnswer(
        answer=belief.answer,
        sense=belief.sense,
        probability=belief.chance,
        wording=belief.wording,
        families=len(belief.families),
        sources=tuple(names[source] for source in belief.sources),
    )


def _passage(item: Heard, basis: Basis) -> Passage:
    row = item.row
    return Passage(
        row.chunk_id,
        row.source_id,
        row.text,
        answer=item.answer,
        embedding=basis.vectors.get(row.chunk_id),
        source_first_day=row.first_day,
    )


def _vote(item: Heard, sense: str, families: Families) -> HeardVote:
    row = item.row
    return HeardVote(
        chunk_id=row.chunk_id,
        document_id=row.document_id,
        source_id=row.source_id,
        source=row.source,
        title=row.title,
        answer=item.answer,
        said=item.said,
        alignment=item.alignment,
        sense=sense,
        family=families.family_of[row.chunk_id],
        rung=item.rung,
        quote=item.quote,
    )


def _believed(row: PassageRow) -> BelievedSource:
    belief = prior_with_mean(row.reliability, row.strength)
    return BelievedSource(row.source_id, row.source, belief.alpha, belief.beta, row.is_new)
