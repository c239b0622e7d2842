"""The report folder: JSON that reads back, a table with every arm, charts that are whole SVG."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from app.evaluation.charts import Axis, line_chart
from app.evaluation.reuse_report import write_report


def row(
    policy: str,
    ratio: float,
    kl: float,
    codec: str = "raw",
    size: float = 46e3,
    keep_share: float = 1.0,
) -> dict:
    return {
        "policy": policy,
        "encoding": "primed",
        "ratio": ratio,
        "kl_mean": kl,
        "kl_low": kl / 2,
        "kl_high": kl * 2,
        "top1_agreement": 0.9,
        "f1": 0.1,
        "recomputed_share": ratio,
        "bytes_per_token": size,
        "codec": codec,
        "keep_share": keep_share,
        "encode_mb_s": 1500.0,
        "decode_mb_s": 2000.0,
        "n": 3,
    }


ROWS = [
    row("none", 0.0, 0.01),
    row("question", 0.05, 0.006),
    row("question", 0.15, 0.004),
    row("all", 1.0, 0.0),
    row("none", 0.0, 0.012, "int8", 12e3),
    row("question", 0.05, 0.007, "int8", 12e3),
    row("question", 0.15, 0.005, "int8", 12e3),
    row("none", 0.0, 0.06, "raw", 34e3, 0.75),
    row("question", 0.05, 0.05, "raw", 34e3, 0.75),
    row("question", 0.15, 0.04, "raw", 34e3, 0.75),
]
TIMES = [
    {"mode": mode, "ratio": ratio, "prompt_tokens": n, "ttft_ms_p50": n * cost}
    for mode, ratio, cost in (("off", None, 2.0), ("auto", 0.05, 0.3))
    for n in (500, 1000)
]


def test_a_report_holds_figures_table_and_plots(tmp_path: Path) -> None:
    written = write_report(tmp_path / "out", {"dataset": "d.json"}, ROWS, TIMES)
    assert [path.name for path in written] == [
        "reuse.json",
        "reuse.md",
        "drift.svg",
        "ttft.svg",
        "bytes.svg",
    ]
    document = json.loads(written[0].read_text())
    assert document["rows"] == ROWS
    assert document["machine"]["cores"]
    table = written[1].read_text()
    first, second = table.split("\n\n| codec | kept")
    assert first.count("\n| ") == len(ROWS) + 1
    assert "| int8 | 1 | 12,000 | 1,500 | 2,000 | 0.0120 | +0.0020 | 0.0070 | +0.0010 |" in second
    assert "| raw | 0.75 | 34,000 | 1,500 | 2,000 | 0.0600 | +0.0500 | 0.0500 |" in second
    for path in written[2:]:
        svg = ElementTree.fromstring(path.read_text())
        assert svg.tag.endswith("svg")
        assert "polyline" in path.read_text()
    assert "primed, question" in written[2].read_text()
    assert "int8" in written[4].read_text()


def test_one_codec_and_no_times_leave_one_plot(tmp_path: Path) -> None:
    written = write_report(tmp_path, {}, ROWS[:4])
    assert [path.name for path in written] == ["reuse.json", "reuse.md", "drift.svg"]


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ((5641, 46091), ["5,000", "10,000", "20,000", "50,000"]),
        ((1e-5, 0.1), ["1e-05", "0.0001", "0.001", "0.01", "0.1", "1"]),
        ((0.01, 0.01), ["0.01", "0.02"]),
    ],
)
def test_ticks_of_a_log_axis_are_few_and_round(values: tuple, ticks: list[str]) -> None:
    points = [(value, 1.0) for value in values]
    chart = line_chart("t", Axis("x", is_log=True), Axis("y"), {"a": points})
    tree = ElementTree.fromstring(chart)
    texts = [text.text for text in tree.findall(".//{http://www.w3.org/2000/svg}text")]
    assert all(tick in texts for tick in ticks)
    assert len(texts) == 3 + len(ticks) + 5 + 1  # title, names; ticks; the other axis; the line


def test_names_in_a_chart_are_escaped_and_points_lie_inside() -> None:
    chart = line_chart("<b>", Axis("x"), Axis("y", is_log=True), {"a & b": [(0, 1e-3), (2, 10)]})
    tree = ElementTree.fromstring(chart)
    circles = tree.findall(".//{http://www.w3.org/2000/svg}circle")
    assert len(circles) == 2
    for circle in circles:
        assert 0 <= float(circle.attrib["cx"]) <= 640
        assert 0 <= float(circle.attrib["cy"]) <= 400
