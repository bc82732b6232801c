"""Horizontal bars as SVG, readable on white and on black, which drawing libraries don't do."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 760
LEFT = 236  # where bars begin
RIGHT = 130  # for the text behind the longest
BAR, STEP, HEADING = 18, 26, 44
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.heading, .ours { font-weight: 600 }
.label { text-anchor: end }
.first { fill: #2563b0 } .second { fill: #d97a1d }
@media (prefers-color-scheme: dark) {
  text { fill: #d5dbe3 } .first { fill: #6ba3e8 } .second { fill: #efa052 }
}
"""


@dataclass(frozen=True)
class Bar:
    label: str
    text: str
    first: float
    second: float = 0
    """The two pieces: blue, and orange behind it."""


def chart(title: str, parts: Sequence[tuple[str, Sequence[Bar]]]) -> str:
    """The bars of each part below its heading; the longest of a part has the whole width."""
    drawn, y = [], 8
    for heading, bars in parts:
        y += HEADING
        drawn.append(f'<text class="heading" x="12" y="{y - 14}">{escape(heading)}</text>')
        unit = (WIDTH - LEFT - RIGHT) / max(bar.first + bar.second for bar in bars)
        for bar in bars:
            css = "label ours" if "ours" in bar.label else "label"
            first, end = (LEFT + unit * each for each in (bar.first, bar.first + bar.second))
            drawn += [
                f'<text class="{css}" x="{LEFT - 10}" y="{y + 13}">{escape(bar.label)}</text>',
                f'<path class="first" d="M{LEFT} {y}H{first:.1f}v{BAR}H{LEFT}"/>',
                f'<path class="second" d="M{first:.1f} {y}H{end:.1f}v{BAR}H{first:.1f}"/>',
                f'<text x="{end + 8:.1f}" y="{y + 13}">{escape(bar.text)}</text>',
            ]
            y += STEP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 12}" role="img">'
    head += f"\n<title>{escape(title)}</title>\n<style>{STYLE}</style>"
    return "\n".join([head, *drawn, "</svg>", ""])
