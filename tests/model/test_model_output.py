"""The output chapter of the model: what an append leaves, the ids it may answer, and how records are found."""

from __future__ import annotations

from typing import Any

import pytest
from fencepost.model import Refused, State
from fencepost.spec import (
    Artifact,
    FileRef,
    Final,
    Inline,
    Json,
    OutputEvent,
    OutputNotFound,
    OutputRecord,
    OutputRef,
    Partial,
    Progress,
)
from model_builders import ours, ports, run
from store_builders import APPEND_OUTPUT, FILE, FINAL, INLINE, STAGE, Call, after, mine, output, record, ref, steps

CHUNK = Partial(INLINE)
NAMED = Artifact("report", INLINE)
MADE = OutputRef("out-0123456789")


def listed(state: State, task: str = "task", attempt: int = 1) -> tuple[OutputRecord, ...]:
    """The list of an attempt."""
    answer = ours(state, "list_for_attempt", task, attempt).answer
    assert isinstance(answer, tuple)
    return answer


def latest(state: State, name: str = "agent") -> object:
    """The latest record of a producer."""
    return ours(state, "get_latest_by_name", name).answer


THREE = after(output(), output(FINAL, producer="other"), output(CHUNK))
"""Three records of one attempt, the second of another producer."""

READS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("get", (ref(0),)),
    ("get", (OutputRef("nowhere"),)),
    ("get_latest_by_name", ("agent",)),
    ("get_latest_by_name", ("nobody",)),
    ("list_for_attempt", ("task", 1)),
    ("list_for_attempt", ("task", 2)),
)


@pytest.mark.parametrize("state", [State(), THREE])
@pytest.mark.parametrize("call", READS)
def test_reads_leave_the_log(call: Call, state: State) -> None:
    """Whether there are records or none, the state after a read is the very same."""
    (step,) = steps(state, call)
    assert step.state is state
    assert step.differs == ()


@pytest.mark.parametrize("before", [State(), THREE])
def test_an_append_adds_one_record_at_the_end(before: State) -> None:
    """What was there stays, and the new record holds exactly what was given, under the id that is answered."""
    step = mine(before, output(NAMED, ref(7), task="t2", attempt=9, producer="p"), ports(seen=MADE))
    assert step.answer == MADE
    made = OutputRecord(MADE, "t2", 9, "p", NAMED, (ref(7),))
    assert tuple(step.state.output.records) == (*before.output.records, made)
    assert ours(step.state, "get", MADE).answer == made
    assert latest(step.state, "p") == made
    assert listed(step.state, "t2", 9) == (made,)


def test_output_1_and_3_without_a_store_the_model_makes_ids_that_are_free() -> None:
    """Four appends have four ids, past one that a store had made."""
    state = mine(State(), output(), ports(seen=ref(1))).state
    state = after(output(), output(), output(), state=state)
    assert [each.id.value for each in state.output.records] == [
        "out-0000000001",
        "out-0000000000",
        "out-0000000002",
        "out-0000000003",
    ]


@pytest.mark.parametrize("value", ["out-0000000000", "out-ffffffffff", "out-0a1b2c3d4e"])
def test_output_2_an_id_of_the_usual_form_is_taken_from_the_store(value: str) -> None:
    """It is the only step, and departs from nothing."""
    (step,) = steps(State(), output(), ports(seen=OutputRef(value)))
    assert (step.answer, step.differs) == (OutputRef(value), ())


@pytest.mark.parametrize(
    "value", ["", "x", "out-", "out-000000000", "out-00000000000", "out-000000000A", "out-000000000g", "OUT-0000000000",
              "out-0000000000\n", "0190a1b2-0000-7000-8000-000000000001"],
)  # fmt: skip
def test_output_2_an_id_of_another_form_is_admitted_and_named(value: str) -> None:
    """Ours makes an id of its own; the store's is the other step, which goes on with it."""
    first, other = steps(State(), output(), ports(seen=OutputRef(value)))
    assert (first.answer, first.differs) == (OutputRef("out-0000000000"), ())
    assert (other.answer, other.differs) == (OutputRef(value), ("OUTPUT-2",))
    assert tuple(other.state.output.records) == (OutputRecord(OutputRef(value), "task", 1, "agent", STAGE),)


@pytest.mark.parametrize("taken", [ref(0), ref(1), ref(2)])
def test_output_3_an_id_that_is_taken_is_not_accepted(taken: OutputRef) -> None:
    """The store's answer is none of the steps: ours makes another id, and no record is overwritten."""
    (step,) = steps(THREE, output(NAMED), ports(seen=taken))
    assert step.answer == OutputRef("out-0000000003")
    assert step.state.output.records.begins_with(THREE.output.records)


def test_output_3_an_odd_id_that_is_taken_is_not_accepted_either() -> None:
    """The second record under the id `x` is none of the steps."""
    odd = OutputRef("x")
    state = steps(State(), output(), ports(seen=odd))[1].state
    assert [step.answer for step in steps(state, output(), ports(seen=odd))] == [OutputRef("out-0000000000")]


@pytest.mark.parametrize("seen", [None, "out-0123456789", 7, (), Refused(OutputNotFound("x"))])
def test_an_answer_that_is_no_id_is_none_of_the_steps(seen: object) -> None:
    """Ours makes an id then."""
    assert [step.answer for step in steps(State(), output(), ports(seen=seen))] == [OutputRef("out-0000000000")]


def test_output_4_the_same_again_is_another_record() -> None:
    """Two ids, two records that differ in nothing else."""
    assert listed(after(output(FINAL), output(FINAL))) == (record(0, FINAL), record(1, FINAL))


def test_output_5_and_inv_1_records_stay_as_they_are() -> None:
    """After everything else that can be done, each id has the record that it had."""
    state = after(output(FINAL), output(FILE, ref(0), task="t2"), output(STAGE, producer="other"), state=THREE)
    for number, known in enumerate(THREE.output.records):
        assert ours(state, "get", ref(number)).answer == known


@pytest.mark.parametrize(
    "parents", [(), (ref(0),), (ref(0), ref(0)), (OutputRef("nowhere"), ref(0)), (ref(1),), (OutputRef(""), OutputRef(""))]
)
def test_output_6_parents_are_kept_as_they_are_given(parents: tuple[OutputRef, ...]) -> None:
    """In order, repeated, unknown, or the id that the record itself comes to have."""
    assert listed(after(output(), output(STAGE, *parents)))[1].parent_refs == parents


@pytest.mark.parametrize(("task", "attempt", "producer"), [("", 0, ""), ("t", 2**32 - 1, "p"), ("é\0", 1, "R%_'\"")])
def test_output_7_task_attempt_and_producer_are_not_judged(task: str, attempt: int, producer: str) -> None:
    """Empty and odd texts and the ends of the numbers find their records."""
    state = after(output(task=task, attempt=attempt, producer=producer), state=THREE)
    made = record(3, task=task, attempt=attempt, producer=producer)
    assert (listed(state, task, attempt), latest(state, producer)) == ((made,), made)


def test_output_8_events_come_in_any_order_and_number() -> None:
    """Three final events, and what comes after them, are kept like the rest."""
    events: tuple[OutputEvent, ...] = (FINAL, FINAL, STAGE, FILE, NAMED, CHUNK)
    state = after(*(output(each) for each in events))
    assert tuple(each.event for each in listed(state)) == events


def test_output_9_the_name_of_an_artifact_finds_nothing() -> None:
    """`report` is found only once it is a producer."""
    state = after(output(NAMED))
    assert latest(state, "report") == Refused(OutputNotFound("report"))
    assert latest(after(output(producer="report"), state=state), "report") == record(1, producer="report")


@pytest.mark.parametrize(
    "content", [FileRef("/nowhere"), FileRef(""), FileRef("a", "text/plain", 2**64 - 1), Inline(Json(None))]
)
def test_output_10_content_is_kept_as_it_is_given(content: FileRef | Inline) -> None:
    """A path is text: no file has to be there."""
    assert listed(after(output(Final(content, ok=False))))[0].event == Final(content, False)


@pytest.mark.parametrize("value", ["", "out-0000000003", "out-0000000000 ", "OUT-0000000000", "agent"])
def test_output_14_an_unknown_id_is_not_found(value: str) -> None:
    """Whatever it looks like."""
    step = ours(THREE, "get", OutputRef(value))
    assert (step.answer, step.because) == (Refused(OutputNotFound(value)), ("OUTPUT-14",))


def test_output_15_and_16_the_latest_is_the_last_append_of_the_producer() -> None:
    """In whichever task and attempt, whatever the ids are: neither a larger attempt nor a larger id counts."""
    state = after(output(attempt=9), output(task="z", attempt=5), output(task="a", attempt=1))
    assert latest(state) == record(2, task="a", attempt=1)
    state = mine(State(), output(), ports(seen=OutputRef("out-ffffffffff"))).state
    assert latest(after(output(attempt=0), state=state)) == record(0, attempt=0)


@pytest.mark.parametrize("last", [STAGE, CHUNK, NAMED, FINAL])
def test_output_17_events_of_every_kind_count(last: OutputEvent) -> None:
    """Whatever comes after a final event hides it."""
    assert latest(after(output(FINAL), output(last))) == record(1, last)


@pytest.mark.parametrize("name", ["", "Agent", "agent ", "task", "nobody"])
def test_output_18_a_name_without_records_is_not_found(name: str) -> None:
    """Names are compared exactly."""
    assert latest(THREE, name) == Refused(OutputNotFound(name))


def test_output_21_and_23_the_list_of_an_attempt() -> None:
    """All producers, in the order of appends, and nothing of another attempt or task."""
    state = after(output(attempt=2), output(task="task2"), output(task=""), output(FINAL), state=THREE)
    assert listed(state) == (record(0), record(1, FINAL, producer="other"), record(2, CHUNK), record(6, FINAL))
    assert listed(state, attempt=2) == (record(3, attempt=2),)
    assert listed(state, "task2") == (record(4, task="task2"),)
    assert listed(state, "") == (record(5, task=""),)


@pytest.mark.parametrize(("task", "attempt"), [("task", 0), ("task", 2), ("Task", 1), ("", 1), ("nowhere", 2**32 - 1)])
def test_output_22_an_attempt_without_records_has_an_empty_list(task: str, attempt: int) -> None:
    """And is no refusal."""
    assert listed(THREE, task, attempt) == ()


def test_output_24_and_inv_2_to_4_all_ways_to_find_records_agree() -> None:
    """Over a log of seven: the lists are all records, once each, and the latest is the last of its producer in its list."""
    state = State()
    for number in range(7):
        state = after(
            output(Progress(str(number)), task="ab"[number % 2], attempt=number % 3, producer="xy"[number % 2]), state=state
        )
        newest: OutputRecord = state.output.records[-1]
        assert latest(state, newest.producer_agent) == newest == listed(state, newest.task_id, newest.attempt)[-1]
        assert ours(state, "get", newest.id).answer == newest
    lists = [each for task in "ab" for attempt in range(3) for each in listed(state, task, attempt)]
    assert sorted(each.id.value for each in lists) == [f"out-000000000{number}" for number in range(7)]
    for name in "xy":
        found = latest(state, name)
        assert isinstance(found, OutputRecord)
        assert [each for each in listed(state, found.task_id, found.attempt) if each.producer_agent == name][-1] == found


def test_every_step_of_an_append_has_its_own_record() -> None:
    """The model called twice in one state answers the same: it draws nothing."""
    assert run(THREE, APPEND_OUTPUT, *output()[1]) == run(THREE, APPEND_OUTPUT, *output()[1])
