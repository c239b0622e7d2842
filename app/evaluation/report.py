"""How figures are printed: one JSON object `{machine, settings, rows}`, or a table for people."""

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence

import torch
import transformers
from rich.console import Console
from rich.table import Table

Row = Mapping[str, object]
FILE_WIDTH = 240


def machine() -> dict[str, object]:
    """What the figures were taken on; no host name and no path."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "threads": torch.get_num_threads(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [
                line.split(":", 1)[1].strip() for line in file if line.startswith("model name")
            ]
    except OSError:
        names = []
    return names[0] if names else platform.processor()


def print_figures(settings: Row, rows: Sequence[Row], *, as_json: bool) -> None:
    # A pipe or a file has no width of its own: without one, columns would be cut to 80.
    console = Console(width=None if sys.stdout.isatty() else FILE_WIDTH)
    if as_json:
        document = {
            "machine": machine(),
            "settings": dict(settings),
            "rows": [dict(r) for r in rows],
        }
        console.print_json(json.dumps(document))
        return
    table = Table(show_edge=False)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    for name in columns:
        table.add_column(name, justify="left" if name in TEXT_COLUMNS else "right")
    for row in rows:
        table.add_row(*(_format(row.get(name)) for name in columns))
    console.print(table)
    console.print({"machine": machine(), "settings": dict(settings)})


TEXT_COLUMNS = {
    "mode",
    "policy",
    "encoding",
    "dtype",
    "engine",
    "state",
    "world",
    "estimator",
    "codec",
    "search",
    "index",
    "system",
    "splitter",
    "tier",
    "format",
    "rule",
}


def _format(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2e}" if 0 < abs(value) < 1e-4 else f"{value:,.4g}"
    return "" if value is None else str(value)
