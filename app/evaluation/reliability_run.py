"""What `larder eval reliability` runs: worlds or a file, then attacks, speed and plots."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from app.errors import InvalidValue
from app.evaluation.reliability_documents import load_poisoned, load_ramdocs
from app.evaluation.reliability_plots import write_plots
from app.evaluation.reliability_quality import Outcome, Row, compare
from app.evaluation.reliability_tables import load_claims
from app.evaluation.reliability_world import World
from app.evaluation.reliability_worlds import make_world

FORMATS = ("claims", "ramdocs", "poisoned")
PLOTTED = "larder"

Progress = Callable[[], None]
Maker = Callable[[int], World]


def check_names(chosen: str, known: Sequence[str], noun: str) -> list[str]:
    """Comma-separated names, all of them known. "none" is an empty list, "all" the whole one."""
    if chosen in ("none", "all"):
        return list(known) if chosen == "all" else []
    names = [name.strip() for name in chosen.split(",")]
    for name in names:
        if name not in known:
            raise InvalidValue(f"unknown {noun} {name!r}; known: {', '.join(known)}")
    return names


def file_world(path: Path, file_format: str, truth: Path | None) -> Maker:
    """Draws of a file's world; a table of claims is the same in each."""
    if file_format == "claims":
        truths = truth or path.with_name(path.name.replace("claims", "truth"))
        if truths == path:
            raise InvalidValue("a table of claims needs --truth, the table of truths")
        world = load_claims(path, truths)
        return lambda _: world
    if file_format == "ramdocs":
        return lambda seed: load_ramdocs(path, seed)
    if file_format == "poisoned":
        return lambda seed: load_poisoned(path, seed)
    raise InvalidValue(f"unknown format {file_format!r}; known: {', '.join(FORMATS)}")


def run_worlds(
    makers: Mapping[str, Maker],
    estimators: Sequence[str],
    draws: Mapping[str, int],
    progress: Progress,
    plots: Path | None = None,
) -> list[Row]:
    """Rows of every world and estimator; plots of our own one where a folder is named."""
    rows: list[Row] = []
    for name, make in makers.items():
        found, outcomes = compare(make, estimators, draws[name], progress)
        rows += found
        if plots is not None and PLOTTED in outcomes:
            _plot(plots, name, outcomes[PLOTTED])
    return rows


def _plot(folder: Path, world: str, outcomes: Sequence[Outcome]) -> None:
    stated = np.concatenate([outcome.stated for outcome in outcomes])
    right = np.concatenate([outcome.right for outcome in outcomes])
    write_plots(folder, world, PLOTTED, stated, right)


def world_makers(names: Sequence[str]) -> dict[str, Maker]:
    return {name: partial(make_world, name) for name in names}
