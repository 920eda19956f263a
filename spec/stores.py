"""What a runtime keeps its things in: at most one store of each protocol."""

from __future__ import annotations

from .event import EventStore
from .output import OutputStore
from .persistence import RuntimePersistence
from .runtime import RuntimeStore


class Stores:
    """Stores of several protocols, as a backend may give them: those that it has, under these names.

    A store need not inherit from the class of its protocol: the annotations tell which calls are made on it.
    """

    runtime_persistence: RuntimePersistence | None = None
    runtime: RuntimeStore | None = None
    event: EventStore | None = None
    output: OutputStore | None = None

    def __init__(
        self,
        *,
        runtime_persistence: RuntimePersistence | None = None,
        runtime: RuntimeStore | None = None,
        event: EventStore | None = None,
        output: OutputStore | None = None,
    ) -> None:
        given = {"runtime_persistence": runtime_persistence, "runtime": runtime, "event": event, "output": output}
        # a subclass may have stores of its own
        vars(self).update((name, store) for name, store in given.items() if store is not None)
