"""Draws figures as bars, each scenario in a panel of its own scale, with a line where the target is.

SVG by hand: a picture of bars needs four kinds of shapes, which is less than any library asks for.
"""

from collections.abc import Mapping, Sequence
from html import escape

from benchmarks.scenarios import Figure
from benchmarks.targets import Target

COLOURS = ("#00796b", "#9fb8b4", "#3949ab", "#b3b9dd")
TARGET_COLOUR = "#d84315"
WIDTH, MARGIN, BAR, GAP, TITLE = 860, 16, 14, 4, 20
LABELS, VALUES = 150, 110
"""Room for names at the left and for values at the right."""
ROOM = WIDTH - LABELS - VALUES
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#37474f}.t{font-weight:600}"
    "@media(prefers-color-scheme:dark){text{fill:#cfd8dc}}"
)

Bar = tuple[str, Figure, str]
"""Whose it is, what it is, and its colour."""


def draw(columns: Mapping[str, Mapping[str, Figure]], targets: Mapping[str, Target]) -> str:
    """Draw every figure; those of the same name together."""
    colour = {column: COLOURS[place % len(COLOURS)] for place, column in enumerate(columns)}
    names = dict.fromkeys(name for figures in columns.values() for name in figures)
    shapes: list[str] = []
    top = MARGIN
    for name in names:
        bars = [(column, found[name], colour[column]) for column, found in columns.items() if name in found]
        shapes += _panel(name, bars, targets.get(name), top)
        top += TITLE + len(bars) * (BAR + GAP) + GAP * 2
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + MARGIN}" role="img">'
    return "\n".join([head, f"<style>{STYLE}</style>", *shapes, "</svg>\n"])


def _panel(name: str, bars: Sequence[Bar], target: Target | None, top: int) -> list[str]:
    title = f"{name}: {target} wanted" if target else name
    shapes = [f'<text class="t" x="{MARGIN}" y="{top + BAR}">{escape(title)}</text>']
    top += TITLE
    most = max([0.0, *(figure.value for _, figure, _ in bars), target.value if target else 0.0])
    for place, bar in enumerate(bars):
        shapes += _bar(bar, most, top + place * (BAR + GAP))
    if target is not None and most:
        x = LABELS + ROOM * target.value / most
        bottom = top + len(bars) * (BAR + GAP)
        shapes.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top - 2}" y2="{bottom}" stroke="{TARGET_COLOUR}" stroke-width="2"/>'
        )
    return shapes


def _bar(bar: Bar, most: float, top: int) -> list[str]:
    column, figure, colour = bar
    long = ROOM * max(figure.value, 0.0) / most if most else 0.0
    return [
        f'<text x="{MARGIN}" y="{top + BAR - 3}">{escape(column)}</text>',
        f'<rect x="{LABELS}" y="{top}" width="{long:.1f}" height="{BAR}" rx="2" fill="{colour}"/>',
        f'<text x="{LABELS + long + 6:.1f}" y="{top + BAR - 3}">{figure.value:,.1f} {escape(figure.unit)}</text>',
    ]
