"""What `larder eval reuse --report` leaves in a folder: figures as JSON, a table, three plots."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.evaluation.charts import Axis, Point, line_chart
from app.evaluation.report import Row, machine

COLUMNS = (
    "codec",
    "keep_share",
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
Store = tuple[str, float]  # codec, share of the tokens kept
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
    if len(_stores(rows)) > 1:
        texts["bytes.svg"] = _bytes(rows)
        texts["reuse.md"] += _store_table(rows)
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
    """Each encoding and policy of the first store is a line that begins at nothing recomputed."""
    first = _store_of(rows[0])
    shown = [row for row in rows if _store_of(row) == first and row["policy"] != "all"]
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


def _store_of(row: Row) -> Store:
    return str(row["codec"]), _number(row, "keep_share")


def _stores(rows: Sequence[Row]) -> dict[Store, dict[str, Row]]:
    """By codec and share kept, in order: the rows of the first encoding, by policy and ratio."""
    found: dict[Store, dict[str, Row]] = {}
    for row in rows:
        if row["encoding"] == rows[0]["encoding"]:
            arm = "none" if row["policy"] == "none" else f"{row['policy']} at {row['ratio']}"
            found.setdefault(_store_of(row), {})[arm] = row
    return found


def _store_table(rows: Sequence[Row]) -> str:
    """What a byte buys. What a codec or KeyDiff adds is the difference to the first store over the
    same questions."""
    stores = _stores(rows)
    first = next(iter(stores.values()))
    arms = [arm for arm in first if not arm.startswith("all")]
    names = ["codec", "kept", "bytes a token", "encode MB/s", "decode MB/s"]
    names += [f"{what}, {arm}" for arm in arms for what in ("KL", "added")]
    lines = ["", "| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for (codec, kept), found in stores.items():
        size = next(iter(found.values()))
        sizes = ("bytes_per_token", "encode_mb_s", "decode_mb_s")
        cells = [codec, f"{kept:g}", *(_whole(size.get(name)) for name in sizes)]
        for arm in arms:
            kl = _number(found[arm], "kl_mean")
            cells += [f"{kl:.4f}", f"{kl - _number(first[arm], 'kl_mean'):+.4f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _whole(value: object) -> str:
    return f"{value:,.0f}" if isinstance(value, float) else ""


def _bytes(rows: Sequence[Row]) -> str:
    """A dot for each codec, and a line through the shares that KeyDiff keeps."""
    stores = _stores(rows)
    first, full = next(iter(stores))
    dots: dict[str, list[Point]] = {}
    shares: list[Point] = []
    for (codec, kept), found in stores.items():
        row = found.get("none")
        if row is None or row["bytes_per_token"] is None:
            continue
        point = (_number(row, "bytes_per_token"), max(_number(row, "kl_mean"), NO_DRIFT))
        if kept == full:
            dots[codec] = [point]
        if codec == first:
            shares.append(point)
    lines = {f"{first}, KeyDiff": shares} | dots if len(shares) > 1 else dots
    return line_chart(
        "Drift against bytes, nothing recomputed",
        Axis("bytes a token of the chunk's entry", is_log=True),
        Axis("mean KL to the full prefill", is_log=True),
        lines,
    )


def _number(row: Mapping[str, object], name: str) -> float:
    return float(str(row[name]))
