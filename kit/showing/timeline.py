"""The time axis of a counterexample as SVG: a lane for each actor, bars for leases and claims, a dot for each call.

The axis is one of order, not of scale: every call has a column, and so has every instant at which something ends between calls
or after them. A millisecond and a day are equally wide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from fencepost.statemachines.checker import Performed

from .lanes import Bar, actor
from .source import simple

GUTTER, HEAD, ROW, DOTS, PAD = 132, 42, 26, 34, 8
"""Pixels: the names of the lanes, the instants, a row of bars, a row of dots, and the room around the rows of a lane."""

FULL, WIDEST, NARROWEST = 1006, 168, 46
"""Pixels: the width of the page, which columns share, and between what their width may be."""

HUES = 6
"""Lanes have as many colours, over and over."""


@dataclass(frozen=True)
class Column:
    """A call by its place in the script, or an instant at which something ends."""

    now: int
    place: int | None = None


def timeline(performed: Sequence[Performed], lanes: Sequence[str], bars: Sequence[Bar]) -> str:
    """The drawing. `bars` tell of the calls before the last, and of what the last one granted, wrongly or not."""
    return _Drawing(performed, lanes, bars).svg()


def hue(lanes: Sequence[str], lane: str) -> str:
    """The class that colours a lane."""
    return f"hue{lanes.index(lane) % HUES}"


class _Drawing:
    def __init__(self, performed: Sequence[Performed], lanes: Sequence[str], bars: Sequence[Bar]) -> None:
        self.performed = performed
        self.lanes = lanes
        self.columns = _columns(performed, bars)
        self.wide = min(WIDEST, max(NARROWEST, (FULL - GUTTER - PAD) // len(self.columns)))
        self.rows = {lane: _packed([bar for bar in bars if bar.lane == lane], self._ends) for lane in lanes}
        self.tops: dict[str, int] = {}
        y = HEAD
        for lane in lanes:
            self.tops[lane] = y
            y += 2 * PAD + ROW * len(self.rows[lane]) + DOTS
        self.height = y + PAD
        self.width = max(FULL, GUTTER + self.wide * len(self.columns) + PAD)

    def svg(self) -> str:
        parts = "\n".join((*self._lanes(), *self._axis(), *self._bars(), *self._dots()))
        size = f'width="{self.width}" height="{self.height}" viewBox="0 0 {self.width} {self.height}"'
        label = "Who called when, and who held which lease and which claim"
        return f'<svg class="timeline" {size} role="img" aria-label="{label}">\n{parts}\n</svg>'

    def _x(self, column: int) -> int:
        return GUTTER + self.wide * column

    def _column_of(self, place: int) -> int:
        return next(number for number, each in enumerate(self.columns) if each.place == place)

    def _ends(self, bar: Bar) -> tuple[float, float, float]:
        """Where a bar begins, where it is no longer live, and where what it held was settled: in columns."""
        since = self._column_of(bar.since) + 0.5
        expires = float(next(number for number, each in enumerate(self.columns) if each.now >= bar.until))
        expires = max(expires, since + 0.2)
        if bar.ended is None:
            return since, expires, expires
        ended = max(self._column_of(bar.ended) + 0.5, since + 0.2)
        return since, min(expires, ended), ended

    def _lanes(self) -> Iterator[str]:
        for number, lane in enumerate(self.lanes):
            top = self.tops[lane]
            height = 2 * PAD + ROW * len(self.rows[lane]) + DOTS
            yield f'<rect class="lane{" odd" * (number % 2)}" x="0" y="{top}" width="{self.width}" height="{height}"/>'
            name = _cut(lane, GUTTER - 28)
            yield f'<circle class="{hue(self.lanes, lane)} mark" cx="14" cy="{top + height / 2:g}" r="4"/>'
            yield (f'<text class="name" x="26" y="{top + height / 2 + 4:g}"><title>{escape(lane)}</title>{escape(name)}</text>')

    def _axis(self) -> Iterator[str]:
        before = None
        for number, column in enumerate(self.columns):
            x = self._x(number)
            if column.now != before:
                yield f'<line class="tick" x1="{x}" y1="{HEAD - 8}" x2="{x}" y2="{self.height - PAD}"/>'
                yield f'<text class="instant" x="{x + 4}" y="{HEAD - 12}">{_cut(simple(column.now), self.wide - 6)}</text>'
            before = column.now
        yield f'<text class="unit" x="26" y="{HEAD - 12}">ms</text>'
        x = self._x(self._column_of(len(self.performed) - 1))
        yield f'<rect class="wrong-band" x="{x}" y="{HEAD - 8}" width="{self.wide}" height="{self.height - HEAD}"/>'

    def _bars(self) -> Iterator[str]:
        for lane in self.lanes:
            for row, packed in enumerate(self.rows[lane]):
                y = self.tops[lane] + PAD + ROW * row + 3
                ends = [*(self._ends(bar)[0] for bar in packed[1:]), len(self.columns)]
                for bar, end in zip(packed, ends, strict=True):
                    yield self._bar(bar, y, GUTTER + self.wide * end)

    def _bar(self, bar: Bar, y: int, end: float) -> str:
        """The bar, with what became of it written behind it as far as there is room."""
        since, live, held = (GUTTER + self.wide * each for each in self._ends(bar))
        fate = _cut(bar.how.rpartition(" at ")[0], end - held - 8)
        wrong = " wrong" * (bar.since == len(self.performed) - 1)
        how = bar.how or f"expires at {simple(bar.until)}"
        told = f"{bar.what} of {bar.lane}: {bar.label}, from {self.performed[bar.since].now} until {simple(bar.until)}; {how}"
        kind = f"{bar.what} {hue(self.lanes, bar.lane)}{wrong}"
        tail = ""
        if held > live:
            tail = f'<line class="tail" x1="{live:g}" y1="{y + 10}" x2="{held:g}" y2="{y + 10}"/>'
        body = f'<rect class="bar" x="{since:g}" y="{y}" width="{live - since:g}" height="20" rx="4"/>'
        text = _cut(bar.label, live - since - 10)
        label = f'<text class="label" x="{since + 6:g}" y="{y + 14}">{escape(text)}</text>' if text else ""
        after = f'<text class="how" x="{held + 6:g}" y="{y + 14}">{escape(fate)}</text>' if fate else ""
        return f'<g class="{kind}"><title>{escape(told)}</title>{tail}{body}{label}{after}</g>'

    def _dots(self) -> Iterator[str]:
        for place, each in enumerate(self.performed):
            lane = actor(each.call)
            x = self._x(self._column_of(place)) + self.wide / 2
            y = self.tops[lane] + PAD + ROW * len(self.rows[lane]) + DOTS / 2
            kind = "dot wrong" if place == len(self.performed) - 1 else f"dot {hue(self.lanes, lane)}"
            told = escape(f"{place + 1}. {each.call.operation}")
            yield (
                f'<a href="#step-{place + 1}" class="{kind}"><title>{told}</title><circle cx="{x:g}" cy="{y:g}" r="12"/>'
                f'<text x="{x:g}" y="{y + 4:g}">{place + 1}</text></a>'
            )


def _columns(performed: Sequence[Performed], bars: Sequence[Bar]) -> list[Column]:
    """The calls in their order, and between and behind them the instants at which bars end."""
    calls = [Column(each.now, place) for place, each in enumerate(performed)]
    known = {each.now for each in performed}
    ends = {bar.until for bar in bars if bar.until > performed[bar.since].now} - known
    return sorted([*calls, *map(Column, ends)], key=lambda each: each.now)


def _packed(bars: Sequence[Bar], ends: Callable[[Bar], tuple[float, float, float]]) -> list[list[Bar]]:
    """The bars in rows in which none lies over another."""
    rows: list[list[Bar]] = []
    for bar in bars:
        since = ends(bar)[0]
        free = next((row for row in rows if ends(row[-1])[2] <= since and row[-1].what == bar.what), None)
        if free is None:
            rows.append([bar])
        else:
            free.append(bar)
    return rows


def _cut(text: str, width: float) -> str:
    """As much of a text as the width has room for; nothing, if that is next to nothing."""
    room = int(width / 6.6)
    if len(text) <= room:
        return text
    return text[: room - 1] + "…" if room > 3 else ""
