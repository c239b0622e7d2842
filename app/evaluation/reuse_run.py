"""One run of `larder eval reuse`: what was asked for, and the rows it gave."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from app.decoder.identity import digest_weights
from app.errors import InvalidValue
from app.evaluation.bench_model import Bench, open_bench
from app.evaluation.datasets import Layout, Others, PrimerChoice, load_cases
from app.evaluation.reuse_quality import ReuseEvaluation, make_arms, summarise
from app.evaluation.ttft import bench_ttft
from app.evaluation.ttft import make_arms as make_ttft_arms
from app.settings import Settings
from kvstore.codecs import find_codec
from kvstore.codecs.measure import measure_codec
from kvstore.encodings import ENCODINGS
from kvstore.entry_file import to_bytes
from kvstore.links import load_links
from kvstore.policies import find_policy
from kvstore.types import ChunkKV

RAM_BYTES = 2**30
TTFT_CHUNKS, TTFT_CHUNK_TOKENS, TTFT_REQUESTS = (2, 4, 8), 220, 3


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
    others: Others
    codecs: tuple[str, ...]
    keep_shares: tuple[float, ...]
    links: Path | None
    answer_tokens: int
    dtype: str
    seed: int

    @property
    def stores(self) -> list[tuple[str, float]]:
        """(codec, share of the tokens kept): every codec at the first share, then the first codec
        at the others."""
        codec, share = self.codecs[0], self.keep_shares[0]
        others = [(codec, other) for other in self.keep_shares[1:]]
        return [*((one, share) for one in self.codecs), *others]

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
    _check_encodings(run.encodings)
    layout = Layout(run.passages, run.join, run.primers, run.others)
    cases = load_cases(run.dataset, run.file_format, run.questions, layout=layout, seed=run.seed)
    arms = make_arms(run.policies, run.ratios, run.encodings)
    rows = []
    for codec, keep_share in run.stores:
        with open_bench(settings, dtype=run.dtype, ram_bytes=RAM_BYTES, codec=codec) as opened:
            bench = _with_links(opened, run.links)
            evaluation = ReuseEvaluation(bench, run.answer_tokens, run.encodings, keep_share)
            outcomes = evaluation.run(cases, arms, progress)
            sample = evaluation.sample(cases[-1])
        beside = {"codec": codec, "keep_share": keep_share, **_size_of(sample, codec)}
        rows += [row | beside for row in summarise(outcomes)]
    return rows


def _size_of(sample: ChunkKV | None, codec: str) -> dict[str, float | None]:
    """Of a real entry: bytes by token of the chunk, and what coding it takes."""
    if sample is None:
        return dict.fromkeys(("bytes_per_token", "encode_mb_s", "decode_mb_s"))
    figures = measure_codec(find_codec(codec), sample.keys, sample.values)
    return {
        "bytes_per_token": len(to_bytes(sample, find_codec(codec))) / len(sample.token_ids),
        "encode_mb_s": figures.encode_mb_s,
        "decode_mb_s": figures.decode_mb_s,
    }


def run_times(run: ReuseRun, settings: Settings) -> list[dict[str, object]]:
    """First-token times at several prompt lengths, for the report's plot."""
    arms = make_ttft_arms("question", (0.0, 0.05))
    rows: list[dict[str, object]] = []
    with open_bench(settings, dtype=run.dtype, ram_bytes=RAM_BYTES) as bench:
        for chunks in TTFT_CHUNKS:
            rows += bench_ttft(
                bench,
                arms,
                chunks=chunks,
                chunk_tokens=TTFT_CHUNK_TOKENS,
                requests=TTFT_REQUESTS,
                progress=lambda: None,
            )
    return rows


def _with_links(bench: Bench, path: Path | None) -> Bench:
    if path is None:
        return bench
    hidden = int(bench.runner.model.get_input_embeddings().weight.shape[1])
    weights = digest_weights(bench.directory)
    return replace(bench, links=load_links(path, hidden, bench.runner.vocabulary, weights))


def _check_encodings(names: tuple[str, ...]) -> None:
    known = (*ENCODINGS, "variant")
    for name in (part for joined in names for part in joined.split("+")):
        if name not in known:
            raise InvalidValue(f"unknown encoding {name!r}; known: {', '.join(known)}")
