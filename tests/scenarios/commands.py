"""What the commands of all chapters share: the store, and the names of what it minted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from fencepost.spec import LeaseOwnerIdentity, LocalProcess, Opaque, SessionExecutionLease
from fencepost.statemachines.environment import Environment
from msgspec.structs import replace

T = TypeVar("T")

Alterable = Mapping[str, tuple[str, Callable[[str], object]]]
"""The field that a word in brackets sets, and how its value is read."""


class Commands:
    """One store under a scenario, and the names of what it minted."""

    store: Any
    stores: Any
    environment: Environment

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], str] = {}
        self._leases: dict[str, SessionExecutionLease] = {}

    def numbered(self, kind: str, minted: str, *, of: str = "") -> str:
        """The name of a minted value: the kind and a number, counted in order of appearance.

        Values of one kind that are minted apart may be equal: `of` tells them apart.
        """
        number = 1 + sum(name.startswith(f"{kind}#") for name in self._names.values())
        return self._names.setdefault((f"{kind}{of}", minted), f"{kind}#{number}")

    def labelled(self, kind: str, minted: str, label: str) -> str:
        """The name of a minted id: the label that it was asked for under, with a prime if that names another thing."""
        if (kind, minted) not in self._names:
            while label in self._names.values():
                label += "'"
            self._names[kind, minted] = label
        return self._names[kind, minted]

    def named(self, kind: str, minted: str) -> str:
        """The name of a value of the kind, or the value itself if it never appeared."""
        return self._names.get((kind, minted), minted)

    def minted(self, name: str) -> str:
        """What the store calls by this name; any other text is itself."""
        return next((minted for (_, minted), known in self._names.items() if known == name), name)

    def ref(self, ref: str) -> str:
        """The name of a blob ref; one that the scenario made up keeps its own."""
        return ref if ref.startswith("nowhere") else self.numbered("ref", ref)

    def lease(self, word: str) -> SessionExecutionLease:
        """The latest lease answered with this token, altered as the brackets say."""
        return altered(word, self._leases.__getitem__, ALTERABLE_LEASE)

    def keep(self, lease: SessionExecutionLease) -> str:
        """The name of the lease's token, by which the scenario speaks of the lease from now on."""
        token = self.numbered("token", lease.lease_token)
        self._leases[token] = lease
        return token


def altered(word: str, known: Callable[[str], T], alterable: Alterable) -> T:
    """The proof that the word names, with the facts in brackets altered: `token#1(fence=9,owner=b/1)`."""
    name, _, alterations = word.rstrip(")").partition("(")
    facts = (alteration.split("=", 1) for alteration in alterations.split(",") if alteration)
    return replace(known(name), **{alterable[fact][0]: alterable[fact][1](value) for fact, value in facts})  # type: ignore[type-var]


def owner(word: str) -> LeaseOwnerIdentity:
    """The owner that the word describes."""
    who, _, process = word.partition("@")
    owner_id, _, incarnation_id = who.partition("/")
    if not process:
        return LeaseOwnerIdentity(owner_id, incarnation_id, Opaque())
    *place, local = process.split(":")
    host, boot = place or ("host", "boot")
    pid, _, start = local.partition("/")
    return LeaseOwnerIdentity(owner_id, incarnation_id, LocalProcess(host, boot, int(pid), start))


def shown_owner(owner: LeaseOwnerIdentity) -> str:
    """The word that describes the owner."""
    who, process = f"{owner.owner_id}/{owner.incarnation_id}", owner.liveness
    if isinstance(process, Opaque):
        return who
    place = "" if (process.host_id, process.boot_id) == ("host", "boot") else f"{process.host_id}:{process.boot_id}:"
    return f"{who}@{place}{process.pid}/{process.process_start}"


def number(word: str) -> int:
    """The number behind the equals sign: `ttl=60000`."""
    return int(word.partition("=")[2])


ALTERABLE_LEASE: Alterable = {
    "session": ("session_id", str),
    "owner": ("owner", owner),
    "token": ("lease_token", str),
    "fence": ("fencing_token", int),
}
