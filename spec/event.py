"""Event logs: the events of a thread, turn by turn, each turn open until it is finished.

Events are written in two phases: `append` adds them to a turn, `finish_turn` closes it for good. Turns of a thread are
independent, and may be written in any order; reads give them by their numbers. The store looks inside no event.
"""

from __future__ import annotations

from abc import abstractmethod
from itertools import chain, pairwise

import icontract

from .contracts import ensures, operation
from .events import AgentEventEnvelope
from .values import U64, Record


class StoredTurnEvents(Record, frozen=True):
    """A turn: its events in the order of their appends, and whether it is finished."""

    turn: U64
    events: tuple[AgentEventEnvelope, ...] = ()
    finished: bool = False


class EventStore(icontract.DBC):
    """The six calls of the event log."""

    @abstractmethod
    @operation
    def append(self, thread_id: str, turn: U64, envelope: AgentEventEnvelope) -> None:
        """Add the event at the end of the turn, which it opens if there is none.

        Raises `InvalidArgument`, `AppendToFinishedTurn`, `EventStorageFailure`. Requirements: EVENT-3 to EVENT-12.
        """

    @abstractmethod
    @operation
    def finish_turn(self, thread_id: str, turn: U64) -> None:
        """Close the turn for good, also one without events; everything appended to it is durable then.

        Raises `InvalidArgument`, `TurnAlreadyFinished`, `EventStorageFailure`. Requirements: EVENT-13 to EVENT-17.
        """

    @abstractmethod
    @ensures(lambda result, turn: result is None or result.turn == turn, "EVENT-18")
    @ensures(lambda result: result is None or result.finished or result.events, "EVENT-INV-5")
    @operation
    def get_turn(self, thread_id: str, turn: U64) -> StoredTurnEvents | None:
        """The turn as it is; None if there is none. Raises `InvalidArgument`, `EventStorageFailure`.

        Requirements: EVENT-18, EVENT-19, EVENT-21.
        """

    @abstractmethod
    @ensures(lambda result: all(left.turn < right.turn for left, right in pairwise(result)), "EVENT-20")
    @ensures(lambda result: all(each.finished or each.events for each in result), "EVENT-INV-5")
    @operation
    def get_turns(self, thread_id: str) -> tuple[StoredTurnEvents, ...]:
        """All turns of the thread, by their numbers; none is no error. Raises `InvalidArgument`, `EventStorageFailure`.

        Requirements: EVENT-20, EVENT-21, EVENT-25.
        """

    @abstractmethod
    @operation
    def clear(self, thread_id: str) -> None:
        """Remove every turn of the thread. Raises `InvalidArgument`, `EventStorageFailure`.

        Requirements: EVENT-28 to EVENT-31.
        """

    @operation
    def get_events(self, thread_id: str) -> tuple[AgentEventEnvelope, ...]:
        """The events of all turns of the thread, by turn, then in the order of their appends.

        Raises `InvalidArgument`, `EventStorageFailure`. Requirement: EVENT-22.
        """
        return tuple(chain.from_iterable(each.events for each in self.get_turns(thread_id)))
