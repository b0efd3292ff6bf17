"""A bar chart as SVG: one group of bars a scenario, one bar a run, on a scale of powers of ten."""

from collections.abc import Iterator, Mapping
from html import escape
from math import ceil, floor, log10

_WIDTH, _LEFT, _RIGHT = 860, 150, 90
_BAR, _GAP, _TOP = 14, 12, 88
_COLORS = (
    "#3b82f6", "#f59e0b", "#10b981", "#ef4444", "#8b5cf6", "#64748b", "#06b6d4", "#a16207",
)  # fmt: skip
_IN_A_ROW = 4

Bars = Mapping[str, Mapping[str, float]]


def chart(title: str, bars: Bars) -> str:
    """Return the picture of values by scenario, and then by run."""
    runs = list(dict.fromkeys(run for values in bars.values() for run in values))
    height = _TOP + sum(len(values) * _BAR + _GAP for values in bars.values()) + _GAP
    parts = [*_frame(title, height), *_legend(runs), *_groups(bars, runs, height)]
    return "\n".join([*parts, "</svg>", ""])


def _frame(title: str, height: int) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="#64748b">'
    )
    yield f'<text x="12" y="24" font-size="15">{escape(title)}</text>'


def _legend(runs: list[str]) -> Iterator[str]:
    for number, run in enumerate(runs if len(runs) > 1 else ()):
        row, place = divmod(number, _IN_A_ROW)
        x, y = _LEFT + place * 160, 36 + row * 18
        yield f'<rect x="{x}" y="{y}" width="12" height="12" fill="{_color(number)}"/>'
        yield f'<text x="{x + 18}" y="{y + 10}">{escape(run)}</text>'


def _groups(bars: Bars, runs: list[str], height: int) -> Iterator[str]:
    found = [value for values in bars.values() for value in values.values() if value > 0]
    found = found or [1.0]
    low, high = floor(log10(min(found))), ceil(log10(max(found)) + 1e-9)
    scale = (_WIDTH - _LEFT - _RIGHT) / max(1, high - low)
    for power in range(low, high + 1):
        x = _LEFT + (power - low) * scale
        yield f'<path d="M{x:.1f} {_TOP - 8}V{height - _GAP}" stroke="#94a3b8" opacity="0.4"/>'
        yield f'<text x="{x:.1f}" y="{_TOP - 11}" text-anchor="middle">{10.0**power:,g}</text>'
    y = _TOP
    for name, values in bars.items():
        middle = y + len(values) * _BAR / 2 + 4
        yield f'<text x="{_LEFT - 8}" y="{middle:.1f}" text-anchor="end">{escape(name)}</text>'
        for run, value in values.items():
            length = (log10(value) - low) * scale if value > 0 else 0
            color = _color(runs.index(run))
            yield (
                f'<rect x="{_LEFT}" y="{y + 1}" width="{length:.1f}" height="{_BAR - 2}" '
                f'fill="{color}"/>'
            )
            yield f'<text x="{_LEFT + length + 6:.1f}" y="{y + 11}">{_text(value)}</text>'
            y += _BAR
        y += _GAP


def _color(number: int) -> str:
    return _COLORS[number % len(_COLORS)]


def _text(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
