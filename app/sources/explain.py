"""Why a source is believed: what its belief rests on, counted; and the belief with its range."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from app.db.observations import Observations
from app.db.reliability_versions import ReliabilityVersions
from app.db.rows import SourceRow
from app.db.source_changes import SourceChanges
from app.db.sources import Sources
from app.sources.beliefs import Beliefs
from app.sources.fold import Circumstances, fold
from app.sources.types import Counts, SourceExplanation
from reliability.observations import Observation
from reliability.posterior import credible_interval
from reliability.types import BetaPosterior

EVENTS_SHOWN = 20


class Explainer:
    def __init__(
        self,
        sources: Sources,
        changes: SourceChanges,
        observations: Observations,
        versions: ReliabilityVersions,
        beliefs: Beliefs,
    ) -> None:
        self._sources = sources
        self._changes = changes
        self._observations = observations
        self._versions = versions
        self._beliefs = beliefs

    async def explain(self, source_id: int) -> SourceExplanation:
        """Raises `SourceNotFound`. Merged sources are explained as what they were merged into."""
        row = await self._sources.get(source_id)
        row = row if row.merged_into is None else await self._sources.get(row.merged_into)
        everyone = await self._sources.list()
        merged = [other for other in everyone if other.merged_into == row.id]
        members = [row.id, *(other.id for other in merged)]
        version = await self._versions.latest()
        topics = [] if version is None else await self._versions.posteriors(version.id)
        interval = credible_interval(BetaPosterior(row.alpha, row.beta))
        return SourceExplanation(
            source=row,
            aliases=tuple(await self._changes.aliases(row.id)),
            merged=tuple(other.name for other in merged),
            counts=await self._counts(row, members, everyone),
            low=interval.low,
            high=interval.high,
            topics=tuple(p for p in topics if p.source_id == row.id and p.topic),
            version=version,
            pending=await self._beliefs.pending(),
            events=tuple(await self._changes.events(members, EVENTS_SHOWN)),
        )

    async def _counts(
        self, row: SourceRow, members: Sequence[int], everyone: Sequence[SourceRow]
    ) -> Counts:
        rows = await self._observations.active()
        own = [item for item in rows if item.source_id in members]
        owners = {other.id: other.owner for other in everyone}
        log = fold(rows, Circumstances(owners, copiers=await self._beliefs.copiers())).rows
        asked = Counter((item.kind, item.answer is not None) for item in own)
        people, crossed, alone = _checked(row.id, log)
        history = await self._observations.undone_count(members)
        return Counts(
            answers=asked["probe", True],
            silent=asked["probe", False],
            crosschecks=asked["crosscheck", True],
            labels=asked["label", True],
            feedback=asked["feedback", True],
            undone=history,
            checked_by_people=people,
            cross_checked=crossed,
            unchecked=alone,
            copies=_copies(row.id, log),
        )


def _checked(source: int, log: Sequence[Observation]) -> tuple[int, int, int]:
    """The source's questions: a person spoke about them, another source did, or nobody."""
    spoken = {row.question for row in log if row.kind == "label"}
    speakers: dict[str, set[int]] = defaultdict(set)
    for row in log:
        if row.source is not None and row.answer:
            speakers[row.question].add(row.source)
    own = [question for question, who in speakers.items() if source in who]
    people = sum(question in spoken for question in own)
    crossed = sum(len(speakers[q]) > 1 and q not in spoken for q in own)
    return people, crossed, len(own) - people - crossed


def _copies(source: int, log: Sequence[Observation]) -> int:
    """Claims in a family with another source's: together they are one piece of evidence."""
    members: dict[tuple[int, str, str | None], set[int]] = defaultdict(set)
    for row in log:
        if row.family is not None and row.source is not None:
            members[row.family, row.question, row.answer].add(row.source)
    return sum(source in who and len(who) > 1 for who in members.values())
