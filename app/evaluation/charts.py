"""Line charts as SVG, drawn by hand: no plotting library for a few lines and dots."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 680, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 220, 44, 54
INK, FAINT = "#1f2933", "#d5dae0"
# Okabe and Ito: told apart with any colour vision.
COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#000000",
    "#8a6d00",
    "#7b3294",
)

MANY = 300  # a span above which a log axis shows powers of ten only

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Axis:
    """`is_log`: by powers of ten; values must then be above zero."""

    name: str
    is_log: bool = False


def line_chart(title: str, x: Axis, y: Axis, lines: Mapping[str, Sequence[Point]]) -> str:
    """An SVG document with one line, and a dot at each of its points, per entry of `lines`."""
    points = [point for line in lines.values() for point in line]
    across = _Scale([p[0] for p in points], x.is_log, LEFT, WIDTH - RIGHT)
    up = _Scale([p[1] for p in points], y.is_log, HEIGHT - BOTTOM, TOP)
    parts = [_frame(title, x, y), *_ticks(across, up)]
    for number, (name, line) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        places = [(across.place(a), up.place(b)) for a, b in sorted(line)]
        parts.append(_polyline(places, colour))
        parts.append(_legend(number, name, colour))
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12" fill="{INK}">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


class _Scale:
    """Values to pixels."""

    def __init__(self, values: Sequence[float], is_log: bool, first: float, last: float) -> None:
        self.is_log = is_log
        self.first, self.last = first, last
        if is_log:
            self._steps = _log_steps([v for v in values if v > 0])
            self.low, self.high = math.log10(self._steps[0]), math.log10(self._steps[-1])
        else:
            shown = [*values, 0.0]
            self.low, self.high = min(shown), _round_up(max(shown))

    def place(self, value: float) -> float:
        shown = math.log10(max(value, 10.0**self.low)) if self.is_log else value
        return self.first + (shown - self.low) / (self.high - self.low) * (self.last - self.first)

    def ticks(self) -> list[float]:
        if self.is_log:
            return self._steps
        return [self.low + (self.high - self.low) * part / 4 for part in range(5)]


def _log_steps(values: Sequence[float]) -> list[float]:
    """Powers of ten around `values`; one, two and five of each where they span little."""
    low, high = min(values), max(values)
    leads = (1, 2, 5) if high / low < MANY else (1,)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high) + 1e-9)
    steps = [lead * 10.0**power for power in range(first, last + 1) for lead in leads]
    start = max(n for n, step in enumerate(steps) if step <= low * (1 + 1e-9))
    end = min(n for n, step in enumerate(steps) if step > high)
    return steps[start : end + 1]


def _label(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _round_up(value: float) -> float:
    """To a number with one or two leading digits, so that ticks read well."""
    if value <= 0:
        return 1.0
    step: float = 10.0 ** (math.floor(math.log10(value)) - 1) * 2
    return math.ceil(value / step) * step


def _frame(title: str, x: Axis, y: Axis) -> str:
    middle = (LEFT + WIDTH - RIGHT) / 2
    return (
        f'<text x="{LEFT}" y="22" font-size="14">{escape(title)}</text>\n'
        f'<text x="{middle}" y="{HEIGHT - 14}" text-anchor="middle">{escape(x.name)}</text>\n'
        f'<text x="16" y="{HEIGHT / 2}" text-anchor="middle" '
        f'transform="rotate(-90 16 {HEIGHT / 2})">{escape(y.name)}</text>'
    )


def _ticks(across: _Scale, up: _Scale) -> list[str]:
    parts = []
    for value in up.ticks():
        y = up.place(value)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="{FAINT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{_label(value)}</text>')
    for value in across.ticks():
        x = across.place(value)
        parts.append(
            f'<text x="{x}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{_label(value)}</text>'
        )
    return parts


def _polyline(places: Sequence[Point], colour: str) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>{dots}'


def _legend(number: int, name: str, colour: str) -> str:
    x, y = WIDTH - RIGHT + 12, TOP + 8 + 17 * number
    return (
        f'<line x1="{x}" x2="{x + 16}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"/>'
        f'<text x="{x + 22}" y="{y + 4}">{escape(name)}</text>'
    )
