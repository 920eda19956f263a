"""The machines: what they draw, that one seed is one run, and that the model conforms to itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fencepost.model import State
from fencepost.model.records.attachment import AttachmentState
from fencepost.model.records.claim import FREE
from fencepost.model.records.commit import CommitState
from fencepost.model.records.event import EventState
from fencepost.model.records.lease import LeaseState
from fencepost.model.records.output import OutputState
from fencepost.model.records.queued_work import QueueState, with_claim
from fencepost.model.records.runtime import RuntimeRecords
from fencepost.model.records.session import SessionState
from fencepost.model.records.turn_input import InputState
from fencepost.spec import (
    Append,
    EventPayload,
    Json,
    LeaseOwnerIdentity,
    PersistedSessionConfig,
    QueuedWorkClaimBoundary,
    RuntimeCommit,
    SessionNodeRecord,
    process_wake_draft,
)
from fencepost.spec.catalogue import requirements
from fencepost.spec.operations import OPERATIONS
from fencepost.statemachines.checker import Move, Violation
from fencepost.statemachines.draws import latest, mixed
from fencepost.statemachines.environment import CAPABILITIES, Clock, Environment, Processes
from fencepost.statemachines.model_store import ModelStore
from fencepost.statemachines.rivals import RACES
from fencepost.statemachines.run import CHAPTERS, MACHINES, Budget, Setup, machine_of, run_machine, uses
from fencepost.statemachines.tally import Tally
from hypothesis import Phase, find, given, seed, settings
from hypothesis.internal.conjecture import providers
from immutables import Map
from msgspec.structs import replace

OWNER = LeaseOwnerIdentity("a", "1")


class Remembering:
    """Opens stores that are the model, each as it was when it was closed in its environment; `forget` loses something of it."""

    def __init__(self, forget: Callable[[State], State] = lambda state: state) -> None:
        self.forget = forget
        self.left: dict[int, State] = {}
        self.opened: dict[ModelStore, Environment] = {}

    def open(self, environment: Environment) -> ModelStore:
        """The store of the environment."""
        store = ModelStore(environment)
        store.state = self.forget(self.left.get(id(environment), State()))
        self.opened[store] = environment
        return store

    def close(self, store: ModelStore) -> None:
        """Keep what the store remembers."""
        self.left[id(self.opened[store])] = store.state


def reopening(tmp_path: Path, forget: Callable[[State], State] = lambda state: state) -> Setup:
    """A setup of stores that are closed and opened again now and then."""
    stores = Remembering(forget)
    return Setup(stores.open, tmp_path, close_store=stores.close, declared=frozenset(CAPABILITIES))


def run(tmp_path: Path, chapter: str, seed: int, examples: int = 40) -> Setup:
    """A run of the chapter's machine over the model's own store."""
    setup = reopening(tmp_path)
    assert run_machine(MACHINES[chapter], setup, Budget(seed, examples, 50)) is None
    return setup


@pytest.mark.slow
@pytest.mark.parametrize("chapter", MACHINES)
def test_one_seed_is_one_run(tmp_path: Path, chapter: str) -> None:
    """Two runs from one seed make the same calls and reach the same requirements."""
    first, second = run(tmp_path, chapter, 3, 8), run(tmp_path, chapter, 3, 8)
    assert first.tally == second.tally


def test_other_tests_of_the_process_do_not_change_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Hypothesis has put aside for them is not looked at."""

    class Borrowed(dict[Any, Any]):
        def __contains__(self, _: object) -> bool:
            return True

        def __getitem__(self, _: object) -> Any:
            raise AssertionError("it was looked at")

    before = run(tmp_path, "event", 1, 5).tally
    monkeypatch.setattr(providers, "CONSTANTS_CACHE", Borrowed())
    assert run(tmp_path, "event", 1, 5).tally == before


def test_a_slow_run_is_told_of_each_second(tmp_path: Path) -> None:
    """Its steps are few; those of any other are told now and then."""
    told: list[int] = []
    setup = Setup(ModelStore, tmp_path, Tally(steps=1), progress=lambda tally: told.append(tally.steps))
    setup.tell()
    assert told == []
    setup._told -= 2
    setup.tell()
    setup.tell()
    assert told == [1]


def test_a_violation_is_told_before_it_is_shortened(tmp_path: Path) -> None:
    """Whoever watches is told with a tally that has no step yet, before anything is done again."""
    setup = reopening(tmp_path, lambda _: State())
    told: list[int] = []
    setup.progress = lambda tally: told.append(-1 if tally is setup.tally else tally.steps)
    assert run_machine(MACHINES["output"], setup, Budget(0, 40, 50)) is not None
    assert next(each for each in told if each >= 0) == 0


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    """Two seeds draw different calls."""
    assert run(tmp_path, "lease", 1, 15).tally != run(tmp_path, "lease", 2, 15).tally


@pytest.mark.slow
def test_the_machines_reach_what_the_catalogue_says_can_be_reached(tmp_path: Path) -> None:
    """Over two seeds every requirement decides an answer, but for those of races, and those whose entry says why none can."""
    reached: Counter[str] = Counter()
    for each in range(2):
        for chapter in MACHINES:
            reached.update(run(tmp_path, chapter, each).tally.reached)
    raced = {race.requirement for races in RACES.values() for race in races}
    unreached = {each.id for each in requirements().values() if not reached[each.id]}
    explained = {each.id for each in requirements().values() if each.unreached or each.internal}
    assert unreached - raced == explained - SEEN_IN_PASSING - raced


SEEN_IN_PASSING = {"LEASE-5"}
"""Internal rules whose branch the model passes all the same."""


@pytest.fixture(scope="module")
def conditions(tmp_path_factory: pytest.TempPathFactory) -> Counter[str]:
    """The situations that two modest runs of the commit machine met."""
    directory = tmp_path_factory.mktemp("conditions")
    return sum((run(directory, "commit", each).tally.conditions for each in range(2)), Counter[str]())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("condition", "times"),
    [
        ("old lease shown again", 5),
        ("lease shown at its edge", 5),
        ("lease at its edge before a commit", 5),
        ("dead holder observed", 5),
        ("exact retry", 5),
        ("retry with one field changed", 5),
        ("claim completed under a later lease", 5),
        ("claim taken over in part", 1),
    ],
)
def test_the_conditions_that_show_families_of_faults_occur(conditions: Counter[str], condition: str, times: int) -> None:
    """Two modest runs of the commit machine meet each condition at least that often."""
    assert conditions[condition] >= times


USES: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {
    ("lease", CHAPTERS): ("lease",),
    ("turn_input", CHAPTERS): ("lease", "turn_input"),
    ("queued_work", CHAPTERS): ("lease", "queued_work"),
    ("commit", CHAPTERS): ("lease", "turn_input", "queued_work", "commit", "attachment"),
    ("session", CHAPTERS): ("lease", "commit", "session"),
    ("maintenance", CHAPTERS): ("lease", "turn_input", "queued_work", "commit", "session", "maintenance"),
    ("attachment", CHAPTERS): CHAPTERS[:7],
    ("runtime", CHAPTERS): ("runtime",),
    ("event", CHAPTERS): ("event",),
    ("output", CHAPTERS): ("output",),
    ("turn_input", ("lease", "turn_input")): ("lease", "turn_input"),
    ("commit", ("lease", "commit")): ("lease", "commit"),
    ("commit", ("lease", "turn_input", "commit")): ("lease", "turn_input", "commit"),
    ("commit", ("lease", "queued_work", "commit")): ("lease", "queued_work", "commit"),
    ("maintenance", ("lease", "commit", "session", "maintenance")): ("lease", "commit", "session", "maintenance"),
    ("attachment", ("attachment",)): ("attachment",),
}


@pytest.mark.parametrize(("chapter", "offered"), USES)
def test_a_machine_uses_what_it_cannot_do_without_and_what_is_offered_besides(chapter: str, offered: tuple[str, ...]) -> None:
    """The table says whose calls are made; the machine has these and no others."""
    assert uses(chapter, offered) == USES[chapter, offered]
    machine = machine_of(chapter, offered)
    assert machine.chapter == chapter
    assert machine.offered == set(USES[chapter, offered])


class Partial(ModelStore):
    """A store that has the calls of some chapters, and reads a session back where commits are among them."""

    chapters: tuple[str, ...] = ()

    def __getattr__(self, operation: str) -> object:
        read_back = operation == "load_session" and "commit" in self.chapters
        if operation in OPERATIONS and OPERATIONS[operation].chapter not in self.chapters and not read_back:
            raise AttributeError(operation)
        return super().__getattr__(operation)


@pytest.mark.parametrize(
    ("chapters", "checked"),
    [
        (("lease", "turn_input"), ("lease", "turn_input")),
        (("lease", "queued_work"), ("queued_work",)),
        (("lease", "commit"), ("commit",)),
        (("lease", "turn_input", "commit"), ("commit",)),
        (("lease", "queued_work", "commit"), ("commit",)),
        (("lease", "commit", "session", "maintenance"), ("maintenance",)),
        (("attachment",), ("attachment",)),
        (("runtime",), ("runtime",)),
        (("event", "output"), ("event", "output")),
    ],
)
def test_a_store_with_some_chapters_is_asked_for_nothing_else(
    chapters: tuple[str, ...], checked: tuple[str, ...], tmp_path: Path
) -> None:
    """Each machine runs on a store that would fail at any other call, and finds nothing."""
    store = type("Some", (Partial,), {"chapters": chapters})
    for chapter in checked:
        setup = Setup(store, tmp_path)
        assert run_machine(machine_of(chapter, chapters), setup, Budget(1, 15, 40)) is None
        called = {OPERATIONS[operation].chapter for operation in setup.tally.operations if operation != "load_session"}
        assert called <= set(chapters)
        assert chapter in called


LOSSES: dict[str, tuple[str, Callable[[State], State]]] = {
    "leases": ("lease", lambda state: replace(state, lease=LeaseState())),
    "inputs": ("turn_input", lambda state: replace(state, turn_input=InputState())),
    "queued work": ("queued_work", lambda state: replace(state, queued_work=QueueState())),
    "commits": ("commit", lambda state: replace(state, commit=CommitState())),
    "recorded turns": ("commit", lambda state: replace(state, commit=replace(state.commit, stamps=Map()))),
    "metadata": ("session", lambda state: replace(state, session=SessionState())),
    "attachments": ("attachment", lambda state: replace(state, attachment=AttachmentState())),
    "runtimes": ("runtime", lambda state: replace(state, runtime=RuntimeRecords())),
    "events": ("event", lambda state: replace(state, event=EventState())),
    "outputs": ("output", lambda state: replace(state, output=OutputState())),
}
"""What a store that is opened again may have lost, and the machine that has to see it."""


@pytest.mark.parametrize("lost", LOSSES)
def test_value_9_a_store_that_loses_something_when_it_is_opened_again_is_caught(lost: str, tmp_path: Path) -> None:
    """The shrunk program opens the store again, once, and VALUE-9 stands in front; of metadata META-5 says it nearer still."""
    chapter, forget = LOSSES[lost]
    violation = run_machine(MACHINES[chapter], reopening(tmp_path, forget), Budget(2, 400, 50))
    assert violation is not None
    assert violation.requirements[:2] == ("META-5", "VALUE-9") if lost == "metadata" else violation.requirements[0] == "VALUE-9"
    assert [event.action for event in violation.program].count(Move("reopen", ())) == 1


def without_claims(state: State) -> State:
    """The state, all claims on queued work forgotten."""
    rows = {
        each: tuple(replace(row, record=with_claim(row.record, FREE)) for row in batches)
        for each, batches in state.queued_work.rows.items()
    }
    return replace(state, queued_work=replace(state.queued_work, rows=Map(rows)))


def without_tombstones(state: State) -> State:
    """The state, all tombstoned nodes visible again."""
    return replace(state, commit=replace(state.commit, tombstoned=frozenset()))


@pytest.mark.parametrize("forget", [without_claims, without_tombstones])
def test_value_9_all_is_looked_at_when_a_store_is_opened_again(forget: Callable[[State], State], tmp_path: Path) -> None:
    """A claim or a tombstone that is lost shows at once, with no further call, and VALUE-9 stands in front."""
    machine = MACHINES["maintenance"](reopening(tmp_path, forget))
    granted: Any = machine.perform("try_claim_session_execution_lease", "s", OWNER, 1_000)
    fence = granted.lease.fence()
    machine.perform("enqueue_queued_work", process_wake_draft("s", "p", 1, Json(1)))
    machine.perform("claim_ready_queued_work", "s", fence, OWNER, QueuedWorkClaimBoundary.Idle, 1_000, 1)
    node = SessionNodeRecord("n1", None, EventPayload(Json(1)))
    config = PersistedSessionConfig("p", Json(1))
    graph = Append((node,), "n1")
    machine.perform(
        "commit_runtime_state", RuntimeCommit(session_id="s", session_execution_lease=fence, config=config, graph=graph)
    )
    machine.perform("tombstone_nodes", ("n1",))
    with pytest.raises(Violation) as caught:
        machine.move("reopen")
    assert caught.value.requirements[0] == "VALUE-9"
    assert caught.value.program[-1].action == Move("reopen", ())
    machine.teardown()


@pytest.mark.parametrize("chapter", ["lease", "session"])
def test_value_9_is_reached_where_nothing_is_lost(chapter: str, tmp_path: Path) -> None:
    """A store that is found as it was left conforms; one that is never opened again says nothing of VALUE-9."""
    assert run(tmp_path, chapter, 1, 15).tally.reached["VALUE-9"] > 0
    setup = Setup(ModelStore, tmp_path)
    assert run_machine(MACHINES[chapter], setup, Budget(1, 15, 50)) is None
    assert setup.tally.reached["VALUE-9"] == 0


def test_mixed_draws_one_value_of_each_pool() -> None:
    """Every combination can be drawn, and the simplest is the first of each pool."""
    assert find(mixed("ab", (1, 2, 3)), lambda _: True) == ("a", 1)
    assert find(mixed("ab", (1, 2, 3)), lambda drawn: drawn[0] == "b") == ("b", 1)
    assert find(mixed("ab", (1, 2, 3)), lambda drawn: drawn[1] == 3) == ("a", 3)


def test_mixed_draws_evenly() -> None:
    """Of many draws from twelve values and four, each value gets its share, within a factor of two."""
    drawn: Counter[tuple[int, object]] = Counter()

    @seed(0)
    @settings(max_examples=500, database=None, phases=(Phase.generate,))
    @given(mixed(range(12), "abcd", range(200), range(200)))
    def draw(values: tuple[object, ...]) -> None:
        drawn.update((place, value) for place, value in enumerate(values[:2]))

    draw()
    shares = {(place, value): count * (12 if place == 0 else 4) / 500 for (place, value), count in drawn.items()}
    assert len(shares) == 16
    assert all(0.5 < share < 2 for share in shares.values()), shares


def test_latest_counts_from_the_newest_and_goes_round() -> None:
    """Index 0 is the newest item; indices beyond the oldest start again."""
    assert [latest("abc", index) for index in range(5)] == ["c", "b", "a", "c", "b"]


def test_the_clock_never_goes_back() -> None:
    """A move to an earlier instant leaves the clock where it is, and the end of time is 2^64 - 1."""
    clock = Clock(5)
    clock.move_to(3)
    assert clock() == 5
    clock.move_to(2**70)
    assert clock() == 18446744073709551615


def test_a_process_table_tells_a_reused_pid_from_the_process_that_died() -> None:
    """Another start stamp under the same pid means that the process is gone; a hidden pid cannot be told."""
    processes = Processes()
    processes.start(7, "first")
    assert processes(7, "first").value == "yes"
    processes.start(7, "second")
    assert processes(7, "first").value == "no"
    processes.stop(7)
    assert processes(7, "second").value == "no"
    processes.hide(7)
    assert processes(7, "second").value == "unknown"
