"""Leases with bare tuples, in a scope larger than the default one."""

from __future__ import annotations

from collections.abc import Iterator

from fencepost.statemachines.scope import Bounds

from .plain import Case, Lane, calls_on_lane

BOUNDS = Bounds(owners=3, sessions=2, times=5, tokens=4, ttls=(1, 2))
OWNERS = range(1, 4)

World = tuple[int, Lane, Lane]
"""The time, and the lane of each session."""


def moves(world: World) -> Iterator[World]:
    """The clock ticks."""
    now, one, other = world
    if now < BOUNDS.times:
        yield (now + 1, one, other)


def calls(world: World) -> Iterator[World | None]:
    """The world after every call that the scope tries; None if nothing changes or it leads out of the scope."""
    now, one, other = world
    for lane in calls_on_lane(now, one, OWNERS, BOUNDS.ttls):
        yield (now, lane, other) if lane is not None and lane[0] <= BOUNDS.tokens else None
    for lane in calls_on_lane(now, other, OWNERS, BOUNDS.ttls):
        yield (now, one, lane) if lane is not None and lane[0] <= BOUNDS.tokens else None


NEVER_LEASED: Lane = (0, 0, 0, 0)

CASES = {"lease": Case((0, NEVER_LEASED, NEVER_LEASED), calls, moves, (216_030, 53_662_680))}
