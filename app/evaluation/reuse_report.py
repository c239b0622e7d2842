"""What `larder eval reuse --report` leaves in a folder: figures as JSON, a table, three plots."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.evaluation.charts import Axis, Point, line_chart
from app.evaluation.report import Row, machine

COLUMNS = (
    "codec",
    "encoding",
    "policy",
    "ratio",
    "kl_mean",
    "kl_low",
    "kl_high",
    "top1_agreement",
    "f1",
    "recomputed_share",
    "bytes_per_token",
    "n",
)
NO_DRIFT = 1e-5  # what a KL of zero is drawn as: arms that recompute everything


def write_report(
    folder: Path, settings: Row, rows: Sequence[Row], times: Sequence[Row] = ()
) -> list[Path]:
    """Write `reuse.json`, `reuse.md` and the plots there is data for; returns their paths.

    rows: of `larder eval reuse`; times: of `larder bench ttft`, several prompt lengths.
    """
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": machine(),
        "settings": dict(settings),
        "rows": [dict(row) for row in rows],
        "ttft_rows": [dict(row) for row in times],
    }
    texts = {
        "reuse.json": json.dumps(document, indent=2, default=str) + "\n",
        "reuse.md": _table(settings, rows),
        "drift.svg": _drift(rows),
    }
    if times:
        texts["ttft.svg"] = _first_token(times)
    if len({row["codec"] for row in rows}) > 1:
        texts["bytes.svg"] = _bytes(rows)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def _table(settings: Row, rows: Sequence[Row]) -> str:
    told = ", ".join(f"{name} {value}" for name, value in settings.items())
    lines = [
        "# Reuse against the full prefill",
        "",
        f"{told}. KL in nats over the answer's tokens, 95 % intervals over questions.",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
    ]
    lines += ["| " + " | ".join(_cell(row.get(name)) for name in COLUMNS) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 1000 else f"{value:.4f}"
    return "" if value is None else str(value)


def _drift(rows: Sequence[Row]) -> str:
    """Each encoding and policy of the first codec is a line that begins at nothing recomputed."""
    codec = rows[0]["codec"]
    shown = [row for row in rows if row["codec"] == codec and row["policy"] != "all"]
    none = {row["encoding"]: _point(row) for row in shown if row["policy"] == "none"}
    lines: dict[str, list[Point]] = defaultdict(list)
    mended = {row["encoding"] for row in shown if row["policy"] != "none"}
    for row in shown:
        if row["policy"] == "none" and row["encoding"] in mended:
            continue
        name = f"{row['encoding']}, {row['policy']}"
        if not lines[name] and row["encoding"] in none:
            lines[name].append(none[row["encoding"]])
        lines[name].append(_point(row))
    return line_chart(
        "Drift against what is recomputed",
        Axis("share of the stored tokens recomputed"),
        Axis("mean KL to the full prefill", is_log=True),
        lines,
    )


def _point(row: Row) -> Point:
    return _number(row, "recomputed_share"), max(_number(row, "kl_mean"), NO_DRIFT)


def _first_token(times: Sequence[Row]) -> str:
    lines: dict[str, list[Point]] = defaultdict(list)
    for row in times:
        ratio = "" if row["ratio"] is None else f" at {row['ratio']}"
        point = (_number(row, "prompt_tokens"), _number(row, "ttft_ms_p50"))
        lines[f"{row['mode']}{ratio}"].append(point)
    return line_chart(
        "First token against prompt length",
        Axis("prompt tokens"),
        Axis("median time to the first token, ms", is_log=True),
        lines,
    )


def _bytes(rows: Sequence[Row]) -> str:
    lines: dict[str, list[Point]] = defaultdict(list)
    for row in rows:
        if row["policy"] == "none" and row["encoding"] == rows[0]["encoding"]:
            point = (_number(row, "bytes_per_token"), max(_number(row, "kl_mean"), NO_DRIFT))
            lines[str(row["codec"])].append(point)
    return line_chart(
        "Drift against bytes, nothing recomputed",
        Axis("bytes a token of the chunk's entry", is_log=True),
        Axis("mean KL to the full prefill", is_log=True),
        lines,
    )


def _number(row: Mapping[str, object], name: str) -> float:
    return float(str(row[name]))
