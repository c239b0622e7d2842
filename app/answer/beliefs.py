"""Beliefs about sources where nothing was observed: what people stated is all there is."""

from reliability.calibration import Calibrator
from reliability.observations import ObservationLog


class StatedBeliefs:
    """app.answer.protocols.Beliefs."""

    async def version(self) -> int:
        return 0

    async def calibrator(self) -> Calibrator | None:
        return None

    async def observations(self) -> ObservationLog:
        return ObservationLog()
