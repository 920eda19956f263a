"""`turn_commit_hash`: the hash that clients stamp their commits with.

A store never computes it (COMMIT-7). Two commits of one turn get one hash if they differ only in what a retry may change:
the leases, the expected revision, the stamp itself, and volatile names inside the graph.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec

from .commit import Append, ReplaceFull, RuntimeCommit
from .contracts import ensures
from .errors import Backend
from .values import Json, canonical_json, check_for, require_valid

EXCLUDED = ("session_execution_lease", "release_session_execution_lease")
NULLED = ("expected_head_revision", "turn_commit")
VOLATILE_KEYS = frozenset({"node_id", "parent_node_id", "leaf_node_id", "timestamp"})
MESSAGE_KEYS = frozenset({"role", "parts"})
MESSAGE_PART_KEYS = frozenset({"kind", "content", "prune_state"})


@ensures(lambda result: len(result) == 64 and set(result) <= set("0123456789abcdef"), "HASH-4")
def turn_commit_hash(commit: RuntimeCommit) -> str:
    """The lower-case hex SHA-256 of the commit's canonical form. Requirements: HASH-1 to HASH-5.

    Raises `InvalidArgument`, and `Backend` for a commit that cannot be encoded.
    """
    require_valid("commit", commit, check_for(RuntimeCommit))
    return hashlib.sha256(encoded(scrubbed(hashed_fields(commit)))).hexdigest()


@ensures(lambda result: not any(key in result for key in EXCLUDED) and all(result[key] is None for key in NULLED), "HASH-1")
def hashed_fields(commit: RuntimeCommit) -> dict[str, Any]:
    """The commit as plain data, without what a retry may change."""
    fields: dict[str, Any] = _plain(commit)
    for key in EXCLUDED:
        del fields[key]
    for key in NULLED:
        fields[key] = None
    if commit.interrupted_turn_input_turn_id is None:
        del fields["interrupted_turn_input_turn_id"]
    # the variant takes part: an empty Append is no Unchanged
    graph = commit.graph
    body = fields["graph"]["graph"] if isinstance(graph, ReplaceFull) else fields["graph"]
    body.pop("delta", None)
    variant = "ReplaceFull" if isinstance(graph, ReplaceFull) else "Append" if isinstance(graph, Append) else "Unchanged"
    fields["graph"] = {variant: body}
    return fields


@ensures(lambda result: not (isinstance(result, dict) and VOLATILE_KEYS & set(result)), "HASH-2")
@ensures(lambda value, result: type(value) is type(result), "HASH-3")
def scrubbed(value: Any) -> Any:
    """The value without volatile keys, at any depth, opaque payloads included."""
    if isinstance(value, list):
        return [scrubbed(item) for item in value]
    if not isinstance(value, dict):
        return value
    keys = set(value)
    names_itself = keys >= MESSAGE_KEYS or keys >= MESSAGE_PART_KEYS
    dropped = VOLATILE_KEYS | ({"id"} if names_itself else set())
    return {key: scrubbed(item) for key, item in value.items() if key not in dropped}


@ensures(lambda value, result: json.loads(result) == value, "HASH-5")
def encoded(value: Any) -> bytes:
    """All of the value as canonical JSON; `Backend` if it cannot be encoded."""
    try:
        return canonical_json(value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Backend(f"the commit cannot be encoded: {error}") from error


def _plain(value: Any) -> Any:
    """Plain JSON data of a record: opaque values as they are, bytes as arrays of integers."""
    if isinstance(value, Json):
        return value.value()
    if isinstance(value, bytes):
        return list(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, msgspec.Struct):
        plain = {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
        tag = value.__struct_config__.tag
        return plain if tag is None else plain | {str(value.__struct_config__.tag_field): tag}
    return value
