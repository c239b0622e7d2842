"""Beliefs about sources, kept in step with the observations: estimated, updated, rebuilt.

Keeps in hand what it read of a version and took in since; that is computed again wherever another
process on the same database has written.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from app.db.observations import DAY_S, MOST_NEWS, Observations
from app.db.reliability_rows import News, NewVersion, ObservationRow, PosteriorRow, VersionRow
from app.db.reliability_versions import ReliabilityVersions
from app.db.runs import Runs
from app.db.sources import Sources
from app.sources.estimate import (
    DEFAULT_ESTIMATOR,
    beliefs_of,
    build_estimator,
    fit,
    fold_and_fit,
    from_rows,
    from_settings,
    to_rows,
    to_settings,
)
from app.sources.fold import Circumstances, cap_feedback, fold, within_day_cap
from app.sources.judging import default_calibration, judged_by, learn, learned_calibration
from app.sources.types import Rebuilt
from reliability.calibration import Calibration
from reliability.estimators.protocol import Estimate, Estimator
from reliability.families.types import Pair
from reliability.incremental import absorb
from reliability.observations import ObservationLog
from reliability.standing import Standing

# After so many observations an update costs about what an estimate does, and errs more.
REFIT_AFTER = MOST_NEWS
NO_STANDING = Standing(0, default_calibration(), frozenset())
WEEK_S = 7 * DAY_S

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    """A version as it was read, its estimate moved on by the rows up to `last_id`."""

    version: VersionRow | None
    circumstances: Circumstances
    estimate: Estimate | None
    estimator: Estimator
    last_id: int
    taken_in: int = 0  # rows since the version

    @property
    def id(self) -> int:
        return 0 if self.version is None else self.version.id


class Beliefs:
    def __init__(
        self,
        sources: Sources,
        observations: Observations,
        versions: ReliabilityVersions,
        runs: Runs,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sources = sources
        self._observations = observations
        self._versions = versions
        self._runs = runs
        self._clock = clock
        self._lock = asyncio.Lock()
        self._read: _Known | None = None
        self._log: tuple[tuple[int, int], ObservationLog] | None = None
        self._standing = NO_STANDING

    async def refit(self, reason: str, estimator: str | None = None) -> VersionRow:
        """A new version from all observations; the estimator of the one before unless named."""
        async with self._lock:
            return await self._refit(reason, estimator)

    async def catch_up(self) -> VersionRow | None:
        """Take in what was observed since the last version: an update in a few milliseconds, or
        a new version where people spoke, a source is new, or much was observed.

        Beliefs after an update are a fold, too: that version and the rows since, in order.
        """
        async with self._lock:
            known, news = await self._news()
            rows = news.rows
            if not rows:
                return known.version
            if known.version is None:
                return await self._refit("first observations", None)
            estimate, circumstances = known.estimate, known.circumstances
            count = known.taken_in + len(rows)
            if estimate is None or _needs_refit(rows, count, estimate, circumstances):
                return await self._refit("new observations", None)
            fresh = _within_caps(news, circumstances)
            moved = _absorb(known.estimator, estimate, fresh, circumstances)
            moving = _with_merged(_speakers(rows, circumstances), circumstances)
            await self._versions.believe(beliefs_of(moved, circumstances, sorted(moving)))
            self._read = replace(known, estimate=moved, last_id=rows[-1].id, taken_in=count)
            return known.version

    async def start(self) -> VersionRow | None:
        """Before serving: make up for what a crash cut off between observing and believing.

        What cannot be learned from does not keep the server from serving; the log has it.
        """
        try:
            return await self._made_up_for()
        except Exception:
            log.exception("beliefs could not be brought up to date; the last ones are served")
            return await self._versions.latest()

    async def _made_up_for(self) -> VersionRow | None:
        latest = await self._versions.latest()
        if latest is None:
            return await self.catch_up()
        rows = await self._observations.active(as_of=latest.last_observation_id)
        before = from_settings(latest.settings)
        digest = fold(rows, before).version()
        now = await self.circumstances()
        now_as_before = replace(now, copiers=before.copiers, today=before.today)
        if digest != latest.digest or to_settings(now_as_before) != latest.settings:
            return await self.refit("what it rested on had changed")
        return await self.catch_up()

    async def reset(self) -> None:
        """Where nothing was observed, every source stands where it starts."""
        circumstances = await self.circumstances()
        beliefs = beliefs_of(None, circumstances, list(circumstances.priors))
        await self._versions.believe(beliefs)

    async def version(self) -> int:
        """Number of the last version; 0 before the first."""
        return await self._versions.latest_id()

    async def standing(self) -> Standing:
        """As of the last version, which is asked for each time and read once."""
        version = await self.version()
        if version != self._standing.version:
            self._standing = await self._read_standing(version)
        return self._standing

    async def calibration(self) -> Calibration:
        """How scores become chances: learned with the last version, or what comes with Larder."""
        return (await self.standing()).calibration

    async def copiers(self) -> frozenset[Pair]:
        """Sources that copy from one another, as last estimated."""
        return (await self.standing()).copiers

    async def owners(self) -> Mapping[int, int]:
        """What each merged source was merged into."""
        return (await self.circumstances()).owners

    async def observations(self) -> ObservationLog:
        """All that counts now, as estimators read it; folded once until something was observed or
        a version written (a deleted document's rows leave with one)."""
        last_id = self._log[0][1] if self._log else 0
        news = await self._observations.news(last_id, {})
        at = news.version, news.rows[-1].id if news.rows else last_id
        if self._log is None or self._log[0] != at:
            rows = await self._observations.active()
            now = replace(await self.circumstances(), copiers=await self.copiers())
            self._log = at, fold(rows, now)
        return self._log[1]

    async def estimator(self) -> str:
        """Name of the rule that beliefs are learned with."""
        latest = await self._versions.latest()
        return DEFAULT_ESTIMATOR if latest is None else latest.estimator

    async def is_due(self) -> bool:
        """Something was observed since the last estimate, or that is a week old: what was seen
        fades, and who spoke long ago is known less well."""
        latest = await self._versions.latest()
        if latest is None or await self.pending():
            return bool(await self.pending())
        return self._clock() - latest.created_at >= WEEK_S

    async def pending(self) -> int:
        """Observations since the last version."""
        latest = await self._versions.latest()
        last_id = 0 if latest is None else latest.last_observation_id
        return len(await self._observations.after(last_id))

    async def rebuild(self, version_id: int) -> Rebuilt:
        """A version computed anew from the observations as they were, beside what is stored."""
        version = await self._versions.get(version_id)
        circumstances = from_settings(version.settings)
        rows = await self._observations.active(as_of=version.last_observation_id)
        log = fold(rows, circumstances)
        estimate = await asyncio.to_thread(fit, version.estimator, log, circumstances)
        found = to_rows(estimate)
        stored = await self._versions.posteriors(version_id)
        return Rebuilt(version, log.version(), tuple(found), _difference(stored, found))

    async def _read_standing(self, version: int) -> Standing:
        if not version:
            return NO_STANDING
        stored = await self._versions.calibration(version)
        settings = (await self._versions.get(version)).settings
        return Standing(
            version,
            default_calibration() if stored is None else learned_calibration(version, stored),
            from_settings(settings).copiers,
        )

    async def _news(self) -> tuple[_Known, News]:
        """What is believed, and what is not in it yet. Versions never change, so each is read
        once; another process may have written a newer one."""
        known = self._read
        if known is None:
            known = await self._known(await self._versions.latest_id())
        news = await self._observations.news(known.last_id, known.circumstances.owners)
        if known.id != news.version:
            known = await self._known(news.version)
            news = await self._observations.news(known.last_id, known.circumstances.owners)
        self._read = known
        return known, news

    async def _known(self, version_id: int) -> _Known:
        if not version_id:
            nothing = Circumstances()
            return _Known(None, nothing, None, build_estimator(DEFAULT_ESTIMATOR, nothing), 0)
        version = await self._versions.get(version_id)
        circumstances = from_settings(version.settings)
        return _Known(
            version,
            circumstances,
            from_rows(version, await self._versions.posteriors(version_id)),
            build_estimator(version.estimator, circumstances),
            version.last_observation_id,
        )

    async def _refit(self, reason: str, estimator: str | None) -> VersionRow:
        latest = await self._versions.latest()
        name = estimator or (latest.estimator if latest else DEFAULT_ESTIMATOR)
        last_id = await self._observations.last_id()
        rows = await self._observations.active(as_of=last_id)
        circumstances = replace(await self.circumstances(), today=self._clock() / DAY_S)
        circumstances, log, estimate = await asyncio.to_thread(
            fold_and_fit, name, rows, circumstances
        )
        judged = await self._runs.judged(*judged_by(rows))
        calibration = await asyncio.to_thread(learn, rows, log, estimate, judged, circumstances)
        version = NewVersion(
            reason=reason,
            estimator=name,
            settings=to_settings(circumstances),
            digest=log.version(),
            last_observation_id=last_id,
            observations=len(log.rows),
            rounds=estimate.rounds if estimate else 0,
            default_weight=float(estimate.default_weight) if estimate else 0.0,
            wrong_options=float(estimate.wrong_options) if estimate else 0.0,
        )
        beliefs = beliefs_of(estimate, circumstances, list(circumstances.priors))
        return await self._versions.write(version, to_rows(estimate), beliefs, calibration)

    async def circumstances(self) -> Circumstances:
        """What beside the observations goes into beliefs now."""
        sources = await self._sources.list()
        return Circumstances(
            {row.id: row.owner for row in sources if row.merged_into is not None},
            frozenset(row.id for row in sources if row.state == "quarantined"),
            {row.id: (row.prior_alpha, row.prior_beta) for row in sources},
        )


def _within_caps(news: News, circumstances: Circumstances) -> list[ObservationRow]:
    """Of new rows, what the caps of their days leave; earlier rows of those days count too."""
    kept = within_day_cap(cap_feedback(news.same_days, circumstances), circumstances)
    fresh = {row.id for row in news.rows}
    return [row for row in kept if row.id in fresh]


def _needs_refit(
    rows: Sequence[ObservationRow], count: int, estimate: Estimate, circumstances: Circumstances
) -> bool:
    if count > REFIT_AFTER or any(row.kind in ("label", "undo") for row in rows):
        return True
    known = set(estimate.sources) | circumstances.quarantined
    return not _speakers(rows, circumstances) <= known


def _speakers(rows: Sequence[ObservationRow], circumstances: Circumstances) -> set[int]:
    return {circumstances.owner(row.source_id) for row in rows if row.source_id is not None}


def _with_merged(owners: set[int], circumstances: Circumstances) -> set[int]:
    return owners | {merged for merged, owner in circumstances.owners.items() if owner in owners}


def _absorb(
    estimator: Estimator,
    estimate: Estimate,
    rows: Sequence[ObservationRow],
    circumstances: Circumstances,
) -> Estimate:
    """Question by question, as they were stored: rows of one time belong together."""
    for _, group in groupby(rows, key=lambda row: (row.observed_at, row.question)):
        estimate = absorb(estimator, estimate, fold(list(group), circumstances).rows)
    return estimate


def _difference(stored: Sequence[PosteriorRow], found: Sequence[PosteriorRow]) -> float | None:
    """Largest gap of any figure; infinite where they are not about the same sources and topics."""
    if not stored:
        return None if found else 0.0
    if [(row.source_id, row.topic) for row in stored] != [(r.source_id, r.topic) for r in found]:
        return math.inf
    figures = ("alpha", "beta", "low", "high", "weight", "silence")
    gaps = [
        abs(float(getattr(one, name)) - float(getattr(other, name)))
        for one, other in zip(stored, found, strict=True)
        for name in figures
    ]
    return max(gaps, default=0.0)
