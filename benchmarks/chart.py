"""Charts: horizontal bars, as SVG by hand, readable on white and on black."""

from collections.abc import Sequence
from html import escape

WIDTH = 760
LEFT = 236  # where bars begin
RIGHT = 96  # for the number behind the longest
BAR = 18
STEP = 26
HEADING = 44
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.heading { font-weight: 600; font-size: 14px }
.label { text-anchor: end }
.ours { font-weight: 600 }
.server { fill: #2563b0 } .database { fill: #d97a1d }
.faint { opacity: .55 }
.limit { stroke: #24292f; stroke-width: 1.5; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #d5dbe3 } .limit { stroke: #d5dbe3 }
  .server { fill: #6ba3e8 } .database { fill: #efa052 }
}
"""


class Drawing:
    def __init__(self) -> None:
        self._parts: list[str] = []
        self._y = 8

    def heading(self, text: str) -> None:
        self._y += HEADING
        self._text(12, self._y - 14, text, "heading")

    def legend(self, names: Sequence[tuple[str, str]]) -> None:
        x = LEFT
        for css, name in names:
            self._parts.append(
                f'<rect class="{css}" x="{x}" y="{self._y}" width="12" height="12"/>'
            )
            self._text(x + 18, self._y + 11, name)
            x += 30 + 8 * len(name)
        self._y += STEP

    def bar(
        self,
        label: str,
        pieces: Sequence[tuple[str, float]],
        text: str,
        scale: float,
        limit: float | None = None,
    ) -> None:
        """A bar of `pieces`, each a class and a value; `scale` is the value of the whole width.

        At the value `limit` stands a broken line.
        """
        room = (WIDTH - LEFT - RIGHT) / scale
        own = " ours" if "ours" in label else ""
        self._text(LEFT - 10, self._y + BAR - 5, label, f"label{own}")
        x = float(LEFT)
        for css, value in pieces:
            width = max(value, 0) * room
            self._parts.append(
                f'<rect class="{css}" x="{x:.1f}" y="{self._y}" '
                f'width="{width:.1f}" height="{BAR}"/>'
            )
            x += width
        if limit is not None:
            at = LEFT + limit * room
            self._parts.append(
                f'<path class="limit" d="M{at:.1f} {self._y - 4}V{self._y + BAR + 4}"/>'
            )
            x = max(x, at)
        self._text(x + 8, self._y + BAR - 5, text)
        self._y += STEP

    def _text(self, x: float, y: float, text: str, css: str = "") -> None:
        attribute = f' class="{css}"' if css else ""
        self._parts.append(f'<text{attribute} x="{x:.1f}" y="{y}">{escape(text)}</text>')

    def svg(self, title: str) -> str:
        height = self._y + 12
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
        lines = [head, f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>", *self._parts]
        return "\n".join([*lines, "</svg>", ""])
