"""Reliability diagrams and risk-coverage curves as SVG, drawn by hand: no plotting library."""

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from reliability.arrays import FloatArray
from reliability.measures import calibration_bins, risk_coverage

SIZE, EDGE = 320, 44
INK, FAINT, LINE, MARK = "#1f2933", "#d5dae0", "#0b6e4f", "#c8553d"
MOST_POINTS = 200

Point = tuple[float, float]


def write_plots(
    folder: Path, world: str, name: str, stated: FloatArray, right: FloatArray
) -> list[Path]:
    """Two files: how chances hold, and what is wrong when only the surest are answered."""
    folder.mkdir(parents=True, exist_ok=True)
    bins = calibration_bins(stated, right)
    diagram = _frame(
        f"{world}, {name}: stated chance and share that came true",
        "stated chance",
        "share right",
        _line([(0, 0), (1, 1)], FAINT) + _dots([(part.stated, part.true) for part in bins]),
    )
    curve = risk_coverage(stated, right)
    step = max(1, len(curve) // MOST_POINTS)
    points = [(point.coverage, point.risk) for point in curve[step - 1 :: step]]
    risk = _frame(
        f"{world}, {name}: wrong answers among the surest",
        "share of questions answered",
        "share wrong",
        _line(points, LINE),
    )
    files = []
    for kind, text in (("reliability", diagram), ("risk_coverage", risk)):
        path = folder / f"{world}_{name}_{kind}.svg"
        path.write_text(text, encoding="utf-8")
        files.append(path)
    return files


def _x(value: float) -> float:
    return EDGE + value * (SIZE - 2 * EDGE)


def _y(value: float) -> float:
    return SIZE - EDGE - value * (SIZE - 2 * EDGE)


def _frame(title: str, across: str, up: str, inside: str) -> str:
    middle = SIZE / 2
    ticks = "".join(
        f'<text x="{_x(v):.1f}" y="{SIZE - EDGE + 16}" text-anchor="middle">{v:g}</text>'
        f'<text x="{EDGE - 6}" y="{_y(v) + 4:.1f}" text-anchor="end">{v:g}</text>'
        for v in (0, 0.5, 1)
    )
    side = SIZE - 2 * EDGE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" role="img" '
        f'font-family="sans-serif" font-size="11" fill="{INK}">'
        f"<title>{escape(title)}</title>"
        f'<rect width="{SIZE}" height="{SIZE}" fill="#ffffff"/>'
        f'<text x="{middle}" y="20" text-anchor="middle" font-size="10">{escape(title)}</text>'
        f'<rect x="{EDGE}" y="{EDGE}" width="{side}" height="{side}" fill="none" '
        f'stroke="{FAINT}"/>{ticks}'
        f'<text x="{middle}" y="{SIZE - 8}" text-anchor="middle">{escape(across)}</text>'
        f'<text x="12" y="{middle}" text-anchor="middle" '
        f'transform="rotate(-90 12 {middle})">{escape(up)}</text>'
        f"{inside}</svg>\n"
    )


def _line(points: Sequence[Point], colour: str) -> str:
    path = " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _dots(points: Sequence[Point]) -> str:
    dots = (f'<circle cx="{_x(x):.1f}" cy="{_y(y):.1f}" r="3" fill="{MARK}"/>' for x, y in points)
    return _line(points, LINE) + "".join(dots)
