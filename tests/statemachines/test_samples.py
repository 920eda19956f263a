"""The samples that machines give to stores hold every kind of what a store does not look into."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

import pytest
from fencepost.spec import (
    InputAbandonReason,
    InputDurability,
    InputLifecycleState,
    UndecodableSession,
    UnknownEvent,
    decode_session,
)
from fencepost.spec.events import EVENT_TYPES, BudgetLimit, ToolTier
from fencepost.spec.runtime import InputTerminalOutcome, ReconstructionSource
from fencepost.statemachines.samples import DECODABLE, EVENTS, MESSAGES, SHAPES, UNDECODABLE


def given(name: str) -> list[Any]:
    """What the shapes of inputs have in this field."""
    return [shape[name] for shape in SHAPES if name in shape]


def types_of(values: Iterable[object]) -> set[type]:
    """The types of these values."""
    return {type(each) for each in values}


def test_there_is_an_event_of_every_type() -> None:
    """All of the table, one of no type that is known, each word of an enumeration, and each field with something in it."""
    assert types_of(EVENTS) == {*EVENT_TYPES.values(), UnknownEvent}
    assert {getattr(each, "tier", None) for each in EVENTS} >= set(ToolTier)
    assert {getattr(each, "limit", None) for each in EVENTS} >= set(BudgetLimit)
    for kind in EVENT_TYPES.values():
        own = [each for each in EVENTS if type(each) is kind]
        for field in kind.__struct_fields__:
            assert any(getattr(each, field) is not None for each in own), (kind, field)


def test_there_is_an_input_of_every_shape() -> None:
    """Every state, durability, outcome, reason and source, and something in every field that may be missing."""
    assert set(given("current_state")) == set(InputLifecycleState)
    assert set(given("durability")) == set(InputDurability)
    assert types_of(given("terminal_outcome")) == set(get_args(InputTerminalOutcome))
    assert types_of(given("reconstruction_source")) == set(get_args(ReconstructionSource))
    reasons = [outcome.reason for outcome in given("terminal_outcome") if hasattr(outcome, "reason")]
    assert {each for each in reasons if isinstance(each, InputAbandonReason)} == set(InputAbandonReason)
    assert len({type(each) for each in reasons}) == 2


@pytest.mark.parametrize(
    "word",
    [
        *("system", "system_notice", "user", "assistant", "block_assistant", "tool_results", "tool_use", "reasoning"),
        *('"type":"text"', '"type":"image"', '"type":"video"', "inline", "blob", "render_metadata", "is_error", "meta", "-0"),
    ],
)
def test_there_is_a_session_with_every_kind_of_message(word: str) -> None:
    """Every role, block and content stands in some session that can be decoded."""
    assert any(word in messages for messages in MESSAGES)


def test_the_sessions_say_different_things() -> None:
    """Each can be decoded; but for two ways to write one message, and one session beside it, all digests differ."""
    digests = [decode_session(each).conversation_digest for each in DECODABLE]
    assert len(digests) - len(set(digests)) == 2


@pytest.mark.parametrize("snapshot", UNDECODABLE)
def test_what_is_no_session_is_none(snapshot: bytes) -> None:
    """Each is refused by the codec."""
    with pytest.raises(UndecodableSession):
        decode_session(snapshot)
