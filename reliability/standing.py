"""What a version of beliefs says beyond each source's posterior, read together."""

from dataclasses import dataclass

from reliability.calibration import Calibration
from reliability.families.types import Pair


@dataclass(frozen=True, slots=True)
class Standing:
    version: int  # 0 before the first
    calibration: Calibration  # how scores of answers become chances
    copiers: frozenset[Pair]  # sources (ids, the smaller first) whose common answers count once
