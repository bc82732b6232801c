"""Numbers over time as SVG: one strip per number, below one another, with the outage in grey."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite

from benchmarks.chart import STYLE, WIDTH

LEFT, RIGHT, TOP, HEIGHT, STEP = 70, 20, 34, 70, 118
OWN_STYLE = """
.tick { font-size: 11px } .band { fill: #808890; fill-opacity: .22 }
.axis { stroke: #808890; stroke-opacity: .5; fill: none }
path.first { fill: none; stroke: #2563b0; stroke-width: 1.5 }
path.second { fill: none; stroke: #d97a1d; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  path.first { stroke: #6ba3e8 } path.second { stroke: #efa052 }
}
"""


@dataclass(frozen=True)
class Strip:
    heading: str
    first: Sequence[float]
    second: Sequence[float] = ()
    """One number per second, or NaN; blue, and orange."""


def over_time(title: str, strips: Sequence[Strip], bands: Sequence[tuple[int, int]]) -> str:
    """Draw the strips; `bands`: from which second to which something was the matter."""
    seconds = max(len(strip.first) for strip in strips)
    unit = (WIDTH - LEFT - RIGHT) / max(1, seconds - 1)
    drawn, y = [], TOP
    for strip in strips:
        drawn.append(f'<text class="heading" x="12" y="{y - 12}">{escape(strip.heading)}</text>')
        finite = [n for n in (*strip.first, *strip.second) if isfinite(n)]
        top = max(finite, default=0) or 1
        for start, end in bands:
            width = unit * (end - start)
            x = LEFT + unit * start
            drawn.append(
                f'<path class="band" d="M{x:.1f} {y}h{width:.1f}v{HEIGHT}h{-width:.1f}z"/>'
            )
        drawn.append(f'<path class="axis" d="M{LEFT} {y}V{y + HEIGHT}H{WIDTH - RIGHT}"/>')
        highest = f"{top:,.3g}" if top < 1000 else f"{top:,.0f}"
        for text, at in ((highest, y + 8), ("0", y + HEIGHT)):
            drawn.append(f'<text class="label tick" x="{LEFT - 6}" y="{at}">{text}</text>')
        for css, numbers in (("first", strip.first), ("second", strip.second)):
            if path := _path(numbers, unit, y, HEIGHT / top):
                drawn.append(f'<path class="{css}" d="{path}"/>')
        y += STEP
    for second in range(0, seconds, 20):
        x = LEFT + unit * second
        drawn.append(f'<text class="tick" x="{x - 6:.1f}" y="{y - 30}">{second}</text>')
    drawn.append(f'<text class="tick" x="{LEFT}" y="{y - 12}">seconds</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img">'
    head += f"\n<title>{escape(title)}</title>\n<style>{STYLE}{OWN_STYLE}</style>"
    return "\n".join([head, *drawn, "</svg>", ""])


def _path(numbers: Sequence[float], unit: float, y: float, scale: float) -> str:
    steps, pen = [], "M"
    for second, number in enumerate(numbers):
        if not isfinite(number):
            pen = "M"
            continue
        steps.append(f"{pen}{LEFT + unit * second:.1f} {y + HEIGHT - number * scale:.1f}")
        pen = "L"
    return "".join(steps)
