"""Rules of the turn-input chapter: submissions and retries, cancellations, claims that lapse, are taken over or given back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fencepost.model import Refused, State
from fencepost.spec import (
    U64_MAX,
    CheckpointKind,
    ImageBlob,
    ImageRef,
    InputId,
    Json,
    LeaseOwnerIdentity,
    PendingTurnInput,
    PendingTurnInputCancelTarget,
    PendingTurnInputDraft,
    ProtocolTurnOptions,
    SourceKey,
    Text,
    TurnInput,
    TurnInputCheckpointBoundary,
    TurnInputClaim,
    TurnInputIngress,
    TurnInputIngressActiveTurn,
    TurnInputIngressNextTurn,
)
from hypothesis.stateful import rule
from msgspec.structs import replace

from .checker import Call, session_of
from .draws import ANY, latest, mixed
from .lease import BAD_NUMBERS, BAD_TEXTS, OWNERS, PLACES, SESSIONS, TTLS, LeaseRules

KEYS = (None, None, None, "k", "k", "k", "k2", "k2", "k10", "", "K%_'\"\0é", "k" * 5_000)
IDS = (None,) * 6 + ("i1", "i1", "i2", "i10", "", "I%_'\"\0é")
TURNS = ("t", "t", "t", "t", "t2", "t10", "", "T%_'\"\0é")

AFTER_WORK, BEFORE_COMPLETION = TurnInputCheckpointBoundary
NEXT = TurnInputIngressNextTurn()
INGRESSES: tuple[TurnInputIngress, ...] = (
    NEXT,
    NEXT,
    NEXT,
    TurnInputIngressActiveTurn("t"),
    TurnInputIngressActiveTurn("t"),
    TurnInputIngressActiveTurn("t", BEFORE_COMPLETION),
    TurnInputIngressActiveTurn("t2"),
    TurnInputIngressActiveTurn(""),
)
INPUTS = (
    TurnInput((Text("hello"),)),
    TurnInput((Text("hello"),)),
    TurnInput((Text("hello"), ImageRef("img")), (ImageBlob("img", b"\x00\xff"), ImageBlob("", b""))),
    TurnInput((), (), ProtocolTurnOptions(1, Json({"n": [1, 1.0, True, None, 2**53 + 1], "é\0": "'"})), "trace"),
    # equal to the one before but for a number that is written otherwise, and one that lacks an option
    TurnInput((), (), ProtocolTurnOptions(1, Json({"n": [1.0, 1, True, None, 2**53 + 1], "é\0": "'"})), "trace"),
    TurnInput((), (), None, ""),
)
LIKE = {INPUTS[0]: INPUTS[2], INPUTS[2]: INPUTS[0], INPUTS[3]: INPUTS[4], INPUTS[4]: INPUTS[3]}
"""Inputs that differ in what is easily overlooked."""

MOST = (1, 1, 1, 2, 2, 3, 12, 0, 0, U64_MAX)
CHECKPOINTS = (*CheckpointKind, *CheckpointKind, CheckpointKind.BeforeCompletion)
CLAIM_TTLS = (10, 10, 10, 10, 10, 0, 0, 1, *TTLS)
FENCES = ("held",) * 6 + ("known", "elsewhere", "elsewhere", "expired")
"""The lease that a claim is made under: one that is live, any that was ever returned, another session's, or one at its end."""

ALTERATIONS = ("exact",) * 8 + ("token", "claim", "session", "expiry")
"""How a claim is shown again: mostly as it was granted, else with one field changed."""

INPUT_CHANGES = (
    "nothing",
    "nothing",
    "nothing",
    "nothing",
    "input",
    "ingress",
    "session",
    "key",
    "id",
    "another of its id",
    "boundary",
    "boundary",
    "like it",
    "like it",
    "like it",
)
NEWEST = (0, 0, 0, 1, 1, 2, 3, 5)
EDGES = (-1, 0, 0, 1)
MEANWHILE = (
    "nothing", "claim", "claim one", "claim one", "claim one", "cancel", "cancel suffix",
    "abandon", "by the dead", "by a stranger",
)  # fmt: skip


def altered_claim(claim: Any, how: str) -> Any:
    """The claim with one field changed; its expiry proves nothing, the others do."""
    changes = {
        "token": {"lease_token": claim.lease_token + "'"},
        "claim": {"claim_id": claim.claim_id + "'"},
        "session": {"session_id": "s2" if claim.session_id == "s" else "s"},
        "expiry": {"expires_at_epoch_ms": 0, "claimed_at_epoch_ms": 0},
    }
    return replace(claim, **changes.get(how, {}))


def _other_boundary(ingress: TurnInputIngress) -> TurnInputIngress:
    if not isinstance(ingress, TurnInputIngressActiveTurn):
        return ingress
    return replace(ingress, min_boundary=AFTER_WORK if ingress.min_boundary is BEFORE_COMPLETION else BEFORE_COMPLETION)


class TurnInputCalls(LeaseRules):
    """What is asked of turn inputs, and everything ever answered about them."""

    def observations(self, state: State) -> Iterable[Call]:
        """What waits in every session that ever had an input."""
        yield from super().observations(state)
        yield from (Call("list_pending_turn_inputs", (session_id,)) for session_id in sorted(state.turn_input.rows))

    def touches(self, call: Call) -> Iterable[Call]:
        """What waits in the session of the call."""
        yield from super().touches(call)
        if "turn_input" in call.operation or call.operation in ("commit_runtime_state", "vacuum"):
            yield from self.waiting(call)

    def waiting(self, call: Call) -> Iterable[Call]:
        """The lists of the session that a call is about; of all if it names none, or defers what waits."""
        deferring = getattr(call.arguments[0], "interrupted_turn_input_turn_id", None) if call.arguments else None
        everywhere = not call.arguments or deferring is not None
        sessions = sorted(self.state.turn_input.rows) if everywhere else (session_of(call),)
        yield from (Call("list_pending_turn_inputs", (session_id,)) for session_id in sessions)

    def enqueue_input(self, draft: PendingTurnInputDraft, *, look: bool = True) -> PendingTurnInput | None:
        """Submit the draft; the input that was answered, None if it was refused."""
        answer = self.perform("enqueue_pending_turn_input", draft, look=look)
        self.memory.input_drafts.append(draft)
        if not isinstance(answer, PendingTurnInput):
            return None
        self.memory.inputs.append(answer)
        return answer

    def next_input(self, session_id: str, place: int, *, key: str | None = None) -> PendingTurnInput | None:
        """Submit a plain input for the next turn."""
        text = TurnInput((Text(f"input {place}"),))
        return self.enqueue_input(PendingTurnInputDraft(session_id=session_id, source_key=key, ingress=NEXT, input=text))

    def remember_inputs(self, claim: object) -> TurnInputClaim | None:
        """Keep a claim that was granted."""
        if not isinstance(claim, TurnInputClaim):
            return None
        self.memory.input_claims.append(claim)
        return claim

    def claim_next(self, session_id: str, owner: LeaseOwnerIdentity, ttl: int, most: int) -> TurnInputClaim | None:
        """Reserve under a lease that is held."""
        fence = self.held(session_id, OWNERS[0]).fence()
        return self.remember_inputs(self.perform("claim_next_turn_inputs", session_id, fence, owner, ttl, most))

    def claim_active(
        self, session_id: str, owner: LeaseOwnerIdentity, turn_id: str, checkpoint: CheckpointKind, ttl: int, most: int
    ) -> TurnInputClaim | None:
        """Accept under a lease that is held."""
        fence = self.held(session_id, OWNERS[0]).fence()
        return self.remember_inputs(
            self.perform("claim_active_turn_inputs", session_id, fence, owner, turn_id, checkpoint, ttl, most)
        )


class TurnInputRules(TurnInputCalls):
    """Turn inputs on their own."""

    @rule(drawn=mixed(SESSIONS, IDS, KEYS, INGRESSES, (*INPUTS, *INPUTS[2:5])))
    def enqueue_pending_turn_input(self, drawn: tuple[Any, ...]) -> None:
        """Submit an input of any kind."""
        session_id, input_id, key, ingress, content = drawn
        self.enqueue_input(
            PendingTurnInputDraft(session_id=session_id, input_id=input_id, source_key=key, ingress=ingress, input=content)
        )

    @rule(drawn=mixed(SESSIONS, SESSIONS, INPUTS, INGRESSES, ("id", "id", "like it", "like it", "boundary", "key elsewhere")))
    def twins(self, drawn: tuple[Any, ...]) -> None:
        """Submit two inputs under one id, or under one key and alike: in one session or in two."""
        session_id, other, content, ingress, what = drawn
        name = f"twins-{len(self.memory.calls)}"
        first = PendingTurnInputDraft(session_id=session_id, ingress=ingress, input=content)
        first = replace(first, input_id=name) if what == "id" else replace(first, source_key=name)
        second = {
            "id": replace(first, session_id=other),
            "like it": replace(first, input=LIKE.get(content, content)),
            "boundary": replace(first, ingress=_other_boundary(ingress)),
            "key elsewhere": replace(first, session_id=other),
        }[what]
        for draft in (first, second):
            self.enqueue_input(draft)

    @rule(drawn=mixed(ANY, INPUT_CHANGES, INGRESSES, INPUTS, KEYS))
    def submit_again(self, drawn: tuple[Any, ...]) -> None:
        """Submit an earlier draft again: as it was, or with one field changed."""
        index, change, ingress, content, key = drawn
        if not self.memory.inputs:
            return
        draft = latest(self.memory.input_drafts, index)
        self.note("exact retry" if change == "nothing" else "retry with one field changed")
        changes: dict[str, dict[str, object]] = {
            "boundary": {"ingress": _other_boundary(draft.ingress)},
            "like it": {"input": LIKE.get(draft.input, content)},
            "input": {"input": content},
            "ingress": {"ingress": ingress},
            "session": {"session_id": "s2" if draft.session_id == "s" else "s"},
            "key": {"source_key": key},
            "id": {"input_id": "i1"},
            "another of its id": {"source_key": None, "input_id": latest(self.memory.inputs, 0).input_id},
        }
        self.enqueue_input(replace(draft, **changes.get(change, {})))

    @rule(drawn=mixed((*SESSIONS, "nowhere")))
    def list_pending_turn_inputs(self, drawn: tuple[str]) -> None:
        """List a session, perhaps one that has never had an input."""
        self.perform("list_pending_turn_inputs", *drawn)

    def target(self, index: int, by: str) -> tuple[str, PendingTurnInputCancelTarget]:
        """An input that was ever answered, by id or by key, in its session or another."""
        if not self.memory.inputs or by == "nothing":
            return "s", InputId("nothing")
        row = latest(self.memory.inputs, index)
        session_id = "s2" if by.endswith("elsewhere") and row.session_id == "s" else row.session_id
        if by.startswith("key"):
            return session_id, SourceKey(row.source_key or "")
        return session_id, InputId(row.input_id)

    @rule(drawn=mixed(ANY, ("id", "id", "id", "elsewhere", "nothing")))
    def cancel_pending_turn_input(self, drawn: tuple[int, str]) -> None:
        """Cancel one input."""
        session_id, target = self.target(*drawn)
        self.perform("cancel_pending_turn_input", session_id, target.value)

    @rule(drawn=mixed(range(5), *((NEWEST, ("id", "id", "key", "nothing", "key elsewhere")) * 4)))
    def cancel_pending_turn_inputs(self, drawn: tuple[Any, ...]) -> None:
        """Cancel some, by id and by key, perhaps the same one twice."""
        count, *rest = drawn
        if count > 2:
            self.next_input("s", count, key="bulk")
        chosen = [self.target(index, by) for index, by in zip(rest[::2], rest[1::2], strict=True)][:count]
        session_id = chosen[0][0] if chosen else "s"
        self.perform("cancel_pending_turn_inputs", session_id, tuple(target for _, target in chosen))

    @rule(drawn=mixed(PLACES, (0, 1, 2), *((("id", "key"),) * 4)))
    def cancel_twice(self, drawn: tuple[Any, ...]) -> None:
        """Inputs, of which some are held, are cancelled in one call that names one of them twice; and once more."""
        session_id, held, *by = drawn
        session_id, name = self.place(session_id), f"twice-{len(self.memory.calls)}"
        rows = [self.next_input(session_id, place, key=f"{name}-{place}") for place in range(2)]
        self.claim_next(session_id, OWNERS[0], 10, held)
        named = [
            InputId(row.input_id) if how == "id" else SourceKey(row.source_key or "")
            for row, how in zip((rows[1], rows[0], rows[1], rows[1]), by, strict=True)
            if row is not None
        ]
        self.perform("cancel_pending_turn_inputs", session_id, tuple(named[:3]))
        self.perform("cancel_pending_turn_inputs", session_id, tuple(named[3:]))

    @rule(drawn=mixed(ANY, ("id", "id", "id", "key", "nothing", "elsewhere", "key elsewhere")))
    def cancel_pending_turn_input_suffix(self, drawn: tuple[int, str]) -> None:
        """Cancel from any input on."""
        self.perform("cancel_pending_turn_input_suffix", *self.target(*drawn))

    @rule(drawn=mixed(SESSIONS, FENCES, ANY, OWNERS, TURNS, CHECKPOINTS, CLAIM_TTLS, MOST))
    def claim_active_turn_inputs(self, drawn: tuple[Any, ...]) -> None:
        """Accept inputs of a turn at a checkpoint."""
        session_id, fence, index, owner, turn_id, checkpoint, ttl, most = drawn
        shown = self.fence_to_claim_under(session_id, fence, index)
        # nothing asked under a fence that fails (CLAIM-1), which would be rare
        most = 0 if fence == "elsewhere" and index % 2 else most
        self.remember_inputs(self.perform("claim_active_turn_inputs", session_id, shown, owner, turn_id, checkpoint, ttl, most))

    @rule(drawn=mixed(SESSIONS, FENCES, ANY, OWNERS, CLAIM_TTLS, MOST))
    def claim_next_turn_inputs(self, drawn: tuple[Any, ...]) -> None:
        """Reserve inputs for the next turn."""
        session_id, fence, index, owner, ttl, most = drawn
        shown = self.fence_to_claim_under(session_id, fence, index)
        most = 0 if fence == "elsewhere" and index % 2 else most
        self.remember_inputs(self.perform("claim_next_turn_inputs", session_id, shown, owner, ttl, most))

    @rule(drawn=mixed(ANY, ALTERATIONS))
    def abandon_turn_input_claim(self, drawn: tuple[int, str]) -> None:
        """Give back any claim ever granted."""
        index, how = drawn
        if self.memory.input_claims:
            self.perform("abandon_turn_input_claim", altered_claim(latest(self.memory.input_claims, index), how))

    @rule(drawn=mixed(PLACES, OWNERS, (1, 2, 3), (10, 10, 10, 10, 0, U64_MAX), EDGES, MEANWHILE, MEANWHILE, (1, 2)))
    def reservation(self, drawn: tuple[Any, ...]) -> None:
        """Inputs are reserved, the claim comes to its edge, others do something to them, and the claim comes back."""
        session_id, owner, count, ttl, edge, first, second, most = drawn
        session_id = self.place(session_id)
        for place in range(count):
            self.next_input(session_id, place, key=f"r{place}" if place == 1 else None)
        claim = self.claim_next(session_id, owner, ttl, count)
        if claim is None:
            return
        self.move_clock(claim.expires_at_epoch_ms + edge)
        self._meanwhile(claim, first, most)
        self.next_input(session_id, count)
        self._meanwhile(claim, second, most)
        self.perform("abandon_turn_input_claim", claim)

    def _meanwhile(self, claim: TurnInputClaim, what: str, most: int) -> None:
        session_id, row = claim.session_id, claim.inputs[-1]
        if what == "claim":
            self.claim_next(session_id, OWNERS[2], 10, 12)
        elif what == "claim one":
            self.claim_next(session_id, claim.owner, 10, most)
        elif what == "cancel":
            self.perform("cancel_pending_turn_input", session_id, row.input_id)
        elif what == "cancel suffix":
            self.perform("cancel_pending_turn_input_suffix", session_id, InputId(claim.inputs[0].input_id))
        elif what == "abandon":
            self.perform("abandon_turn_input_claim", claim)
        elif what == "by the dead":
            self._by_the_dead(session_id)
        elif what == "by a stranger":
            self.claim_next(session_id, OWNERS[8], 10, 12)

    def _by_the_dead(self, session_id: str) -> None:
        """A process claims what is left and dies; another one of its host claims after it."""
        self.move("start", 20, "tick-1")
        self.next_input(session_id, 9)
        self.claim_next(session_id, OWNERS[2], 1_000, 12)
        self.move("stop", 20)
        self.note("holder of a claim died")
        self.perform("list_pending_turn_inputs", session_id)
        self.claim_next(session_id, OWNERS[0], 10, 1)

    @rule(drawn=mixed(PLACES, TURNS, (0, 10, 10), (1, 12), EDGES, ("abandon", "cancel", "suffix", "again", "again"), KEYS))
    def checkpoints(self, drawn: tuple[Any, ...]) -> None:
        """A turn comes to both of its checkpoints, and to them again when its claims have lapsed."""
        session_id, turn_id, ttl, most, edge, afterwards, key = drawn
        session_id = self.place(session_id)
        for place, boundary in enumerate((BEFORE_COMPLETION, AFTER_WORK)):
            ingress = TurnInputIngressActiveTurn(turn_id, boundary)
            text = TurnInput((Text(f"input {place}"),))
            source_key = key if place else None
            self.enqueue_input(PendingTurnInputDraft(session_id=session_id, source_key=source_key, ingress=ingress, input=text))
        claim = self.claim_active(session_id, OWNERS[2], turn_id, CheckpointKind.AfterWork, ttl, most)
        self.claim_active(session_id, OWNERS[2], turn_id, CheckpointKind.BeforeCompletion, 10, 12)
        if claim is None:
            return
        self.move_clock(claim.expires_at_epoch_ms + edge)
        if afterwards == "abandon":
            self.perform("abandon_turn_input_claim", claim)
        elif afterwards == "cancel":
            self.perform("cancel_pending_turn_input", session_id, claim.inputs[0].input_id)
        elif afterwards == "suffix":
            self.perform("cancel_pending_turn_input_suffix", session_id, InputId(claim.inputs[0].input_id))
        self.claim_active(session_id, OWNERS[0], turn_id, CheckpointKind.BeforeCompletion, ttl, 12)

    @rule(drawn=mixed(range(5), (34, 36)))
    def crowd(self, drawn: tuple[int, int]) -> None:
        """Rarely: more inputs of one turn than any window, and one of another behind them."""
        seldom, count = drawn
        if seldom:
            return
        for place in range(count):
            turn_id = "crowd" if place < count - 1 else "behind"
            draft = PendingTurnInputDraft(
                session_id="s", ingress=TurnInputIngressActiveTurn(turn_id), input=TurnInput((Text(f"input {place}"),))
            )
            self.enqueue_input(draft, look=False)
        self.claim_active("s", OWNERS[0], "behind", CheckpointKind.AfterWork, 10, 1)
        self.perform("cancel_pending_turn_input_suffix", "s", InputId(self.memory.inputs[-count].input_id))

    @rule(drawn=mixed(BAD_NUMBERS, BAD_TEXTS, range(7)))
    def bad_input_argument(self, drawn: tuple[object, object, int]) -> None:
        """Call with what no turn-input call may accept."""
        number, text, which = drawn
        fence = self.fence(0, "exact")
        calls: tuple[tuple[object, ...], ...] = (
            ("claim_next_turn_inputs", "s", fence, OWNERS[0], number, 1),
            ("claim_next_turn_inputs", "s", fence, OWNERS[0], 10, number),
            ("claim_active_turn_inputs", "s", fence, OWNERS[0], "t", text, 10, 1),
            ("list_pending_turn_inputs", text),
            ("cancel_pending_turn_inputs", "s", (text,)),
            ("cancel_pending_turn_input_suffix", "s", text),
            ("enqueue_pending_turn_input", text),
        )
        operation, *arguments = calls[which]
        assert isinstance(self.perform(str(operation), *arguments), Refused)
