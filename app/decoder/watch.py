"""The production watch: which requests are checked, what came out, and when reuse is switched off.

Coins are tossed before a request is looked at, so that nothing about it decides. Drift over the
limit suspends the collection it was seen in, and with a second one the whole model; a suspension
lasts until calibration or an operator lifts it. Knows no model and no SQL.
"""

import logging
import random
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from app.db.rows import SuspensionRow, WatchedRow
from app.decoder.drift import DriftDetector
from kvstore import reasons
from kvstore.full_check import Drift

logger = logging.getLogger(__name__)

Arm = Literal["off", "on"]

LIMIT_FACTOR = 2.0  # production may drift twice as far as calibration allowed before it is stopped
REMEMBERED = 2_000  # observations that a restart and a suspension look back on
COLLECTIONS_FOR_ALL = 2  # suspended collections that take the model along


class WatchRows(Protocol):
    """app.db.watch.Watch."""

    async def add(self, row: WatchedRow) -> None: ...

    async def drifts(self, identity: str, limit: int) -> Sequence[tuple[int | None, float]]:
        """(collection, KL) since the last reset, oldest first."""
        ...

    async def suspend(self, identity: str, collection_id: int | None, reason: str) -> None: ...

    async def suspensions(self, identity: str) -> Sequence[SuspensionRow]: ...

    async def reset(self, identity: str) -> int: ...


@dataclass(frozen=True, slots=True)
class Shares:
    """Of requests: checked after the answer; and run without reuse, to compare with as many."""

    watch: float = 0.0
    holdout: float = 0.0


@dataclass(frozen=True, slots=True)
class Lot:
    """What was drawn for one request."""

    watched: bool = False
    arm: Arm | None = None  # of the comparison of first-token times


NO_LOT = Lot()


class ReuseWatch:
    """For one model identity. `limit`: mean KL in nats that answers may not exceed for long."""

    def __init__(
        self, rows: WatchRows, identity: str, limit: float, shares: Shares, seed: int
    ) -> None:
        self.limit = limit
        self.shares = shares
        self._rows = rows
        self._identity = identity
        self._coins = random.Random(seed)
        self._counts: Counter[str] = Counter()
        self._seen: deque[tuple[int | None, float]] = deque(maxlen=REMEMBERED)
        self._suspended: tuple[SuspensionRow, ...] = ()
        self._detectors: dict[int | None, DriftDetector] = {}

    async def start(self) -> None:
        """Take up suspensions and evidence of before."""
        self._suspended = tuple(await self._rows.suspensions(self._identity))
        self._seen.extend(await self._rows.drifts(self._identity, REMEMBERED))
        self._replay()

    def draw(self) -> Lot:
        """Toss both coins; of those drawn for the comparison, half run without reuse."""
        watch, compare = self._coins.random(), self._coins.random()
        if compare < self.shares.holdout:
            return Lot(arm="off")
        if compare < 2 * self.shares.holdout:
            return Lot(watched=watch < self.shares.watch, arm="on")
        return Lot(watched=watch < self.shares.watch)

    def refusal(self, collection_id: int | None) -> str | None:
        """The reason code where this collection may reuse exactly only."""
        off = {row.collection_id for row in self._suspended}
        return reasons.DRIFT_OVER_LIMIT if off & {None, collection_id} else None

    @property
    def suspended(self) -> tuple[SuspensionRow, ...]:
        return self._suspended

    def sentence(self) -> str | None:
        """What is switched off and what to do, for people; None where nothing is."""
        if not self._suspended:
            return None
        off = {row.collection_id for row in self._suspended}
        names = ", ".join(f"“{row.collection}”" for row in self._suspended)
        what = "every collection" if None in off else f"the collection {names}"
        return (
            f"{reasons.DRIFT_OVER_LIMIT}: Answers drifted more than {self.limit:g} nats a token "
            f"from a full prefill, so {what} gets exact reuse only. Run `larder calibrate`, or "
            "lift it with POST /api/v1/cache/watch/reset."
        )

    def note_skipped(self) -> None:
        """A check that was drawn but left out because questions were waiting."""
        self._counts["skipped"] += 1

    async def note_drift(self, collection_id: int | None, drift: Drift, served_ms: float) -> None:
        """Keep the outcome of a check, and suspend where it is one too many."""
        self._counts["checked"] += 1
        row = WatchedRow(
            identity=self._identity,
            collection_id=collection_id,
            arm="watch",
            first_token_ms=served_ms,
            full_ms=drift.full_ms,
            kl=drift.kl,
            top1_agreement=drift.top1_agreement,
            num_tokens=drift.num_tokens,
        )
        await self._rows.add(row)
        self._seen.append((collection_id, drift.kl))
        if self.refusal(collection_id) is not None:
            return  # it was suspended while this one was being checked
        own = self._detector(collection_id).add(drift.kl)
        everyone = collection_id is not None and self._detector(None).add(drift.kl)
        if own:
            await self._suspend(collection_id)
        elif everyone:
            await self._suspend(None)

    async def note_arm(self, collection_id: int | None, arm: Arm, first_token_ms: float) -> None:
        """Keep the first-token time of a request that was drawn for the comparison."""
        self._counts[f"holdout_{arm}"] += 1
        await self._rows.add(
            WatchedRow(
                identity=self._identity,
                collection_id=collection_id,
                arm=arm,
                first_token_ms=first_token_ms,
            )
        )

    async def reset(self) -> int:
        """Lift every suspension and forget the evidence; how many were lifted."""
        lifted = await self._rows.reset(self._identity)
        self._suspended = ()
        self._seen.clear()
        self._detectors.clear()
        return lifted

    def counts(self) -> dict[str, float]:
        """Since the start: checks made and left out, requests of both arms of the comparison."""
        names = ("checked", "skipped", "holdout_off", "holdout_on")
        return {name: float(self._counts[name]) for name in names}

    @property
    def evidence(self) -> float:
        """For drift over the limit, all collections together (app.decoder.drift)."""
        return self._detectors[None].evidence if None in self._detectors else 0.0

    async def _suspend(self, collection_id: int | None) -> None:
        await self._rows.suspend(self._identity, collection_id, reasons.DRIFT_OVER_LIMIT)
        collections = {row.collection_id for row in self._suspended} | {collection_id}
        if None not in collections and len(collections) >= COLLECTIONS_FOR_ALL:
            await self._rows.suspend(self._identity, None, reasons.DRIFT_OVER_LIMIT)
        self._suspended = tuple(await self._rows.suspensions(self._identity))
        self._replay()
        logger.error("%s", self.sentence())

    def _replay(self) -> None:
        """Evidence without the collections that are suspended already."""
        self._detectors.clear()
        for collection_id, drift in self._seen:
            if self.refusal(collection_id) is None:
                self._detector(collection_id).add(drift)
                if collection_id is not None:
                    self._detector(None).add(drift)

    def _detector(self, collection_id: int | None) -> DriftDetector:
        if collection_id not in self._detectors:
            self._detectors[collection_id] = DriftDetector(self.limit)
        return self._detectors[collection_id]
