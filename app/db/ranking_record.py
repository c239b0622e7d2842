"""What `larder eval retrieval --tune` found out, as a file of the data directory."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from app.errors import DataDirDamaged

FILE = "ranking.json"


@dataclass(frozen=True, slots=True)
class RankingRecord:
    embedder: str  # identity; with another one the weight means nothing
    dense_weight: float
    dataset: str
    questions: int

    def __post_init__(self) -> None:
        weight = self.dense_weight
        if not isinstance(weight, int | float) or not math.isfinite(weight) or not 0 <= weight <= 1:
            raise ValueError(f"dense_weight must be 0 to 1: {weight!r}")


def write_ranking(root: Path, record: RankingRecord) -> None:
    """Whole or not at all: written under another name first."""
    temporary = root / f"{FILE}.tmp"
    temporary.write_text(json.dumps(asdict(record), indent=1), encoding="utf-8")
    temporary.replace(root / FILE)


def read_ranking(root: Path) -> RankingRecord | None:
    """None where nothing was tuned. Raises DataDirDamaged for a file that cannot be read."""
    file = root / FILE
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        return RankingRecord(**json.loads(text))
    except (TypeError, ValueError) as error:
        raise DataDirDamaged(
            f"{file} cannot be read ({error}); delete it, or run larder eval retrieval --tune again"
        ) from error
