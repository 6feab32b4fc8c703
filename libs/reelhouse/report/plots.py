"""Plots as inline SVG, drawn for a width of 360 so that their text stays readable on a phone. Colours come from the page's CSS."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from reelhouse.report.content import Bar, Slice

_WIDTH = 360
_FEW = 8  # columns up to which each is labelled
_WIDEST = 90  # step from a column to the next: a single day does not fill the plot


def columns(bars: Sequence[Bar], what: str) -> Markup:
    """Upright columns in order: days, or the bins of a histogram. what: said to whoever can't see it."""
    height, top, bottom = 150, 18, 20
    peak = max((bar.value for bar in bars), default=0) or 1
    step = min(_WIDTH / max(len(bars), 1), _WIDEST)
    parts = []
    every = -(-len(bars) // _FEW)
    for n, bar in enumerate(bars):
        tall = (height - top - bottom) * bar.value / peak
        x, y = n * step, height - bottom - tall
        parts.append(Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="2"/>').format(x + 2, y, step - 4, tall))
        if bar.value and step >= 22:
            parts.append(Markup('<text x="{:.1f}" y="{:.1f}">{}</text>').format(x + step / 2, y - 4, bar.text))
        if (len(bars) - 1 - n) % every == 0:
            parts.append(Markup('<text class="axis" x="{:.1f}" y="{}">{}</text>').format(x + step / 2, height - 5, bar.label))
    return _svg(height, what, bars, parts)


def against(slices: Sequence[Slice], what: str) -> Markup:
    """A row a slice on a scale of 0 to 1: a dot for the model, a ring for the champion, a line between them."""
    row, left, right, top = 26, 108, 340, 22
    height = top + row * len(slices) + 4
    parts = [
        Markup('<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/><text class="axis" x="{0:.1f}" y="14">{3}</text>').format(
            left + (right - left) * share, top, height, f"{share:.0%}"
        )
        for share in (0, 0.5, 1)
    ]
    for n, one in enumerate(slices):
        y, x = top + row * n + row / 2, left + (right - left) * one.value
        parts.append(Markup('<text class="name" x="0" y="{}">{}</text>').format(y + 4, f"{one.name} ({one.rows:,})"))
        if one.champion is not None:
            other = left + (right - left) * one.champion
            parts.append(Markup('<line class="gap" x1="{:.1f}" x2="{:.1f}" y1="{y}" y2="{y}"/>').format(other, x, y=y))
            parts.append(Markup('<circle class="ring" cx="{:.1f}" cy="{}" r="5"/>').format(other, y))
        parts.append(Markup('<circle cx="{:.1f}" cy="{}" r="5"/>').format(x, y))
    told = [Bar(s.name, s.value, f"{s.value:.0%}" + (f", champion {s.champion:.0%}" if s.champion is not None else "")) for s in slices]
    return _svg(height, what, told, parts)


def _svg(height: float, what: str, bars: Sequence[Bar], parts: Sequence[Markup]) -> Markup:
    told = "; ".join(f"{bar.label}: {bar.text}" for bar in bars)
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}: {}">').format(_WIDTH, height, what, told)
    return head + Markup("").join(parts) + Markup("</svg>")
