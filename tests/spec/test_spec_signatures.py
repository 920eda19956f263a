"""The operations have the names and parameters of the published protocol, in its order."""

from __future__ import annotations

import inspect

import pytest
from fencepost.spec import (
    RuntimePersistence,
    SessionCommitStore,
    SessionExecutionLeaseStore,
    SessionReadStore,
)
from fencepost.spec.operations import CHAPTERS, OPERATIONS

PUBLISHED: dict[str, tuple[str, ...]] = {
    "try_claim_session_execution_lease": ("session_id", "owner", "lease_ttl_ms"),
    "reclaim_session_execution_lease": ("session_id", "owner", "observed_holder", "lease_ttl_ms"),
    "renew_session_execution_lease": ("fence", "lease_ttl_ms"),
    "release_session_execution_lease": ("completion",),
    "commit_runtime_state": ("commit",),
    "load_session": ("scope",),
    "load_node": ("node_id",),
    "save_session_meta": ("meta",),
    "load_session_meta": (),
    "durability_tier": (),
}
"""Methods and parameters, without the receiver, as the trait pages give them."""

CHAPTER_OF = {
    "lease": SessionExecutionLeaseStore,
    "commit": SessionCommitStore,
    "session": SessionReadStore,
}


@pytest.mark.parametrize("method", PUBLISHED)
def test_a_method_has_the_published_parameters(method: str) -> None:
    """Names and order are the protocol's, every parameter has an annotation, and none a default."""
    signature = inspect.signature(getattr(RuntimePersistence, method))
    receiver, *parameters = signature.parameters.values()
    assert receiver.name == "self"
    assert tuple(parameter.name for parameter in parameters) == PUBLISHED[method]
    for parameter in parameters:
        assert parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        assert parameter.default is inspect.Parameter.empty
        assert parameter.annotation is not inspect.Parameter.empty
    assert signature.return_annotation is not inspect.Signature.empty


def test_the_operations_are_read_off_the_abstract_stores() -> None:
    """Calls as data have just these names, parameters and chapters, in the order of the chapters."""
    assert {name: tuple(each for each, _ in operation.parameters) for name, operation in OPERATIONS.items()} == PUBLISHED
    assert list(OPERATIONS) == list(PUBLISHED)
    assert CHAPTERS == CHAPTER_OF
    assert [operation.chapter for operation in OPERATIONS.values()] == ["lease"] * 4 + ["commit"] + ["session"] * 5


def test_nothing_else_is_public() -> None:
    """A store has no public method beside the operations."""
    assert {name for name in dir(RuntimePersistence) if not name.startswith("_")} == set(PUBLISHED)


def test_which_operations_only_read() -> None:
    """Four reads, and six calls that may change something."""
    assert {name for name, operation in OPERATIONS.items() if operation.reads} == {
        "load_session",
        "load_node",
        "load_session_meta",
        "durability_tier",
    }
