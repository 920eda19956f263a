"""Histories that are held against the model: right ones, wrong ones, and ones of which too little is known."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faulty
import faulty_claims
import faulty_shapes
import pytest
from click.testing import CliRunner, Result
from fencepost.impl import DuckDBStores
from fencepost.kit.cli import cli
from fencepost.kit.histories.recorder import record
from fencepost.kit.histories.trial import judge_history
from fencepost.kit.result import Verdict
from fencepost.spec import (
    U64_MAX,
    Acquired,
    ActivePath,
    AgentEventEnvelope,
    AgentEventText,
    ContractBroken,
    Json,
    LeaseOwnerIdentity,
    LocalProcess,
    PendingTurnInputDraft,
    PersistedSessionConfig,
    Progress,
    RuntimeCommit,
    SessionExecutionLease,
    StoreError,
    Text,
    TurnInput,
    TurnInputIngressNextTurn,
)
from fencepost.statemachines.environment import Environment
from fencepost.statemachines.model_store import ModelStore
from production import Production, uuid

A, B = LeaseOwnerIdentity("a", "1"), LeaseOwnerIdentity("b", "1")
ASKED = TurnInput((Text("hello"),))
DRAFT = PendingTurnInputDraft(session_id="s", ingress=TurnInputIngressNextTurn(), input=ASKED)


class Site:
    """A store in production, at an instant that a test sets, and the history of it."""

    def __init__(self, folder: Path, make: Callable[[Environment], Any] = ModelStore) -> None:
        self.environment = Environment(folder)
        self.file = folder / "history.jsonl"
        self.store = record(make(self.environment), self.file, clock=self.environment.clock)

    def at(self, instant: int) -> Any:
        """The store of sessions, at this instant."""
        self.environment.clock.move_to(instant)
        return self.store.runtime_persistence

    def leased(self, instant: int, owner: LeaseOwnerIdentity = A, ttl: int = 100) -> SessionExecutionLease:
        """Session s leased, which it can be."""
        outcome = self.at(instant).try_claim_session_execution_lease("s", owner, ttl)
        assert isinstance(outcome, Acquired)
        return outcome.lease

    def lines(self) -> list[dict[str, Any]]:
        """The history as it is."""
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    def rewrite(self, lines: list[dict[str, Any]]) -> Path:
        """The history made over."""
        self.file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return self.file


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A store that is the model."""
    return Site(tmp_path)


def check_trace(file: Path, *options: str) -> Result:
    """The command."""
    return CliRunner().invoke(cli, ["check-trace", str(file), *options], env={"COLUMNS": "120", "NO_COLOR": "1"})


def test_the_history_of_a_duckdb_store_conforms(tmp_path: Path) -> None:
    """Hundreds of calls of all stores, by the clock on the wall and with hosts that die."""
    passed = 0

    def tick(milliseconds: int) -> None:
        nonlocal passed
        passed += milliseconds if milliseconds > 1_000 else 0

    def clock() -> int:
        return os.times().elapsed.__trunc__() * 1_000 + passed

    stores = record(DuckDBStores(clock=clock), tmp_path / "history.jsonl", clock=clock)
    Production(stores, tick, seed=3).work(250)
    stores.close()
    result = check_trace(tmp_path / "history.jsonl")
    assert result.exit_code == 0, result.output
    assert "conforms  " in result.output
    assert " of the 366 requirements there were reached" in " ".join(result.output.split())


def lives_too_long(site: Site) -> None:
    """Line 3 refuses the lane at the very instant of its expiry."""
    site.leased(1_000)
    site.at(1_100).try_claim_session_execution_lease("s", B, 100)


def is_not_fenced(site: Site) -> None:
    """Line 4 commits under a fence that was taken over in line 3."""
    lease = site.leased(1_000)
    site.leased(1_200, B)
    config = PersistedSessionConfig("p", Json({}))
    site.at(1_201).commit_runtime_state(RuntimeCommit(session_id="s", session_execution_lease=lease.fence(), config=config))


def reuses_a_token(site: Site) -> None:
    """Line 4 grants under the lease token of line 2."""
    site.at(1_000).release_session_execution_lease(site.leased(1_000).completion())
    site.leased(1_001)


def cancels_another(site: Site) -> None:
    """Line 4 cancels the last input in place of the one that it names."""
    first, _ = (site.at(1_000).enqueue_pending_turn_input(DRAFT) for _ in range(2))
    site.at(1_001).cancel_pending_turn_input("s", first.input_id)


def claims_twice_under_one_id(site: Site) -> None:
    """Line 6 has the claim id of line 4."""
    lease = site.leased(1_000)
    for _ in range(2):
        site.at(1_001).enqueue_pending_turn_input(DRAFT)
        site.at(1_001).claim_next_turn_inputs("s", lease.fence(), A, 100, 1)


def goes_on_after_the_end(site: Site) -> None:
    """Line 3 takes an event for a turn that line 2 has finished."""
    site.store.event.finish_turn("t", 1)
    site.store.event.append("t", 1, AgentEventEnvelope(uuid(1), 1, "2026-01-01T00:00:00Z", AgentEventText("m", "late")))


def crashes(site: Site) -> None:
    """Line 3 lets an exception out that is no refusal."""
    site.leased(1_000)
    with pytest.raises(ZeroDivisionError):
        site.at(1_000).list_pending_turn_inputs("s")


class TakesLateEvents(faulty.Bent):
    """The first event for a finished turn is taken, and dropped."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        real = self.event

        class Late:
            def append(self, *arguments: object) -> None:
                try:
                    real.append(*arguments)  # type: ignore[union-attr, arg-type]
                except StoreError:
                    return

            def __getattr__(self, name: str) -> object:
                return getattr(real, name)

        vars(self)["event"] = Late()


class Divides(faulty.Bent):
    """The list of inputs divides by zero."""

    def list_pending_turn_inputs(self, session_id: str) -> object:
        """Divide."""
        return 1 / 0


FAULTS: list[tuple[type, Callable[[Site], None], int, str]] = [
    (faulty.LiveAtTheEdge, lives_too_long, 3, "LEASE-6"),
    (faulty.Unfenced, is_not_fenced, 4, "COMMIT-8a"),
    (faulty.TokenReused, reuses_a_token, 4, "LEASE-10"),
    (faulty_claims.LastOne, cancels_another, 4, "CANCEL-9"),
    (faulty_claims.ClaimIdReused, claims_twice_under_one_id, 6, "GEN-17"),
    (TakesLateEvents, goes_on_after_the_end, 3, "EVENT-8"),
    (Divides, crashes, 3, "VALUE-6"),
]


@pytest.mark.parametrize(("make", "calls", "line", "requirement"), FAULTS, ids=[each[1].__name__ for each in FAULTS])
def test_a_fault_is_named_at_its_line(
    tmp_path: Path, make: type, calls: Callable[[Site], None], line: int, requirement: str
) -> None:
    """The first call that breaks the law, with the requirement; the model does the same without a word."""
    site = Site(tmp_path, make)
    calls(site)
    result = check_trace(site.file)
    judgement = judge_history(site.file)
    assert (result.exit_code, judgement.verdict) == (1, Verdict.violates)
    assert judgement.made is not None
    assert (judgement.made.line, requirement in judgement.requirements) == (line, True), judgement.requirements
    assert f"Line {line} breaks {judgement.requirements[0]}" in result.output


def test_the_model_does_all_that_without_a_fault(tmp_path: Path) -> None:
    """The same calls on a store that is right are right."""
    for number, (_, calls, _, _) in enumerate(FAULTS):
        (tmp_path / str(number)).mkdir()
        site = Site(tmp_path / str(number))
        with contextlib.suppress(StoreError, pytest.fail.Exception):
            calls(site)
        assert judge_history(site.file).verdict is Verdict.conforms


def test_the_report_of_a_violation(tmp_path: Path) -> None:
    """What was called, expected and given, who held the lease, and the calls before it about the same session."""
    site = Site(tmp_path, faulty.LiveAtTheEdge)
    lives_too_long(site)
    output = " ".join(check_trace(site.file).output.split())
    for part in (
        "Line 3 breaks LEASE-6",
        "called try_claim_session_execution_lease",
        "between 1100 and 1100 ms, by caller 1",
        "expected Acquired: fencing token 2, expires at 1200",
        "given Busy: a/1 holds fencing token 1 until 1100",
        'At 1100 ms session "s" was free: a/1 with fencing token 1 had held it from 1000, until its lease expired at 1100.',
        "The calls before it about the same:",
        "violates ",
    ):
        assert part in output, (part, output)


def test_a_call_is_held_to_every_instant_of_its_interval(site: Site) -> None:
    """A claim that began before the expiry and ended after it may be granted or not; one that ended before it may not."""
    site.leased(1_000)
    site.at(1_100).try_claim_session_execution_lease("s", B, 100)
    head, first, second, *_ = site.lines()
    assert judge_history(site.rewrite([head, first, second | {"at": [1_090, 1_110]}])).verdict is Verdict.conforms
    busy = second | {"at": [1_090, 1_110], "answer": {"outcome": "busy", "holder": first["answer"]["lease"]}}
    assert judge_history(site.rewrite([head, first, busy])).verdict is Verdict.conforms
    assert judge_history(site.rewrite([head, first, busy | {"at": [1_100, 1_110]}])).verdict is Verdict.violates
    assert judge_history(site.rewrite([head, first, second | {"at": [1_090, 1_099]}])).verdict is Verdict.violates


def test_a_process_may_have_been_dead_or_not(site: Site) -> None:
    """Nobody can ask any more: a reclaim of the lane of a process may be granted and may be refused."""
    dead, other = (LeaseOwnerIdentity(name, "1", LocalProcess("h", "b", pid, "x")) for pid, name in ((1, "a"), (2, "b")))
    lease = site.leased(1_000, dead)
    site.at(1_001).reclaim_session_execution_lease("s", other, lease.fence(), 100)
    head, first, refused, *_ = site.lines()
    assert refused["answer"]["outcome"] == "acquired"
    assert judge_history(site.file).verdict is Verdict.conforms
    refused["answer"] = {"outcome": "busy", "holder": first["answer"]["lease"]}
    assert judge_history(site.rewrite([head, first, refused])).verdict is Verdict.conforms
    first["answer"]["lease"]["owner"]["liveness"]["host_id"] = first["call"]["arguments"]["owner"]["liveness"]["host_id"] = (
        "far"
    )
    refused["answer"] = {"outcome": "acquired", "lease": site.lines()[2]["answer"]["holder"] | {"lease_token": "new"}}
    assert judge_history(site.rewrite([head, first, refused])).verdict is Verdict.violates


def overlapping(site: Site) -> list[dict[str, Any]]:
    """The state of a runtime is set twice at once, then read: as it was set by the call that ended first."""
    for state in ("running", "idle"):
        site.environment.clock.move_to(site.environment.clock.now + 1)
        site.store.runtime.persist_runtime_state("r", type_of(state))
    site.store.runtime.load_runtime_state("r")
    head, first, second, read, *_ = site.lines()
    return [head, first, second, read | {"answer": "running"}]


def type_of(state: str) -> Any:
    """The state of this word."""
    from fencepost.spec import RuntimeState

    return RuntimeState(state)


def test_calls_that_overlapped_took_effect_in_either_order(site: Site) -> None:
    """What was read fits the order in which the calls did not end; without the overlap it breaks the law."""
    head, first, second, read = overlapping(site)
    assert judge_history(site.rewrite([head, first, second, read]), from_empty=True).verdict is Verdict.violates
    assert judge_history(site.rewrite([head, first, second | {"over": 1}, read])).verdict is Verdict.conforms
    # the read began when both had ended, or beside the second
    assert judge_history(site.rewrite([head, first, second, read | {"over": 1}])).verdict is Verdict.conforms


def test_what_overlaps_too_much_is_not_decided(site: Site) -> None:
    """A call that was under way beside hundreds of others has no place that is known: a wrong answer may follow from it."""
    head, first, second, read = overlapping(site)
    many = [first] * 600 + [second | {"over": 600}, read | {"answer": "stopped"}]
    judgement = judge_history(site.rewrite([head, *many]))
    assert judgement.verdict is Verdict.not_evaluated
    assert judgement.says == (
        "Line 90 overlaps more than 512 calls, so its place among them cannot be known. So it cannot be decided whether line "
        "603 is right."
    )
    wrong = [first] * 70 + [second | {"over": 70}, read | {"answer": "stopped"}]
    assert judge_history(site.rewrite([head, *wrong]), from_empty=True).verdict is Verdict.violates


def test_a_caller_that_went_away_leaves_a_doubt(site: Site) -> None:
    """Whether its call took effect is not known, so what contradicts the one does not break the law."""
    lease = site.leased(1_000)
    site.at(1_001).release_session_execution_lease(lease.completion())
    site.leased(1_002, B)
    head, first, release, second, *_ = site.lines()
    lost = {key: value for key, value in release.items() if key != "answer"} | {"lost": "CancelledError"}
    judgement = judge_history(site.rewrite([head, first, lost, second]))
    assert judgement.verdict is Verdict.not_evaluated
    assert "What became of the call in line 3 is not known: its caller went away (CancelledError)." in judgement.says
    assert check_trace(site.file).exit_code == 2


def test_the_storage_may_fail_at_any_time(site: Site) -> None:
    """A refusal that says so is admitted, is told, and had no effect; so a store that wrongly says so is not found out."""
    site.leased(1_000)
    head, first, *_ = site.lines()
    failed = {key: value for key, value in first.items() if key != "answer"} | {"error": {"kind": "Backend"}}
    result = check_trace(site.rewrite([head, failed, first]))
    assert result.exit_code == 0
    assert "1 calls were refused because the storage had failed: admitted anywhere, and taken to have no effect (VALUE-7)." in (
        " ".join(result.output.split())
    )


def test_a_store_that_was_not_empty_is_not_accused(tmp_path: Path) -> None:
    """An answer that shows what no line wrote may come from before; who knows better says so, and is told what it breaks."""
    site = Site(tmp_path)
    lease = site.leased(1_000)
    site.at(1_001).release_session_execution_lease(lease.completion())
    site.file.unlink()
    later = Site.__new__(Site)
    later.environment, later.file = site.environment, site.file
    later.store = record(site.store._stores, site.file, clock=site.environment.clock)
    later.leased(1_002)
    result = check_trace(site.file)
    output = " ".join(result.output.split())
    assert result.exit_code == 2
    assert (
        "No line before line 2 wrote anything about what it answers. Either the store was not empty when the recording"
        in output
    )
    known = check_trace(site.file, "--from-empty")
    assert (known.exit_code, "Line 2 breaks LEASE-3" in known.output) == (1, True)


def test_a_foreign_holder_was_there_before(site: Site) -> None:
    """The holder of the lane stands in no line before."""
    site.leased(1_000)
    head, first, *_ = site.lines()
    holder = first["answer"]["lease"] | {"owner": {"owner_id": "c", "incarnation_id": "9"}, "lease_token": "old"}
    judgement = judge_history(site.rewrite([head, first | {"answer": {"outcome": "busy", "holder": holder}}]))
    assert judgement.verdict is Verdict.not_evaluated
    assert judgement.says.startswith('The answer in line 2 shows "9", which stands in no line before.')


def test_a_torn_last_line_is_left_out(site: Site) -> None:
    """The calls before it are judged, and the tear is told."""
    site.leased(1_000)
    site.leased(1_001)
    text = site.file.read_text()
    site.file.write_text(text[:-40])
    judgement = judge_history(site.file)
    assert (judgement.verdict, judgement.calls) == (Verdict.conforms, 1)
    assert judgement.notes[0].startswith(
        'Its last line was left out, for it is not whole. Line 3 is no JSON: \'{"at":[1001,1001]'
    )


def test_a_last_line_that_is_whole_is_not_torn(site: Site) -> None:
    """JSON that is no call of a history leaves it undecided, wherever it stands."""
    site.leased(1_000)
    with site.file.open("a") as file:
        file.write('{"hello":1}\n')
    judgement = judge_history(site.file)
    assert judgement.verdict is Verdict.not_evaluated
    assert judgement.says.startswith("Line 3 is no call that can be read (it lacks 'call'): ")


def test_a_line_in_the_middle_that_cannot_be_read_ends_it(site: Site) -> None:
    """What follows it cannot be judged without it."""
    site.leased(1_000)
    head, first, *_ = site.file.read_text().splitlines()
    site.file.write_text("\n".join((head, first[:-40], first, "")))
    judgement = judge_history(site.file)
    assert judgement.verdict is Verdict.not_evaluated
    assert judgement.says.startswith("Line 2 is no JSON: ")


OF_EVENTS = '{"format":"fencepost-history/1","at":1,"protocols":["event"]}\n'
OF_OUTPUTS = OF_EVENTS.replace("event", "output")
LATEST = (
    '{"at":[1,2],"by":1,"call":{"operation":"get_latest_by_name","arguments":{"name":"a"}},'
    '"error":{"kind":"OutputNotFound","message":"a"}}\n'
)

UNREADABLE = {
    '{"format":"fencepost-history/9","at":1,"protocols":["event"]}\n': (
        'Line 1 has the format \'fencepost-history/9\'. Expected "format":"fencepost-history/1", as `fencepost.record` of this '
        "version writes it; another version of fencepost wrote this file, and can read it."
    ),
    "hello\n": "Line 1 is no JSON: 'hello'.",
    "": "is empty. Expected a history, as `fencepost.record` writes it.",
    "\x00\x01\x02\n": "Line 1 is no JSON: '\\x00\\x01\\x02'.",
    '{"format":"fencepost-history/1","at":1,"protocols":["leases"]}\n': (
        "Line 1 has the protocols ['leases']. Expected some of runtime_persistence, turn_input, runtime, event, output."
    ),
    '{"format":"fencepost-history/1","at":1,"protocols":["event"]}\n': "There is no call in it.",
    '{"format":"fencepost-history/1","at":1,"protocols":["event"]}\n[1]\n[1]\n': "Line 2 is '[1]'. Expected a JSON object",
    '{"format":"fencepost-history/1","at":1,"protocols":["event"]}\n{"at":[1,2],"call":{"operation":"fly"}}\n{}\n': (
        "Line 2 is no call that can be read (ValueError: there is no operation 'fly')"
    ),
    '{"format":"fencepost-history/1","at":1,"protocols":["event"]}\n'
    '{"at":[1,2],"call":{"operation":"clear","arguments":{"thread_id":"t"}},"crash":5}\n{}\n': (
        "Line 2 is no call that can be read (ValueError: its crash is 5, expected words)"
    ),
    f'{OF_EVENTS}{{"resumed":"x"}}\n{{}}\n': "Line 2 says resumed 'x'. Expected epoch milliseconds.",
    f'{OF_EVENTS}{{"closed":true}}\n{{}}\n': "Line 2 says closed True. Expected epoch milliseconds.",
    f'{OF_EVENTS}{{"stopped":5}}\n{{}}\n': "Line 2 says stopped 5. Expected why, in words.",
    OF_EVENTS + LATEST: (
        "Line 2 has a call of get_latest_by_name, which is of output. Expected calls of the protocols in line 1: event."
    ),
    OF_OUTPUTS + LATEST + LATEST.replace('"by":1', '"by":1,"over":2'): (
        "Line 3 says that it overlaps 2 calls before it. Expected at most 1."
    ),
}


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_is_no_history_is_told_in_a_sentence(tmp_path: Path, text: str) -> None:
    """What was there, and what was expected; exit code 2."""
    file = tmp_path / "history.jsonl"
    file.write_text(text)
    result = check_trace(file)
    assert result.exit_code == 2
    assert UNREADABLE[text] in judge_history(file).says
    assert "could not be evaluated" in result.output


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """No traceback."""
    result = check_trace(tmp_path / "nothing")
    assert result.exit_code == 2
    assert "cannot be read: No such file or directory." in " ".join(result.output.split())


def test_a_clock_that_goes_back_is_told(site: Site) -> None:
    """A claim after the jump is held to the new time and to the old: both answers are admitted, and nothing else."""
    site.leased(5_000, ttl=100)
    site.leased(5_000, ttl=100)
    head, first, again, *_ = site.lines()
    earlier = again | {"at": [4_000, 4_000]}
    judgement = judge_history(site.rewrite([head, first, earlier]))
    assert judgement.verdict is Verdict.conforms
    assert judgement.notes == (
        "The clock went back in line 3, by 1,000 ms: such a call is held to any instant from there to the latest one before "
        "it.",
    )
    earlier["answer"]["lease"]["expires_at_epoch_ms"] = 4_100
    assert judge_history(site.rewrite([head, first, earlier])).verdict is Verdict.conforms
    earlier["answer"]["lease"]["expires_at_epoch_ms"] = 3_000
    assert judge_history(site.rewrite([head, first, earlier])).verdict is Verdict.violates


def test_the_largest_numbers_are_exact(site: Site) -> None:
    """Times to live up to 2^64 - 1 saturate, and a text of digits is no number."""
    lease = site.leased(1_000, ttl=U64_MAX)
    assert lease.expires_at_epoch_ms == 18_446_744_073_709_551_615
    assert judge_history(site.file).verdict is Verdict.conforms
    text = site.file.read_text().replace(
        '"expires_at_epoch_ms":18446744073709551615', '"expires_at_epoch_ms":18446744073709551614'
    )
    site.file.write_text(text)
    assert judge_history(site.file).verdict is Verdict.violates


def test_what_a_store_has_to_refuse(site: Site) -> None:
    """Arguments that are not admitted: refused they are nobody's business, answered they break VALUE-1."""
    with pytest.raises(StoreError):
        site.at(1_000).try_claim_session_execution_lease("s", A, -1)
    site.leased(1_000)
    assert judge_history(site.file).verdict is Verdict.conforms
    head, refused, *rest = site.lines()
    answered = {key: value for key, value in refused.items() if key != "error"} | {"answer": None}
    judgement = judge_history(site.rewrite([head, answered, *rest]))
    assert (judgement.verdict, judgement.requirements) == (Verdict.violates, ("VALUE-1", "VALUE-2"))
    assert check_trace(site.file).exit_code == 1


def test_an_answer_of_the_wrong_kind_breaks_the_law(site: Site) -> None:
    """What no call can answer is told in words, and named."""
    site.leased(1_000)
    head, first, *_ = site.lines()
    strange = {key: value for key, value in first.items() if key != "answer"} | {"strange": "'yes'"}
    judgement = judge_history(site.rewrite([head, strange]))
    assert (judgement.verdict, judgement.requirements[0]) == (Verdict.violates, "VALUE-11")
    told = " ".join(check_trace(site.file).output.split())
    assert "given 'yes'" in told
    assert "1 call of 1 operation in 1 chapter was held" in told


def test_a_strict_judgement_binds_to_what_others_may_do(site: Site) -> None:
    """An id of another form is admitted, and named; a strict judgement fails for it."""
    from fencepost.spec import Progress

    site.store.output.append("task", 1, "agent", Progress("stage"), ())
    head, first, *_ = site.lines()
    site.rewrite([head, first | {"answer": "0190a1b2-0000-7000-8000-000000000001"}])
    result = check_trace(site.file)
    assert (result.exit_code, "differs from the CURRENT OUTPUT-2" in " ".join(result.output.split())) == (0, True)
    assert check_trace(site.file, "--strict").exit_code == 1


def test_a_recording_that_broke_off_leaves_a_doubt(site: Site) -> None:
    """What the calls did that were under way is not in it; where it was closed there were none."""
    site.leased(1_000)
    site.at(1_050).load_session(ActivePath())
    head, first, read, *_ = site.lines()
    wrong = first | {"at": [1_060, 1_060]}
    wrong["answer"] = json.loads(json.dumps(first["answer"]))
    wrong["answer"]["lease"]["fencing_token"] = 9
    judgement = judge_history(site.rewrite([head, first, read, {"resumed": 1_055}, wrong]))
    assert judgement.verdict is Verdict.not_evaluated
    assert judgement.says.startswith("The recording broke off before line 4, perhaps in the middle of calls")
    assert (
        judge_history(site.rewrite([head, first, read, {"closed": 1_054}, {"resumed": 1_055}, wrong])).verdict
        is Verdict.violates
    )


def test_a_contract_that_a_store_found_broken_is_laid_on_its_requirement(tmp_path: Path) -> None:
    """The store inherits its contracts, and raised in production: what they name is broken, and not VALUE-6."""
    file = tmp_path / "history.jsonl"
    store = record(faulty_shapes.Lies(), file)
    store.append("th", 1, AgentEventEnvelope(uuid(1), 1, "2026-01-01T00:00:00Z", AgentEventText("m", "hello")))
    with pytest.raises(ContractBroken):
        store.get_turn("th", 1)
    judgement = judge_history(file)
    assert (judgement.verdict, judgement.requirements[0]) == (Verdict.violates, "EVENT-18")
    assert judgement.says.startswith("EVENT-18: the contract does not hold of the answer StoredTurnEvents(turn=2")


@pytest.mark.parametrize(("outcome", "broken"), [("an older one", "OUTPUT-15"), ("none", "OUTPUT-24")])
def test_what_was_written_under_a_name_is_known_without_an_empty_beginning(site: Site, outcome: str, broken: str) -> None:
    """Two lines wrote outputs of the writer: a read by that name that misses the second is wrong, whatever was there before."""
    refs = [site.store.output.append("t", 1, "writer", Progress(text), ()) for text in ("a", "b")]
    site.store.output.get_latest_by_name("writer")
    head, *written, read = site.lines()
    older = {"answer": read["answer"] | {"id": refs[0].value, "event": {"type": "progress", "stage": "a"}}}
    none = {"error": {"kind": "OutputNotFound", "message": "writer"}}
    del read["answer"]
    judgement = judge_history(site.rewrite([head, *written, read | (none if outcome == "none" else older)]))
    assert (judgement.verdict, judgement.calls) == (Verdict.violates, 3)
    assert judgement.requirements[0] == broken


def claimed_anew(site: Site, tmp_path: Path, *, fresh: bool = False) -> Path:
    """A history whose second recording, by a new store, grants the lease that the first store has granted."""
    site.leased(1_000)
    site.store.runtime_persistence.close()
    again = record(ModelStore(Environment(tmp_path)), site.file, clock=site.environment.clock, fresh=fresh)
    again.runtime_persistence.try_claim_session_execution_lease("s", B, 100)
    return site.file


def test_a_store_that_was_empty_where_a_recording_goes_on_is_not_judged(site: Site, tmp_path: Path) -> None:
    """Whether it was a fresh one or lost what it held cannot be seen; known to keep what it holds, it violates."""
    result = check_trace(claimed_anew(site, tmp_path))
    told = " ".join(result.output.split())
    assert (result.exit_code, "where another recording goes on, the store answers as an empty one does" in told) == (2, True)
    assert check_trace(site.file, "--persists").exit_code == 1


def test_a_fresh_store_is_followed_from_empty(site: Site, tmp_path: Path) -> None:
    """Its recorder said so: what the store before it held is no matter, and what is wrong in it is."""
    result = check_trace(claimed_anew(site, tmp_path, fresh=True))
    assert (result.exit_code, "conforms" in result.output) == (0, True)
    *rest, last = site.lines()
    last["answer"]["lease"]["fencing_token"] = 2
    assert check_trace(site.rewrite([*rest, last])).exit_code == 1
