"""What `larder eval reliability` runs: worlds or a file, then attacks, speed and plots."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from app.errors import InvalidValue
from app.evaluation.reliability_documents import Item, poisoned_world, ramdocs_world, read_file
from app.evaluation.reliability_plots import write_plots
from app.evaluation.reliability_quality import Outcome, Row, compare
from app.evaluation.reliability_reading import Reader, read_poisoned, read_ramdocs, sampled
from app.evaluation.reliability_tables import load_claims
from app.evaluation.reliability_world import World
from app.evaluation.reliability_worlds import make_world

FORMATS = ("claims", "ramdocs", "ramdocs_unlisted", "poisoned")
PLOTTED = "larder"
WORLD_OF: dict[str, Callable[[list[Item], int], World]] = {
    "ramdocs": ramdocs_world,
    "ramdocs_unlisted": partial(ramdocs_world, has_senses=False),
    "poisoned": poisoned_world,
}
READ = {
    "ramdocs": read_ramdocs,
    "ramdocs_unlisted": read_ramdocs,
    "poisoned": read_poisoned,
}

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


def file_world(
    path: Path,
    file_format: str,
    truth: Path | None,
    sample: int | None = None,
    reader: Reader | None = None,
    progress: Progress = lambda: None,
) -> Maker:
    """Draws of a file's world; a table of claims is the same in each, and has nothing to read.

    Of the other formats `sample` questions are taken; `reader` reads their documents, once.
    """
    if file_format == "claims" and (sample is not None or reader is not None):
        raise InvalidValue("a table of claims has no documents: leave --reader and --sample out")
    if file_format == "claims":
        truths = truth or path.with_name(path.name.replace("claims", "truth"))
        if truths == path:
            raise InvalidValue("a table of claims needs --truth, the table of truths")
        world = load_claims(path, truths)
        return lambda _: world
    if file_format in WORLD_OF:
        items = sampled(read_file(path, file_format), sample)
        if reader is not None:
            items = READ[file_format](items, reader, progress)
        return lambda seed: WORLD_OF[file_format](items, seed)
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
