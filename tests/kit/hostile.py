"""Stores that answer and raise what no terminal should be sent, and what no file can hold as it is."""

# ruff: noqa: D102 - what a method does wrong stands in the docstring of its class
from __future__ import annotations

from typing import Any

from faulty import Bent
from fencepost.spec import PersistedSessionRead, SessionExecutionLeaseExpired
from msgspec.structs import replace

HOSTILE = 'a\udc80\x1b[31m\x00\x9b\r\u202e"""\\\n# b'
"""A lone surrogate, an escape sequence, a null, other controls, a text that turns around, and the end of a docstring."""


class Outcry(Exception):
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise ValueError(HOSTILE)

    __repr__ = __str__


class Raises(Bent):
    """An exception with such a text leaves a renewal."""

    def renew_session_execution_lease(self, *_arguments: object) -> object:
        raise ValueError(HOSTILE)


class CriesOut(Bent):
    """An exception without a text leaves a renewal."""

    def renew_session_execution_lease(self, *_arguments: object) -> object:
        raise Outcry


class Answers(Bent):
    """A renewal is answered with such a text."""

    def renew_session_execution_lease(self, *_arguments: object) -> object:
        return HOSTILE


class Odd:
    """An object that looks so."""

    def __repr__(self) -> str:
        return HOSTILE


class LooksOdd(Bent):
    """A renewal is answered with such an object."""

    def renew_session_execution_lease(self, *_arguments: object) -> object:
        return Odd()


class Mints(Bent):
    """Tokens of leases are such texts."""

    def try_claim_session_execution_lease(self, *arguments: object) -> Any:
        answer = self.right("try_claim_session_execution_lease", *arguments)
        lease = getattr(answer, "lease", None)
        return replace(answer, lease=replace(lease, session_id=HOSTILE.replace("\udc80", ""))) if lease else answer


class Renames(Bent):
    """What is read back has such a node as its leaf."""

    def load_session(self, *arguments: object) -> Any:
        answer = self.right("load_session", *arguments)
        if not isinstance(answer, PersistedSessionRead) or not answer.graph.nodes:
            return answer
        nodes = tuple(replace(each, node_id=HOSTILE.replace("\udc80", "")) for each in answer.graph.nodes[:1])
        return replace(answer, graph=replace(answer.graph, nodes=nodes, leaf_node_id=nodes[0].node_id))


class Refuses(Bent):
    """A renewal is refused with such a text, and with what is no text."""

    def renew_session_execution_lease(self, *_arguments: object) -> object:
        error = SessionExecutionLeaseExpired(HOSTILE)
        error.__dict__["beside"] = (HOSTILE, Odd())
        raise error
