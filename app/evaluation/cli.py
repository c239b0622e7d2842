"""`larder eval` and `larder bench`: every figure comes from one of these commands."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from app.errors import InvalidValue
from app.settings import load_settings

if TYPE_CHECKING:
    from app.evaluation.reliability_run import Maker

eval_app = typer.Typer(help="Measure quality on evaluation sets.", no_args_is_help=True)
bench_app = typer.Typer(help="Measure speed and memory.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
POLICIES = "none,question,value_deviation,epic,random,all"
GIB = 2**30


@eval_app.command("reuse")
def eval_reuse(
    dataset: Annotated[Path, typer.Option(help="The evaluation set.")],
    file_format: Annotated[str, typer.Option("--format", help="squad")] = "squad",
    questions: Annotated[int, typer.Option(min=1)] = 40,
    passages: Annotated[int, typer.Option(min=1, help="Passages in a prompt.")] = 5,
    policies: Annotated[str, typer.Option(help="Comma-separated.")] = POLICIES,
    ratios: Annotated[str, typer.Option(help="Comma-separated.")] = "0.05,0.15",
    encodings: Annotated[str, typer.Option(help="Comma-separated.")] = "primed,head",
    join: Annotated[int, typer.Option(min=1, help="Paragraphs in a passage.")] = 1,
    primers: Annotated[str, typer.Option(help="neighbours, nearest, opening or far")] = (
        "neighbours"
    ),
    others: Annotated[str, typer.Option(help="Other passages: of the article, or of any")] = (
        "article"
    ),
    codecs: Annotated[str, typer.Option(help="Codecs of the store, comma-separated.")] = "raw",
    keep_share: Annotated[
        str, typer.Option(help="Of a chunk's tokens, by KeyDiff, comma-separated.")
    ] = "1",
    links: Annotated[Path | None, typer.Option(help="File of link tokens.")] = None,
    answer_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 48,
    dtype: str = "float32",
    seed: int = 0,
    report: Annotated[Path | None, typer.Option(help="Folder for JSON, a table, plots.")] = None,
    as_json: Json = False,
) -> None:
    """Drift and F1 of reuse against the full prefill, method by method and ratio by ratio."""
    from app.evaluation.reuse_run import ReuseRun, run_reuse, run_times

    if primers not in {"neighbours", "nearest", "opening", "far"}:
        raise InvalidValue(f"unknown primers {primers!r}; known: neighbours, nearest, opening, far")
    if others not in {"article", "any"}:
        raise InvalidValue(f"unknown others {others!r}; known: article, any")
    run = ReuseRun(
        dataset=dataset,
        file_format=file_format,
        questions=questions,
        passages=passages,
        policies=tuple(policies.split(",")),
        ratios=tuple(numbers(ratios)),
        encodings=tuple(encodings.split(",")),
        join=join,
        primers=primers,  # type: ignore[arg-type]  # checked above
        others=others,  # type: ignore[arg-type]  # checked above
        codecs=tuple(codecs.split(",")),
        keep_shares=tuple(numbers(keep_share)),
        links=links,
        answer_tokens=answer_tokens,
        dtype=dtype,
        seed=seed,
    )
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("questions", total=questions * len(run.stores))
        rows = run_reuse(run, load_settings(), lambda: bar.advance(task))
    if report is not None:
        from app.evaluation.reuse_report import write_report

        write_report(report, run.as_settings(), rows, run_times(run, load_settings()))
    show(run.as_settings(), rows, as_json=as_json)


@eval_app.command("reliability")
def eval_reliability(
    worlds: Annotated[str, typer.Option(help="Comma-separated, `all` or `none`.")] = "",
    estimators: Annotated[str, typer.Option(help="Comma-separated, or `all`.")] = "all",
    draws: Annotated[int, typer.Option(min=1, help="Worlds drawn of each kind.")] = 20,
    dataset: Annotated[Path | None, typer.Option(help="A file instead of worlds.")] = None,
    file_format: Annotated[
        str, typer.Option("--format", help="claims, ramdocs, ramdocs_unlisted, poisoned")
    ] = "claims",
    truth: Annotated[Path | None, typer.Option(help="Truths of a table of claims.")] = None,
    reader: Annotated[str, typer.Option(help="Of documents: perfect, decoder.")] = "perfect",
    dtype: Annotated[str, typer.Option(help="Of the decoder as reader.")] = "float32",
    readings: Annotated[
        Path | None, typer.Option(help="File that keeps what the decoder read.")
    ] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="Questions of the file.")] = None,
    attacks: Annotated[str, typer.Option(help="Comma-separated, `all` or `none`.")] = "none",
    speed: Annotated[bool, typer.Option(help="Time a refit and an update too.")] = False,
    database: Annotated[
        str | None, typer.Option(help="With --speed: URL of an empty PostgreSQL database, too.")
    ] = None,
    plots: Annotated[Path | None, typer.Option(help="Folder for plots as SVG.")] = None,
    as_json: Json = False,
) -> None:
    """Estimators of truth and reliability: accuracy, calibration, attacks."""
    from app.evaluation.reliability_attack_runs import attack_rows
    from app.evaluation.reliability_attacks import ATTACKS
    from app.evaluation.reliability_run import check_names, run_worlds, world_makers
    from app.evaluation.reliability_speed import database_speed_row, speed_row
    from app.evaluation.reliability_worlds import WORLDS
    from reliability.estimators.registry import ESTIMATORS

    chosen = worlds or ("none" if dataset else "all")
    makers = world_makers(check_names(chosen, WORLDS, "world"))
    counts = dict.fromkeys(makers, draws)
    if dataset is not None:
        name = file_format if file_format != "claims" else dataset.stem.removesuffix("_claims")
        makers[name] = _file_world(dataset, file_format, truth, (reader, dtype), sample, readings)
        counts[name] = 1 if file_format == "claims" else draws
    names = check_names(estimators, (*ESTIMATORS, "oracle"), "estimator")
    tried = check_names(attacks, tuple(ATTACKS), "attack")
    total = sum(counts.values()) + draws * sum(len(ATTACKS[attack][1]) for attack in tried)
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("worlds", total=total)
        rows = run_worlds(makers, names, counts, lambda: bar.advance(task), plots)
        rows += attack_rows(tried, draws, lambda: bar.advance(task))
    if speed:
        rows.append(speed_row())
        rows += [asyncio.run(database_speed_row(url)) for url in dict.fromkeys((None, database))]
    asked = {
        "draws": draws,
        "estimators": names,
        "dataset": dataset.name if dataset else None,
        "reader": reader,
        "dtype": dtype if reader == "decoder" else None,
        "sample": sample,
    }
    show(asked, rows, as_json=as_json)


def _file_world(
    dataset: Path,
    file_format: str,
    truth: Path | None,
    reading: tuple[str, str],
    sample: int | None,
    readings: Path | None,
) -> "Maker":
    """The world of a file; read by the decoder where `reading` (who, dtype) asks for that, once
    for all draws."""
    reader, dtype = reading
    from app.evaluation.reliability_run import file_world

    if reader == "perfect":
        return file_world(dataset, file_format, truth, sample)
    if reader != "decoder":
        raise InvalidValue(f"unknown reader {reader!r}; known: perfect, decoder")
    from app.evaluation.bench_model import open_bench
    from app.evaluation.reliability_decoder import BenchReader, Readings

    with (
        open_bench(load_settings(), dtype=dtype, ram_bytes=0) as bench,
        Progress(console=Console(stderr=True)) as bar,
    ):
        task = bar.add_task("questions read", total=sample)
        read = BenchReader(bench, Readings(readings))
        return file_world(dataset, file_format, truth, sample, read, lambda: bar.advance(task))


@bench_app.command("ttft")
def bench_ttft_command(
    chunks: Annotated[int, typer.Option(min=1)] = 8,
    chunk_tokens: Annotated[int, typer.Option(min=8)] = 220,
    requests: Annotated[int, typer.Option(min=1)] = 20,
    policy: str = "question",
    ratios: Annotated[str, typer.Option(help="Comma-separated.")] = "0,0.05,0.15",
    dtypes: Annotated[str, typer.Option(help="Comma-separated.")] = "float32,bfloat16",
    codec: Annotated[str, typer.Option(help="A kv_codec.")] = "raw",
    tier: Annotated[str, typer.Option(help="ram or disk: where passages come from.")] = "ram",
    by_layer: Annotated[
        bool, typer.Option("--by-layer", help="Also place stored rows layer by layer.")
    ] = False,
    as_json: Json = False,
) -> None:
    """First-token time of `off`, `exact` and `auto` on the same prompts, warm store."""
    from app.evaluation.bench_model import open_bench
    from app.evaluation.ttft import bench_ttft, make_arms

    rows: list[dict[str, object]] = []
    arms = make_arms(policy, numbers(ratios), by_layer=by_layer)
    ram_bytes = {"ram": 4 * GIB, "disk": 0}[tier]
    names = dtypes.split(",")
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("prompts", total=requests * len(names))
        for name in names:
            with open_bench(load_settings(), dtype=name, ram_bytes=ram_bytes, codec=codec) as bench:
                rows += bench_ttft(
                    bench,
                    arms,
                    chunks=chunks,
                    chunk_tokens=chunk_tokens,
                    requests=requests,
                    progress=lambda: bar.advance(task),
                )
    asked = {
        "chunks": chunks,
        "chunk_tokens": chunk_tokens,
        "requests": requests,
        "codec": codec,
        "tier": tier,
    }
    show(asked, rows, as_json=as_json)


@bench_app.command("vote")
def bench_vote_command(
    dataset: Annotated[Path, typer.Option(help="The file with questions and documents.")],
    file_format: Annotated[str, typer.Option("--format", help="ramdocs.")] = "ramdocs",
    questions: Annotated[int, typer.Option(min=1)] = 20,
    answer_tokens: Annotated[int, typer.Option(min=1)] = 16,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Tokens and time of asking each source alone: over stored KV against full prefills."""
    from app.evaluation.bench_model import open_bench
    from app.evaluation.vote_cost import bench_vote, load_vote_cases

    cases = load_vote_cases(dataset, file_format, questions, seed)
    with (
        Progress(console=Console(stderr=True)) as bar,
        open_bench(load_settings(), dtype=dtype, ram_bytes=GIB) as bench,
    ):
        task = bar.add_task("questions", total=len(cases))
        rows = bench_vote(
            bench, cases, answer_tokens=answer_tokens, progress=lambda: bar.advance(task)
        )
    asked = {"questions": len(cases), "answer_tokens": answer_tokens, "dtype": dtype, "seed": seed}
    show(asked, rows, as_json=as_json)


@bench_app.command("decode")
def bench_decode_command(
    context: Annotated[int, typer.Option(min=1)] = 2048,
    tokens: Annotated[int, typer.Option(min=1)] = 32,
    repeats: Annotated[int, typer.Option(min=1)] = 5,
    dtypes: Annotated[str, typer.Option(help="Comma-separated.")] = "float32,bfloat16",
    as_json: Json = False,
) -> None:
    """Decode speed in tokens a second, beside stock transformers on the same weights."""
    from app.evaluation.bench_model import open_bench
    from app.evaluation.decode_speed import bench_decode

    rows: list[dict[str, object]] = []
    names = dtypes.split(",")
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("runs", total=2 * repeats * len(names))
        for name in names:
            with open_bench(load_settings(), dtype=name, ram_bytes=0) as bench:
                rows += bench_decode(
                    bench,
                    context=context,
                    tokens=tokens,
                    repeats=repeats,
                    progress=lambda: bar.advance(task),
                )
    show({"tokens": tokens, "repeats": repeats}, rows, as_json=as_json)


@bench_app.command("memory")
def bench_memory_command(
    prompt_tokens: Annotated[int, typer.Option(min=256)] = 4096, as_json: Json = False
) -> None:
    """Peak memory of a `larder serve` process of its own: idle, and under a long prompt."""
    from app.evaluation.memory import bench_memory

    rows = bench_memory(load_settings(), prompt_tokens)
    show({"prompt_tokens": prompt_tokens}, rows, as_json=as_json)


@bench_app.command("codecs")
def bench_codecs_command(
    tokens: Annotated[int, typer.Option(min=1, help="Tokens of the entry.")] = 256,
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
    repeats: Annotated[int, typer.Option(min=1)] = 5,
    as_json: Json = False,
) -> None:
    """Bytes a token, rates and largest error of every KV codec, on made-up rows."""
    from app.decoder.load import choose_dtype
    from app.evaluation.codecs import bench_codecs

    if dtype not in {"float32", "bfloat16", "float16"}:
        raise InvalidValue(f"expected float32, bfloat16 or float16, got {dtype!r}")
    rows = bench_codecs(tokens, choose_dtype(dtype), repeats)
    show({"tokens": tokens, "dtype": dtype, "repeats": repeats}, rows, as_json=as_json)


def show(
    settings: Mapping[str, object], rows: Sequence[Mapping[str, object]], *, as_json: bool
) -> None:
    from app.evaluation.report import print_figures  # imports torch: not for `--help`

    print_figures(settings, rows, as_json=as_json)


def numbers(text: str) -> list[float]:
    """Comma-separated numbers. Raises InvalidValue with the part that is none."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise InvalidValue(f"expected numbers separated by commas, got {text!r}") from error
