"""One run of `larder eval reuse`: what was asked for, and the rows it gave."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import cast

from app.errors import InvalidValue
from app.evaluation.bench_model import open_bench
from app.evaluation.datasets import Layout, PrimerChoice, load_cases
from app.evaluation.reuse_quality import ReuseEvaluation, make_arms, summarise
from app.settings import Settings
from kvstore.encodings import ENCODINGS
from kvstore.links import load_links
from kvstore.policies import find_policy
from kvstore.types import Encoding

RAM_BYTES = 2**30


@dataclass(frozen=True, slots=True)
class ReuseRun:
    dataset: Path
    file_format: str
    questions: int
    passages: int
    policies: tuple[str, ...]
    ratios: tuple[float, ...]
    encodings: tuple[str, ...]
    join: int
    primers: PrimerChoice
    codec: str
    keep_share: float
    links: Path | None
    answer_tokens: int
    dtype: str
    seed: int

    def as_settings(self) -> dict[str, object]:
        """For the printed figures: file names without their folders."""
        shown = asdict(self) | {"dataset": self.dataset.name}
        return shown | {"links": self.links.name if self.links else None}


def run_reuse(
    run: ReuseRun, settings: Settings, progress: Callable[[], None]
) -> list[dict[str, object]]:
    """One row an arm. Raises InvalidValue or InvalidReuse for names that do not exist."""
    for policy in run.policies:
        find_policy(policy)
    encodings = _encodings(run.encodings)
    layout = Layout(run.passages, run.join, run.primers)
    cases = load_cases(run.dataset, run.file_format, run.questions, layout=layout, seed=run.seed)
    arms = make_arms(run.policies, run.ratios, encodings)
    with open_bench(settings, dtype=run.dtype, ram_bytes=RAM_BYTES, codec=run.codec) as bench:
        if run.links is not None:
            runner = bench.runner
            hidden = int(runner.model.get_input_embeddings().weight.shape[1])
            links = load_links(run.links, hidden, runner.vocabulary)
            bench = replace(bench, links=links)
        evaluation = ReuseEvaluation(bench, run.answer_tokens, encodings, run.keep_share)
        outcomes = evaluation.run(cases, arms, progress)
    beside = {"codec": run.codec, "keep_share": run.keep_share}
    return [row | beside for row in summarise(outcomes)]


def _encodings(names: tuple[str, ...]) -> tuple[Encoding, ...]:
    known = (*ENCODINGS, "variant")
    for name in names:
        if name not in known:
            raise InvalidValue(f"unknown encoding {name!r}; known: {', '.join(known)}")
    return cast(tuple[Encoding, ...], names)
