"""Fencepost: the executable specification of the stores of agent runtimes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__version__ = "0.1.0"


def conformance(factory: str | Callable[[Any], Any], **how: Any) -> type:
    """A class of tests, one for each section of the chapters that a store has: `TestMyStore = fencepost.conformance(factory)`.

    See `fencepost.kit.conformance` for what may be given besides: stores or chapters, seed, examples, steps, strict.
    """
    # imported late: whoever wants a part of the package does not load all of it
    from .kit.conformance import conformance as make

    return make(factory, **how)


def record(store: Any, file: Any, **how: Any) -> Any:
    """The store, or stores, whose every call is also written to the file, for `fencepost check-trace` to hold against the law.

    See `fencepost.kit.histories.recorder.record` for what may be given besides: clock, fresh.
    """
    from .kit.histories.recorder import record as wrap

    return wrap(store, file, **how)
