"""`fencepost replay`: what is still there, what is gone, and what cannot be told."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest
from caller import A, Caller
from click.testing import CliRunner, Result
from faulty import Bent
from fencepost.kit.backend import BackendError, load_factory
from fencepost.kit.cli import cli
from fencepost.kit.showing.counterexample import MODEL
from fencepost.kit.showing.replay import Outcome, replay
from fencepost.kit.showing.trace import read_trace, trace_of
from fencepost.spec import InvalidArgument, LeaseOwnerIdentity, SessionExecutionLeaseExpired
from fencepost.statemachines.checker import Call
from kinds import KINDS, found, request


def trace_in(folder: Path, kind: str) -> str:
    """The path of the trace of a counterexample."""
    path = folder / f"{kind}.jsonl"
    path.write_bytes(trace_of(found(kind), request(kind)))
    return str(path)


def fencepost(*arguments: str) -> Result:
    """What the command prints, and its exit code."""
    return CliRunner().invoke(cli, ["replay", *arguments], env={"COLUMNS": "80", "NO_COLOR": "1"})


class RefusesCommits(Bent):
    """A commit is refused whatever it shows: right where a stale holder commits, though for the wrong reason."""

    def commit_runtime_state(self, commit: object) -> object:
        """Refuse it."""
        raise SessionExecutionLeaseExpired("another")


class Signed(Bent):
    """A store of signed numbers, as VALUE-3 admits it: what is larger is refused."""

    def try_claim_session_execution_lease(self, session_id: str, owner: LeaseOwnerIdentity, lease_ttl_ms: int) -> object:
        """Refuse what is too large."""
        if lease_ttl_ms >= 2**63:
            raise InvalidArgument("lease_ttl_ms", str(lease_ttl_ms), "a signed number")
        return self.right("try_claim_session_execution_lease", session_id, owner, lease_ttl_ms)


@pytest.mark.parametrize("kind", KINDS)
def test_the_faulty_store_reproduces_it_and_the_model_does_not(kind: str, tmp_path: Path) -> None:
    """For every kind: the judge is the model, whatever was recorded."""
    trace = read_trace(trace_in(tmp_path, kind))
    assert replay(load_factory(KINDS[kind].backend), trace).outcome is Outcome.reproduced
    assert replay(load_factory(MODEL), trace).outcome is Outcome.gone


def test_the_duckdb_store_is_free_of_them(tmp_path: Path) -> None:
    """It mints other tokens and ids than those recorded: what stands for them is carried over."""
    for kind in ("takeover", "commit", "inputs", "settled", "output"):
        trace = read_trace(trace_in(tmp_path, kind))
        assert replay(load_factory("fencepost.kit.duckdb:memory"), trace).outcome is Outcome.gone


def test_a_trace_of_random_ids_is_reproduced(tmp_path: Path) -> None:
    """Each run of this store makes up others."""

    def calls(caller: Caller) -> None:
        lease = caller.claims(A)
        caller.submits("one")
        caller("abandon_turn_input_claim", caller.takes_inputs(lease, A))

    shown = Caller("faulty_claims:NeverGivenBack", "turn_input").shown(calls)
    path = tmp_path / "trace.jsonl"
    path.write_bytes(trace_of(shown, request("inputs")))
    trace = read_trace(str(path))
    assert replay(load_factory("faulty_claims:NeverGivenBack"), trace).outcome is Outcome.reproduced
    assert replay(load_factory("fencepost.kit.duckdb:memory"), trace).outcome is Outcome.gone


def test_what_is_wrong_before_it_comes_to_that_is_another_violation(tmp_path: Path) -> None:
    """The event and the requirement are named, beside what was recorded; the exit code is that of a violation."""
    result = fencepost(trace_in(tmp_path, "commit"), "--backend", "faulty:TokenReused")
    assert result.exit_code == 1
    assert result.stdout.startswith("ANOTHER VIOLATION  faulty:TokenReused\nRecorded was COMMIT-8a: ")
    assert "\nFound before it came to that, at event 2 of 3: LEASE-10: " in result.stdout
    assert result.stdout.endswith("\n  differs   lease.lease_token\n")


def test_what_is_wrong_in_another_way_is_another_violation(tmp_path: Path) -> None:
    """The recorded call is refused now, as it should, but not with what it should be."""
    result = fencepost(trace_in(tmp_path, "commit"), "--backend", "test_replay:RefusesCommits")
    assert result.exit_code == 1
    assert result.stdout.startswith("ANOTHER VIOLATION  test_replay:RefusesCommits\n")
    assert "\nFound at that call, but in another way, at event 3 of 3: " in result.stdout


def test_reproduced_exits_1_and_gone_exits_0(tmp_path: Path) -> None:
    """With what was called, what was due and what was given; a trace without the fault says what it does not say."""
    path = trace_in(tmp_path, "takeover")
    result = fencepost(path, "--backend", "faulty:LiveAtTheEdge")
    assert result.exit_code == 1
    assert result.stdout == (
        "REPRODUCED  faulty:LiveAtTheEdge\n"
        "At event 2 of 2: LEASE-6: A lease whose expiry equals the present instant has expired; one millisecond earlier it is "
        "live.\n"
        '  called    try_claim_session_execution_lease("s", b/1, 10) at 1010 ms\n'
        "  expected  Acquired: fencing token 2, expires at 1020\n"
        "  given     Busy: a/1 holds fencing token 1 until 1010\n"
    )
    result = fencepost(path, "--backend", "faulty:Bent")
    assert result.exit_code == 0
    assert result.stdout.startswith("GONE  faulty:Bent\nAll calls were answered as the law admits, ")
    assert "`fencepost verify` looks for them" in result.stdout


def test_a_program_is_replayed_on_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stores behind a pipe."""
    monkeypatch.chdir(Path(__file__).parent)
    adapter = f"{sys.executable} -m fencepost.kit.serve faulty:LiveAtTheEdge"
    result = fencepost(trace_in(tmp_path, "takeover"), "--exec", adapter)
    assert (result.exit_code, result.stdout.split()[0]) == (1, "REPRODUCED")


@pytest.mark.parametrize(
    ("backend", "sentence"),
    [
        ("faulty:raising", "The factory faulty:raising raised ConnectionRefusedError"),
        ("faulty:LeasesOnly", "has no commit_runtime_state. Expected every call of the trace: add what is missing.\n"),
        ("nowhere:store", "There is no module 'nowhere'"),
    ],
)
def test_a_backend_that_is_no_good_exits_2(backend: str, sentence: str, tmp_path: Path) -> None:
    """It is never told to be gone."""
    result = fencepost(trace_in(tmp_path, "commit"), "--backend", backend)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr


def test_a_program_that_dies_exits_2(tmp_path: Path) -> None:
    """With its last words."""
    result = fencepost(trace_in(tmp_path, "commit"), "--exec", "false")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "ended with exit code 1 before it answered the hello" in result.stderr


def test_a_trace_that_cannot_be_read_exits_2(tmp_path: Path) -> None:
    """One sentence."""
    (tmp_path / "torn").write_text('{"format": "fencep')
    result = fencepost(str(tmp_path / "torn"), "--backend", "faulty:Bent")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: Line 1 of the trace ")


def test_what_a_file_names_is_not_run_unasked(tmp_path: Path) -> None:
    """A trace may come from anybody: its backend, which may be a command, is told and not taken."""
    for given in ((), ("--backend", "faulty:Bent", "--exec", "true")):
        result = fencepost(trace_in(tmp_path, "commit"), *given)
        assert result.exit_code == 2
        assert "expected one of --backend and --exec; the trace was recorded on faulty:Unfenced" in result.stderr


def test_a_store_that_cannot_be_opened_again_cannot_be_evaluated(tmp_path: Path) -> None:
    """Where the trace does that."""
    trace = read_trace(trace_in(tmp_path, "reopened"))
    with pytest.raises(BackendError, match="closes its store and opens it again"):
        replay(load_factory("faulty:Bent"), trace)


def test_a_situation_that_does_not_come_about_is_not_gone(tmp_path: Path) -> None:
    """A lease that the store refuses to grant, as it may, cannot be renewed: nothing is known of the renewal."""
    trace = read_trace(trace_in(tmp_path, "crash"))
    claim, renewal = trace.events
    assert isinstance(claim.action, Call)
    huge = claim._replace(action=claim.action._replace(arguments=("s", A, 2**64 - 1)))
    trace = dataclasses.replace(trace, events=(huge, renewal))
    assert replay(load_factory(MODEL), trace).outcome is Outcome.gone
    with pytest.raises(BackendError, match="the recorded situation did not come about"):
        replay(load_factory("test_replay:Signed"), trace)
