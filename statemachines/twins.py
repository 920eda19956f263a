"""Twins: each call of a short play once more, with one of its texts in a spelling that looks like the one it has.

What is drawn meets such names by chance (see `lookalikes`). Here every text that a caller gives is met, in each of its places,
in every spelling, in a call that is still to be made and in one that was. A store that takes two names for one anywhere answers
one of these calls as if it were the other, or keeps what it should not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import count, islice, product
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from unicodedata import normalize

from fencepost.spec import (
    U64_MAX,
    Acquired,
    ActivePath,
    AgentEventEnvelope,
    Append,
    AttachmentIntent,
    CheckpointKind,
    EventPayload,
    FullGraph,
    Group,
    HydratedSessionCheckpoint,
    InputLifecycleState,
    InputState,
    InvalidArgument,
    Json,
    LeaseOwnerIdentity,
    LocalProcess,
    PersistedSessionConfig,
    Progress,
    QueuedWorkClaimBoundary,
    RunApplyBoundary,
    RunBoundaryReceipt,
    RuntimeCommit,
    RuntimeState,
    RuntimeTurnCommitStamp,
    SessionDelta,
    SessionExecutionLeaseCompletion,
    SessionExecutionLeaseFence,
    SessionMeta,
    SessionNodeRecord,
    SourceKey,
    TurnInputIngressActiveTurn,
    Unchanged,
)
from fencepost.spec.operations import OPERATIONS, Operation
from msgspec.structs import replace

from .checker import Checker, Event, Violation
from .environment import Environment
from .following import Call, Made
from .lacking import INPUT, WORK
from .lookalikes import changed
from .machine import Machine, Setup
from .model_store import ModelStore
from .queued_work import COMMAND
from .run import shortest
from .samples import EVENTS, HELLO, numbered, session
from .tally import Tally

Play: TypeAlias = Callable[[], Generator[Call, Any, None]]
"""Gives call after call, and takes the answers: each is lawful, and most need those before."""


class Scene(NamedTuple):
    """A play, the reads that show what is kept, and the chapters that it needs besides its own."""

    play: Play
    reads: Sequence[Call] = ()
    beside: Collection[str] = ()


Spelling: TypeAlias = Callable[[str], str]
"""Gives another text that looks like one."""


class Hand(NamedTuple):
    """How all names of a play are written, and in which other ways."""

    stem: Callable[[str], str]
    mark: str
    spellings: tuple[Spelling, ...]

    def written(self, call: Call) -> Call:
        """The call with marked names: those that came with answers have their mark already, and instants are no names."""

        def mark(text: str, _: str) -> str:
            return self.stem(text) + self.mark if text[:1].isalpha() and not text.endswith(self.mark) else text

        return changed(call, mark)


MARK = "\N{SUSHI}\né"
"""What texts of plays end with: beyond 16 bits and latin1, with a line's end, and with two ways to compose it."""

LENGTH = 8_000
"""How many zeros stand at the end of a number: as long as a text of a fixed length is in any database."""


def _number(text: str) -> str:
    """Another number for every word."""
    return str(int(text, 36)) if text.isascii() and text.isalnum() else text


WORDS = Hand(
    str,
    MARK,
    (
        lambda text: text[:1].swapcase() + text[1:],
        lambda text: f"{text} ",
        lambda text: normalize("NFD", text),
        lambda text: f"{text}\0",
        lambda text: text.replace("\N{SUSHI}", "\N{BEER MUG}"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: f"{text}\N{ZERO WIDTH SPACE}",
        lambda text: f"{text}\\",
        lambda text: f"{text}%",
    ),
)
"""By case, a blank, composition and a NUL, by what a narrow character set or other ends of lines make of a text, by what is not
seen, by what escapes others, and by what stands for any others in a pattern."""

NUMBERS = Hand(_number, "." + "0" * LENGTH, (lambda text: f"{text}0",))
"""By a digit that makes no other number, and stands behind all that is kept of a text that is cut."""

HANDS = (WORDS, NUMBERS)

FIRST_WINS = ("record_intent", "atomic_apply")
"""Calls of which the first is kept, and others beside it are not: what it spells would hide all other spellings."""

TTL = 600_000
"""Milliseconds: by the time of day too, no play takes so long."""

OWNER = LeaseOwnerIdentity("owner", "incarnation")
LOCAL = replace(OWNER, liveness=LocalProcess("host", "boot", 10, "tick"))
"""Its process is gone: from this owner a session can be taken."""

S, TURN, KEY = "session", "turn", "key"
AFTER_WORK = CheckpointKind.AfterWork
IDLE = QueuedWorkClaimBoundary.Idle
NOON = "2026-01-01T00:00:00Z"


def leases() -> Generator[Call, Any, None]:
    """A session is claimed and renewed, taken over by another owner, and released."""
    held = (yield Call("try_claim_session_execution_lease", (S, LOCAL, TTL))).lease
    yield Call("renew_session_execution_lease", (held.fence(), TTL))
    taken = yield Call("reclaim_session_execution_lease", (S, replace(LOCAL, owner_id="other"), held.fence(), TTL))
    if isinstance(taken, Acquired):
        yield Call("release_session_execution_lease", (taken.lease.completion(),))


def _fence() -> Generator[Call, Any, SessionExecutionLeaseFence]:
    """A lease of the session."""
    claimed = yield Call("try_claim_session_execution_lease", (S, OWNER, TTL))
    fence: SessionExecutionLeaseFence = claimed.lease.fence()
    return fence


def _input(key: str, turn_id: str | None = None) -> Call:
    """An input under this key, for a turn if one is named."""
    ingress = INPUT.ingress if turn_id is None else TurnInputIngressActiveTurn(turn_id)
    return Call("enqueue_pending_turn_input", (replace(INPUT, session_id=S, source_key=key, ingress=ingress),))


def inputs_of_turns() -> Generator[Call, Any, None]:
    """Inputs of a turn and of the next one are submitted, claimed, and given back."""
    fence = yield from _fence()
    yield _input(KEY, TURN)
    yield _input("next")
    claims = (
        Call("claim_active_turn_inputs", (S, fence, OWNER, TURN, AFTER_WORK, TTL, 2)),
        Call("claim_next_turn_inputs", (S, fence, OWNER, TTL, 2)),
    )
    for claim in claims:
        claimed = yield claim
        yield Call("abandon_turn_input_claim", (claimed,))


def cancelled_inputs() -> Generator[Call, Any, None]:
    """Inputs are listed and cancelled: by id, by key, and from one on."""
    first = yield _input(KEY)
    for key in ("second", "third"):
        yield _input(key)
    yield Call("list_pending_turn_inputs", (S,))
    yield Call("cancel_pending_turn_input", (S, first.input_id))
    yield Call("cancel_pending_turn_inputs", (S, (SourceKey("second"),)))
    yield Call("cancel_pending_turn_input_suffix", (S, SourceKey("third")))


def _work(key: str | None, **more: Any) -> Call:
    """A batch under this key, or under none."""
    return Call("enqueue_queued_work", (replace(WORK, session_id=S, source_key=key, **more),))


def work() -> Generator[Call, Any, None]:
    """Two batches of one group are submitted, claimed at once, renewed and given back; then one by its id."""
    fence = yield from _fence()
    first = yield _work(None, merge_key=Group("group"))
    yield _work(None, merge_key=Group("group"))
    claim = yield Call("claim_ready_queued_work", (S, fence, OWNER, IDLE, TTL, 2))
    renewed = yield Call("renew_queued_work_claim", (claim, TTL))
    yield Call("abandon_queued_work_claim", (renewed,))
    yield Call("claim_ready_queued_work_by_batch_ids", (S, fence, OWNER, IDLE, TTL, (first.batch_id,)))


def listed_work() -> Generator[Call, Any, None]:
    """A batch is listed, and cancelled."""
    batch = yield _work(KEY)
    yield from (read for read in BATCHES)
    yield Call("cancel_queued_work_batch", (S, batch.batch_id))


def commands() -> Generator[Call, Any, None]:
    """A command is submitted, and claimed."""
    fence = yield from _fence()
    yield _work(KEY, payloads=(COMMAND,))
    yield Call("claim_leading_ready_session_command", (S, fence, OWNER, TTL))


def _commit(fence: SessionExecutionLeaseFence, **more: Any) -> Call:
    """A commit that changes nothing, unless told so."""
    given: dict[str, Any] = {"config": CONFIG, "checkpoint": HydratedSessionCheckpoint(), "graph": Unchanged(), **more}
    return Call("commit_runtime_state", (RuntimeCommit(session_id=S, session_execution_lease=fence, **given),))


def _nodes(fence: SessionExecutionLeaseFence, node_id: str, parent: str | None = None, **more: Any) -> Call:
    """A commit of one node, which is the leaf."""
    node = SessionNodeRecord(node_id, parent, EventPayload(Json()))
    return _commit(fence, graph=Append((node,), node_id), **more)


def turns() -> Generator[Call, Any, None]:
    """Two turns are committed, the second on the node of the first."""
    fence = yield from _fence()
    yield _nodes(fence, "node", turn_commit=RuntimeTurnCommitStamp(S, TURN, "hash"))
    yield _nodes(fence, "leaf", "node")


def settled_inputs() -> Generator[Call, Any, None]:
    """A turn is committed that was interrupted, with an input that it had claimed; another one waits for it."""
    fence = yield from _fence()
    yield _input(KEY, TURN)
    claim = yield Call("claim_active_turn_inputs", (S, fence, OWNER, TURN, AFTER_WORK, TTL, 1))
    yield _input("next", TURN)
    yield _commit(fence, completed_turn_input_claims=(claim.completion(),))
    yield _commit(fence, interrupted_turn_input_turn_id=TURN)


def settled_work() -> Generator[Call, Any, None]:
    """A turn is committed with the work that it had claimed, and gives its lease back."""
    fence = yield from _fence()
    yield _work(KEY)
    claim = yield Call("claim_ready_queued_work", (S, fence, OWNER, IDLE, TTL, 1))
    release = SessionExecutionLeaseCompletion(S, fence.owner, fence.lease_token, fence.fencing_token)
    yield _commit(fence, completed_queue_claims=(claim.completion(),), release_session_execution_lease=release)


def committed_attachments() -> Generator[Call, Any, None]:
    """A turn is committed that refers to an attachment."""
    fence = yield from _fence()
    yield Call("record_intent", (INTENT,))
    yield _commit(fence, committed_attachment_ids=("attachment",))


def reads() -> Generator[Call, Any, None]:
    """A session is read, and its metadata are written."""
    fence = yield from _fence()
    yield _nodes(fence, "node")
    yield _nodes(fence, "leaf", "node")
    yield Call("load_session", (ActivePath("node"),))
    yield Call("load_node", ("node",))
    yield Call("save_session_meta", (SessionMeta(S, "", "", ""),))


def tombstones() -> Generator[Call, Any, None]:
    """A node is given up, and removed."""
    fence = yield from _fence()
    yield _nodes(fence, "node")
    yield _nodes(fence, "leaf", "node")
    yield Call("tombstone_nodes", (("node",),))


def attachments() -> Generator[Call, Any, None]:
    """Attachments are recorded; one is referred to, another forgotten."""
    yield Call("record_intent", (INTENT,))
    yield Call("record_intent", (replace(INTENT, attachment_id="other"),))
    yield Call("commit_refs", (S, ("attachment",)))
    yield Call("forget", ("other",))


def _state(number: int) -> InputState:
    """An input of a runtime."""
    state = InputLifecycleState.Queued
    return InputState(input_id=numbered(number), current_state=state, idempotency_key=KEY, created_at=NOON, updated_at=NOON)


def runs() -> Generator[Call, Any, None]:
    """A boundary is committed, another is applied, and all of it is read."""
    delta, run_id, boundary = SessionDelta(session(numbered(7), HELLO)), numbered(1), RunApplyBoundary.RunStart
    yield Call("commit_session_boundary", (RUNTIME, delta, run_id, boundary, (), (_state(1),)))
    receipt = RunBoundaryReceipt(run_id=run_id, boundary=boundary, contributing_input_ids=(), message_count=0, sequence=9)
    yield Call("atomic_apply", (RUNTIME, None, receipt, (_state(2),), None))
    yield from (read for read in RUNS)


def states() -> Generator[Call, Any, None]:
    """Inputs and states of a runtime are persisted, apart and at once, and read."""
    yield Call("persist_input_state", (RUNTIME, _state(1)))
    yield Call("persist_input_state", (RUNTIME, _state(2)))
    yield Call("persist_runtime_state", (RUNTIME, RuntimeState.Idle))
    yield Call("atomic_lifecycle_commit", (RUNTIME, RuntimeState.Stopped, (_state(2),)))
    yield Call("load_runtime_state", (RUNTIME,))


def events() -> Generator[Call, Any, None]:
    """Events of a turn are appended; it is finished and read, and its thread cleared."""
    for number in (1, 2):
        yield Call("event.append", ("thread", 1, AgentEventEnvelope(numbered(number), number, NOON, EVENTS[0])))
    yield Call("finish_turn", ("thread", 1))
    yield from (read for read in EVENTS_READ)
    yield Call("clear", ("thread",))


def outputs() -> Generator[Call, Any, None]:
    """Outputs of an attempt are appended, and read."""
    for stage in ("begun", "done"):
        yield Call("output.append", ("task", 1, "writer", Progress(stage), ()))
    yield from (read for read in WRITTEN)


CONFIG = PersistedSessionConfig("", Json())
INTENT = AttachmentIntent("attachment", S, "uri", 1_000)
RUNTIME = "runtime"
HOLDER = (Call("try_claim_session_execution_lease", (S, replace(OWNER, owner_id="third"), 0)),)
PENDING = (Call("list_pending_turn_inputs", (S,)),)
BATCHES = (Call("list_queued_work", (S,)), Call("list_pending_queued_work", (S,)))
GRAPH = (Call("load_session", (FullGraph(),)),)
ATTACHED = (Call("list_uncommitted", (U64_MAX,)),)
RUNS = (
    Call("load_boundary_receipt", (RUNTIME, numbered(1), 9)),
    Call("load_session_snapshot", (RUNTIME,)),
    Call("load_input_states", (RUNTIME,)),
    Call("load_input_state", (RUNTIME, numbered(1))),
    Call("load_runtime_state", (RUNTIME,)),
)
EVENTS_READ = (Call("get_turn", ("thread", 1)), Call("get_turns", ("thread",)), Call("get_events", ("thread",)))
WRITTEN = (Call("list_for_attempt", ("task", 1)), Call("get_latest_by_name", ("writer",)))

SCENES: dict[str, tuple[Scene, ...]] = {
    "lease": (Scene(leases, HOLDER),),
    "turn_input": (Scene(inputs_of_turns, PENDING), Scene(cancelled_inputs, PENDING)),
    "queued_work": (Scene(work, BATCHES), Scene(listed_work, BATCHES), Scene(commands, BATCHES)),
    "commit": (
        Scene(turns, GRAPH),
        Scene(settled_inputs, PENDING, ("turn_input",)),
        Scene(settled_work, BATCHES, ("queued_work",)),
        Scene(committed_attachments, ATTACHED, ("attachment",)),
    ),
    "session": (Scene(reads, (*GRAPH, Call("load_session_meta"))),),
    "maintenance": (Scene(tombstones, (*GRAPH, Call("vacuum"), *GRAPH)),),
    "attachment": (Scene(attachments, ATTACHED),),
    "runtime": (Scene(runs, RUNS), Scene(states, RUNS)),
    "event": (Scene(events, EVENTS_READ),),
    "output": (Scene(outputs, WRITTEN),),
}
"""What is played for each chapter."""


def told_apart(machine: type[Machine], setup: Setup) -> Violation | None:
    """Meet the twins of all calls of the machine's chapter; the shrunk violation, None if the store tells them apart."""
    violation = met(machine, setup)
    return None if violation is None else shortest(machine, setup, violation)


def met(machine: type[Machine], setup: Setup) -> Violation | None:
    """Play the scenes of the machine's chapter with the twins of each call; the first violation, as it came about."""
    try:
        for scene, hand in product(SCENES[machine.chapter], HANDS):
            if machine.offered.issuperset(scene.beside):
                _play(scene, hand, setup, machine.chapter)
    except Violation as violation:
        return violation
    return None


def _play(scene: Scene, hand: Hand, setup: Setup, chapter: str) -> None:
    """Play a scene up to the twins of each call of the chapter, and, if the call writes, up to the call and then its twins.

    Before a call of which the first one wins each spelling has a store of its own.
    """
    for place, operation in enumerate(operations(scene, setup.directory)):
        if operation.chapter != chapter:
            continue
        if operation.reads:
            _Trial(scene, hand, setup).run(place, hand.spellings)
            continue
        for spellings in ((each,) for each in hand.spellings) if operation.name in FIRST_WINS else (hand.spellings,):
            _Trial(scene, hand, setup).run(place, spellings)
        _Trial(scene, hand, setup).run(place, hand.spellings, later=True)


def operations(scene: Scene, directory: Path) -> Iterator[Operation]:
    """What the calls of a play are, where all is as it should be."""
    environment = Environment(directory)
    model = Checker(ModelStore(environment), environment, Tally())
    for call in played(scene, WORDS, lambda call: model.perform(call, look=False)):
        yield OPERATIONS[call.operation]


def played(scene: Scene, hand: Hand, perform: Callable[[Call], object]) -> Iterator[Call]:
    """The calls of a play in one hand, each of them before it is performed."""
    play = scene.play()
    with suppress(StopIteration):
        call = hand.written(next(play))
        while True:
            yield call
            call = hand.written(play.send(perform(call)))


class _Trial:
    """A scene on a fresh store, up to one of its calls, the twins of that call, and the reads."""

    def __init__(self, scene: Scene, hand: Hand, setup: Setup) -> None:
        self._scene = scene
        self._hand = hand
        self._setup = setup
        self._environment = Environment(setup.directory, setup.declared)
        self._store = setup.open_store(self._environment)
        # what is reached on the way is not what is looked for: it is left to what is drawn
        self._checker = Checker(self._store, self._environment, Tally(), strict=setup.strict, calls=setup.calls)

    def run(self, place: int, spellings: Sequence[Spelling], *, later: bool = False) -> None:
        """Make the twins of the call at this place in these spellings, before it or `later`."""
        try:
            self._make_twins(place, spellings, later=later)
        except Violation as violation:
            ahead = violation.ahead = self._environment.clock.ahead
            violation.program = tuple(Event(each.now - ahead, each.call, each.answer) for each in self._checker.performed)
            raise
        finally:
            self._setup.tally.steps += self._checker.tally.steps
            self._setup.progress(self._setup.tally)
            self._setup.close_store(self._store)

    def _make_twins(self, place: int, spellings: Sequence[Spelling], *, later: bool) -> None:
        call = next(islice(played(self._scene, self._hand, self._perform), place, None), None)
        if call is None:
            # where nobody is provably dead, nothing can be taken over: the play is shorter
            return
        if later:
            self._perform(call)
        found = list(twins(call, spellings, self._hand.mark))
        # those that do nothing come first, while there is all that they could do harm to
        idle = [twin for twin in found if not self._does_something(twin)]
        self._make(idle)
        for twin in found:
            if twin not in idle:
                # what it did may be undone by the next one
                self._make([twin])

    def _make(self, calls: Sequence[Call]) -> None:
        """Make the calls, and read what there is then."""
        for call in calls:
            self._perform(call)
            self._setup.tally.reached["VALUE-12"] += 1
        for read in self._scene.reads if calls else ():
            self._perform(self._hand.written(read))

    def _perform(self, call: Call) -> object:
        return self._checker.perform(call, look=False)

    def _does_something(self, call: Call) -> bool:
        """Whether the state will be another one after the call."""
        now = self._environment.clock.now
        made = Made(call, None, now, now, self._environment.process_alive, self._environment.codec)
        return self._checker.following.ours(made)[0].state is not self._checker.state


def twins(call: Call, spellings: Iterable[Spelling], mark: str) -> Iterator[Call]:
    """The call with each name, which ends with the mark, in one of its places at a time, in each of these spellings."""
    for place, spelling in product(range(_places(call, mark)), spellings):
        with suppress(InvalidArgument):
            # some records cannot be built with just any text
            yield _with(call, mark, place, spelling)


def _places(call: Call, mark: str) -> int:
    """In how many places the call has a name."""
    found: list[str] = []

    def note(text: str, _: str) -> str:
        found.append(text)
        return text

    changed(call, note)
    return sum(text.endswith(mark) for text in found)


def _with(call: Call, mark: str, place: int, spelling: Spelling) -> Call:
    """The call with the name in one place in another spelling."""
    places = count()

    def spell(text: str, _: str) -> str:
        return spelling(text) if text.endswith(mark) and next(places) == place else text

    return changed(call, spell)
