"""Why an answer was believed: for and against, what counted once, and what each belief rests on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reliability.decision import Decision, DecisionConfig, Vote, decide
from reliability.families.types import Families, Join
from reliability.observations import ObservationLog
from reliability.posterior import CredibleInterval, credible_interval
from reliability.types import BetaPosterior


@dataclass(frozen=True, slots=True)
class SourceReason:
    """A source's belief with its 80 % interval and the observations behind it."""

    source: int
    belief: CredibleInterval
    checked_by_people: int
    cross_checked: int
    unchecked: int


@dataclass(frozen=True, slots=True)
class FamilyReason:
    """One piece of evidence: who holds it, what it says, and why its members count once."""

    family: int
    answer: str
    sources: tuple[int, ...]
    counted_once: tuple[Join, ...]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The decision had one source been silent."""

    without: int
    decision: Decision
    changes: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    decision: Decision
    supporting: tuple[FamilyReason, ...]
    opposing: tuple[FamilyReason, ...]
    sources: tuple[SourceReason, ...]
    what_if: tuple[WhatIf, ...]
    version: str  # of the observations that all of this is folded from


def explain(
    votes: Sequence[Vote],
    posteriors: Mapping[int, BetaPosterior],
    log: ObservationLog,
    families: Families | None = None,
    config: DecisionConfig | None = None,
    owners: Mapping[int, int] | None = None,
) -> Explanation:
    """Everything a page shows about one answer; votes are stored, so nothing is decoded again.

    `owners`: what sources were merged into since; `log` has what these said under that one's id.
    """
    decision = decide(votes, posteriors, config)
    given = {belief.answer for belief in decision.answers}
    reasons = _family_reasons(votes, families)
    sources = sorted({vote.source for vote in votes})
    return Explanation(
        decision,
        tuple(reason for reason in reasons if reason.answer in given),
        tuple(reason for reason in reasons if reason.answer not in given),
        tuple(_source_reasons(sources, posteriors, log, owners or {})),
        tuple(what_if(votes, posteriors, decision, source, config) for source in sources),
        log.version(),
    )


def what_if(
    votes: Sequence[Vote],
    posteriors: Mapping[int, BetaPosterior],
    decision: Decision,
    source: int,
    config: DecisionConfig | None = None,
) -> WhatIf:
    """The same votes without one source."""
    other = decide(votes, posteriors, config, without=(source,))
    before = (decision.kind, tuple(b.answer for b in decision.answers))
    return WhatIf(source, other, before != (other.kind, tuple(b.answer for b in other.answers)))


def _family_reasons(votes: Sequence[Vote], families: Families | None) -> list[FamilyReason]:
    groups: dict[tuple[int, str], list[Vote]] = {}
    for vote in votes:
        groups.setdefault((vote.family, vote.answer), []).append(vote)
    reasons = []
    for (family, answer), members in groups.items():
        passages = {vote.passage_id for vote in members}
        joins = tuple(j for j in families.joins if {j.one, j.other} <= passages) if families else ()
        sources = tuple(sorted({vote.source for vote in members}))
        reasons.append(FamilyReason(family, answer, sources, joins))
    return reasons


def _source_reasons(
    sources: Sequence[int],
    posteriors: Mapping[int, BetaPosterior],
    log: ObservationLog,
    owners: Mapping[int, int],
) -> list[SourceReason]:
    """Counts each source's questions: checked by a person, crossed with others, or neither."""
    labelled = {row.question for row in log.rows if row.kind == "label"}
    said = {(row.question, row.source) for row in log.rows if row.source is not None and row.answer}
    speakers = Counter(question for question, _ in said)
    reasons = []
    for source in sources:
        own = [question for question, speaker in said if speaker == owners.get(source, source)]
        by_people = sum(question in labelled for question in own)
        crossed = sum(q not in labelled and speakers[q] > 1 for q in own)
        belief = credible_interval(posteriors.get(source, BetaPosterior(1, 1)))
        alone = len(own) - by_people - crossed
        reasons.append(SourceReason(source, belief, by_people, crossed, alone))
    return reasons
