"""A bar chart as SVG, by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 760, 360, 20, 40, 56
BLUE, GREY, INK = "#2b6cb0", "#718096", "#1a202c"


@dataclass(frozen=True)
class Bar:
    name: str
    value: float
    high: float
    """Drawn as a line above the bar."""


def chart(title: str, bars: Sequence[Bar]) -> str:
    """The bars side by side, each with its number."""
    step = (WIDTH - 2 * LEFT) / len(bars)
    base = HEIGHT - BOTTOM
    scale = (base - TOP - 24) / max(bar.high for bar in bars)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="13" text-anchor="middle">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{WIDTH / 2}" y="28" font-size="15" fill="{INK}">{escape(title)}</text>',
    ]
    for index, bar in enumerate(bars):
        middle = LEFT + step * (index + 0.5)
        top, high, half = base - bar.value * scale, base - bar.high * scale, step * 0.28
        parts += [
            f'<rect x="{middle - half:.1f}" y="{top:.1f}" width="{2 * half:.1f}" '
            f'height="{base - top:.1f}" fill="{BLUE}"/>',
            f'<path d="M{middle:.1f} {top:.1f}V{high:.1f}M{middle - 9:.1f} {high:.1f}h18" '
            f'stroke="{GREY}" stroke-width="2" fill="none"/>',
            f'<text x="{middle:.1f}" y="{high - 7:.1f}" fill="{INK}">{bar.value:,.0f} '
            f'<tspan fill="{GREY}">/ {bar.high:,.0f}</tspan></text>',
            f'<text x="{middle:.1f}" y="{base + 20}" fill="{INK}">{escape(bar.name)}</text>',
        ]
    parts.append(f'<path d="M{LEFT} {base}H{WIDTH - LEFT}" stroke="{INK}"/>')
    return "\n".join([*parts, "</svg>\n"])
