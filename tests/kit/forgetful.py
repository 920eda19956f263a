"""Stores that can be opened again, and do not hold what they should; and backends that are marked and should not be."""

# ruff: noqa: D102 - what a method does wrong stands in the docstring of its class
from __future__ import annotations

from typing import Any, ClassVar
from weakref import WeakSet

from fencepost.kit import declares
from fencepost.kit.model import Model
from fencepost.model import State
from fencepost.statemachines.environment import CAPABILITIES, Environment
from fencepost.statemachines.model_store import ModelStore
from msgspec.structs import replace


class Forgetting(Model):
    """Closing it loses some chapters of what is in it."""

    lost: tuple[str, ...] = ()

    def close(self) -> None:
        empty = State()
        self.state = replace(self.state, **{name: getattr(empty, name) for name in self.lost})
        super().close()


class ForgetsWork(Forgetting):
    """Queued work."""

    lost = ("queued_work",)


class ForgetsLeases(Forgetting):
    """Leases, which no read shows: only the next claim does."""

    lost = ("lease",)


class ForgetsMetadata(Forgetting):
    """Metadata."""

    lost = ("session",)


class OpenedLate(Model):
    """Loses its leases if it is opened in the last millisecond of one; processes have no part in it."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        if any(record.expires_at == self._clock() + 1 for record in self.state.lease.records.values()):
            self.state = replace(self.state, lease=State().lease)


class NeverFreed(Model):
    """Forgets nothing; a claim that is given back stays as it was."""

    def abandon_turn_input_claim(self, claim: object) -> None:
        """Do nothing."""


class WithFile(Model):
    """Expects its file when it is opened again, and an empty directory otherwise."""

    known: ClassVar[WeakSet[Environment]] = WeakSet()

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        there = [each.name for each in environment.directory.iterdir()]
        assert there == ["file"] * (environment in self.known), f"there is {there}"
        (environment.directory / "file").write_text("")
        self.known.add(environment)


@declares(*CAPABILITIES)
class Unclosed(ModelStore):
    """Marked, and without a close."""


class Once(ModelStore):
    """Cannot be opened where it was before."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        (environment.directory / "file").touch(exist_ok=False)

    def close(self) -> None:
        """Leave the file."""


@declares(*CAPABILITIES)
def once(environment: Environment) -> Any:
    """Marked, and makes its file anew each time."""
    return Once(environment)


class Unmarked(Model):
    """Could be opened again, and does not say so."""

    fencepost_declares = tuple(each for each in CAPABILITIES if each != "reopen")
