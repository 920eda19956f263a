"""Commands of runtimes: boundary, apply, input, state, lifecycle, and what is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from uuid import UUID

from commands import Commands
from fencepost.spec import (
    InputLifecycleState,
    InputState,
    RunApplyBoundary,
    RunBoundaryReceipt,
    RuntimeState,
    SessionDelta,
)

INSTANT = {"secs_since_epoch": 1, "nanos_since_epoch": 0}
CREATED = "2026-01-01T00:00:00Z"


def uuid(name: str) -> UUID:
    """The id that a name stands for: its number at the end."""
    digits = "".join(each for each in name if each.isdigit())
    return UUID(f"{ord(name[0]):08x}-0000-4000-8000-{int(digits or '0'):012}")


def snapshot(word: str) -> SessionDelta:
    """The session `NAME:TEXT+TEXT` with these messages, or bytes that are none."""
    if word == "garbage":
        return SessionDelta(b"garbage")
    name, _, texts = word.partition(":")
    messages = [{"role": "user", "content": text} for text in texts.split("+") if text]
    session = {"id": str(uuid(name)), "messages": messages, "created_at": INSTANT, "updated_at": INSTANT}
    return SessionDelta(json.dumps(session).encode())


def input_state(word: str) -> InputState:
    """The input `NAME:STATE`, or `NAME:STATE:RUN/SEQUENCE` with a stamp."""
    name, state, *stamp = word.split(":")
    run, _, sequence = stamp[0].partition("/") if stamp else ("", "", "")
    return InputState(
        input_id=uuid(name),
        current_state=InputLifecycleState(state),
        last_run_id=uuid(run) if run else None,
        last_boundary_sequence=int(sequence) if sequence else None,
        created_at=CREATED,
        updated_at=CREATED,
    )


class RuntimeCommands(Commands):
    """What a runtime keeps."""

    def __init__(self) -> None:
        super().__init__()
        self._named_ids: dict[UUID, str] = {}

    def _uuid(self, name: str) -> UUID:
        self._named_ids[uuid(name)] = name
        return uuid(name)

    def _input_states(self, words: list[str]) -> tuple[InputState, ...]:
        for name, _, *stamp in (word.split(":") for word in words):
            for known in (name, *(each.partition("/")[0] for each in stamp)):
                self._uuid(known)
        return tuple(map(input_state, words))

    def do_boundary(self, words: list[str]) -> Iterator[str]:
        """`boundary RUNTIME RUN SESSION [from=INPUT ...] [NAME:STATE ...]`."""
        runtime, run, session, *rest = words
        contributing = tuple(self._uuid(word.removeprefix("from=")) for word in rest if word.startswith("from="))
        inputs = self._input_states([word for word in rest if not word.startswith("from=")])
        place = RunApplyBoundary.Immediate
        receipt = self.stores.runtime.commit_session_boundary(
            runtime, self._session(session), self._uuid(run), place, contributing, inputs
        )
        yield self._receipt_shown(receipt)

    def do_apply(self, words: list[str]) -> Iterator[str]:
        """`apply RUNTIME RUN/SEQUENCE SESSION | none [key=SESSION] [NAME:STATE ...]`."""
        runtime, numbered, session, *rest = words
        run, _, sequence = numbered.partition("/")
        keys = [self._uuid(word.removeprefix("key=")) for word in rest if word.startswith("key=")]
        receipt = RunBoundaryReceipt(
            run_id=self._uuid(run),
            boundary=RunApplyBoundary.RunStart,
            contributing_input_ids=(),
            message_count=0,
            sequence=int(sequence),
        )
        inputs = self._input_states([word for word in rest if not word.startswith("key=")])
        delta = None if session == "none" else self._session(session)
        self.stores.runtime.atomic_apply(runtime, delta, receipt, inputs, keys[0] if keys else None)
        yield "ok"

    def do_input(self, words: list[str]) -> Iterator[str]:
        """`input RUNTIME NAME:STATE` keeps it, `input RUNTIME NAME` shows it."""
        runtime, word = words
        if ":" in word:
            (state,) = self._input_states([word])
            self.stores.runtime.persist_input_state(runtime, state)
            yield "ok"
        elif (found := self.stores.runtime.load_input_state(runtime, self._uuid(word))) is not None:
            yield self._input_shown(found)

    def do_inputs(self, words: list[str]) -> Iterator[str]:
        """`inputs RUNTIME`."""
        yield from map(self._input_shown, self.stores.runtime.load_input_states(words[0]))

    def do_state(self, words: list[str]) -> Iterator[str]:
        """`state RUNTIME STATE` keeps it, `state RUNTIME` shows it."""
        if len(words) == 2:
            self.stores.runtime.persist_runtime_state(words[0], RuntimeState(words[1]))
            yield "ok"
        elif (found := self.stores.runtime.load_runtime_state(words[0])) is not None:
            yield found.value

    def do_lifecycle(self, words: list[str]) -> Iterator[str]:
        """`lifecycle RUNTIME STATE [NAME:STATE ...]`."""
        runtime, state, *inputs = words
        self.stores.runtime.atomic_lifecycle_commit(runtime, RuntimeState(state), self._input_states(inputs))
        yield "ok"

    def do_receipt(self, words: list[str]) -> Iterator[str]:
        """`receipt RUNTIME RUN/SEQUENCE`."""
        run, _, sequence = words[1].partition("/")
        found = self.stores.runtime.load_boundary_receipt(words[0], self._uuid(run), int(sequence))
        if found is not None:
            yield self._receipt_shown(found)

    def do_snapshot(self, words: list[str]) -> Iterator[str]:
        """`snapshot RUNTIME`."""
        found = self.stores.runtime.load_session_snapshot(words[0])
        if found is not None:
            session = json.loads(found)
            texts = "+".join(message["content"] for message in session["messages"])
            yield f"session {self._named_ids.get(UUID(session['id']), session['id'])}: {texts or 'no messages'}"

    def _session(self, word: str) -> SessionDelta:
        if word != "garbage":
            self._uuid(word.partition(":")[0])
        return snapshot(word)

    def _receipt_shown(self, receipt: RunBoundaryReceipt) -> str:
        digest = receipt.conversation_digest[:8] if receipt.conversation_digest else "none"
        inputs = ", ".join(self._named_ids[each] for each in receipt.contributing_input_ids) or "no inputs"
        run = self._named_ids[receipt.run_id]
        return f"receipt {run}/{receipt.sequence}: messages {receipt.message_count}, digest {digest}, from {inputs}"

    def _input_shown(self, state: InputState) -> str:
        run = None if state.last_run_id is None else self._named_ids[state.last_run_id]
        stamp = "" if run is None else f", stamped {run}/{state.last_boundary_sequence}"
        return f"{self._named_ids[state.input_id]} {state.current_state.value}{stamp}"
