"""`larder calibrate`: measure the configured model; keep a signed record of what it may reuse."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import typer
from rich.console import Console
from rich.status import Status

from app.bootstrap import open_storage
from app.cli.connect import running_server
from app.cli.output import out, print_json, print_note, print_table
from app.db.datadir import DataDir
from app.decoder.calibration import Calibration, exported, save_calibration, to_json
from app.decoder.file_digests import FileDigests
from app.decoder.identity import identify
from app.decoder.permission import written_as
from app.errors import InvalidValue
from app.evaluation.bench_model import Bench, open_bench
from app.evaluation.calibrate import Calibrator, Plan, conclude
from app.evaluation.calibration_set import built_in_cases
from app.evaluation.datasets import Layout, QuestionCase, load_cases
from app.evaluation.report import machine
from app.settings import Settings, load_settings
from kvstore.errors import UnsupportedModel
from kvstore.families import check_supported
from kvstore.keys import ModelIdentity

RAM_BYTES = 2**30
POOL = 8  # times the questions of a half are drawn, so that halves can differ in documents


@dataclass(frozen=True, slots=True)
class Asked:
    """The command's options. `dataset` None means the built-in questions."""

    plan: Plan
    dataset: Path | None
    file_format: str
    passages: int
    seed: int
    export: Path | None


def run_calibrate(asked: Asked, *, as_json: bool) -> None:
    """Exit code 1 where the outcome is that chunks may not be reused."""
    settings = load_settings()
    served = replace(asked.plan, encodings=settings.kv_encodings, keep_share=settings.kv_keep_share)
    asked = replace(asked, plan=served)
    console = Console(stderr=True)
    with Status("reading the model", console=console) as status:

        def progress(line: str) -> None:
            status.update(line)
            if not console.is_terminal:  # where a spinner shows nothing
                print_note(line)

        record, identity = _measure(settings, asked, progress)
    asyncio.run(_keep(settings, record))
    if asked.export is not None:
        _export(record, identity, asked.export)
    if as_json:
        print_json(to_json(record))
    else:
        _explain(record)
        _print_next_step(settings)
    if not record.allowed:
        raise typer.Exit(1)


def _measure(
    settings: Settings, asked: Asked, progress: Callable[[str], None]
) -> tuple[Calibration, ModelIdentity]:
    started = time.monotonic()
    logging.getLogger("kvstore").setLevel(logging.ERROR)  # proof P7 damages files on purpose
    digests = FileDigests(settings.data_dir / "digests.json")
    with open_bench(
        settings, dtype=settings.dtype, ram_bytes=RAM_BYTES, codec=settings.kv_codec
    ) as bench:
        model = bench.runner.model
        try:
            check_supported(model)
        except UnsupportedModel as error:
            raise InvalidValue(
                f"there is nothing to calibrate: chunks of this model are not reused ({error}); it "
                "is served with a full prefill"
            ) from error
        identity = identify(
            model, bench.directory, bench.template, digests.sha256, written_as(settings)
        )
        cases = _cases(asked, bench)
        findings = Calibrator(bench, identity, asked.plan).run(cases, progress)
        about = {
            "model": bench.directory.name,
            "dtype": str(model.dtype).removeprefix("torch."),
            "codec": settings.kv_codec,
            "dataset": asked.dataset.name if asked.dataset else "built-in",
            "passages": asked.passages,
            "seed": asked.seed,
            "machine": machine(),
            "seconds": round(time.monotonic() - started),
        }
        return conclude(findings, asked.plan, identity, about), identity


def _cases(asked: Asked, bench: Bench) -> list[QuestionCase]:
    if asked.dataset is None:
        return built_in_cases(bench.template, passages=asked.passages, seed=asked.seed)
    return load_cases(
        asked.dataset,
        asked.file_format,
        POOL * asked.plan.questions,
        layout=Layout(asked.passages),
        seed=asked.seed,
    )


async def _keep(settings: Settings, record: Calibration) -> None:
    secret = DataDir.create(settings.data_dir).secret()
    async with open_storage(settings) as storage:
        await save_calibration(record, storage.model_records, secret)
        await storage.watch.reset(record.identity)


def _export(record: Calibration, identity: ModelIdentity, path: Path) -> None:
    data = exported(record, identity)
    path.write_bytes(data)
    print_note(f"{path.name} has SHA-256 {hashlib.sha256(data).hexdigest()}")


def _explain(record: Calibration) -> None:
    proofs = record.evidence["proofs"]
    assert isinstance(proofs, list)
    print_table(
        ("proof", "outcome", "deviation"),
        [
            (p["name"], "passed" if p["passed"] else "FAILED", f"{p['deviation']:.1e}")
            for p in proofs
        ],
    )
    _print_rows("first half of the questions", record.evidence["searched"])
    _print_rows("second half", record.evidence["confirmed"])
    out().print(record.summary)


def _print_rows(title: str, rows: object) -> None:
    assert isinstance(rows, list)
    if not rows:
        return
    print_table(
        (title, "ratio", "mean drift", "at most", "same first choice"),
        [
            (
                row["policy"],
                row["ratio"],
                f"{row['kl_mean']:.4f}",
                f"{row['kl_high']:.4f}",
                f"{row['top1_agreement']:.3f}",
            )
            for row in rows
        ],
    )


def _print_next_step(settings: Settings) -> None:
    if running_server(settings) is not None:
        print_note("The running server goes by this record after its next start.")
    else:
        print_note("The next start goes by this record.")
