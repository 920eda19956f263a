"""Runs scenarios: text files of commands with the output that every store has to give.

A scenario is a list of blocks with blank lines between them. A block is comments, one command (its indented lines
continue it), a line of four dashes, and the output. What a store mints is written with stable names, `token#1` for the
first lease token that appears, `ref#1` for the first ref, `claim#1` for the first claim of inputs or of work, so that all
stores give the same text. Inputs and batches have the names under which the scenario enqueues them; if a name stands for
something else already, the newcomer has a prime: `a'`. Their places in the session's order are counted from 1.

    at INSTANT                                 the clock goes there; it starts at 1000
    process PID/START lives                    a process runs, in place of any other with that pid
    process PID dies | is hidden               it ends; nobody can tell any more
    reopen                                     the store is closed, and opened again

    claim SESSION by OWNER ttl=N
    reclaim SESSION by OWNER from LEASE ttl=N
    renew LEASE ttl=N
    release LEASE

    enqueue SESSION input NAME INGRESS [key=KEY] [id=ID] [text=TEXT]
    list SESSION inputs
    cancel SESSION input NAME
    cancel SESSION inputs [NAME | key:KEY ...]
    cancel SESSION suffix NAME | key:KEY
    claim SESSION inputs under LEASE by OWNER next | TURN/CHECKPOINT ttl=N max=N
    abandon CLAIM

    enqueue SESSION work NAME earliest | after join | exclusive [MERGE] [PAYLOADS] [key=KEY] [from=N] [text=TEXT]
    list SESSION work | pending
    cancel SESSION work NAME
    claim SESSION command under LEASE by OWNER ttl=N
    claim SESSION work under LEASE by OWNER checkpoint | idle ttl=N max=N
    claim SESSION work under LEASE by OWNER checkpoint | idle ttl=N ids=[NAME+NAME...]
    renew CLAIM ttl=N
    abandon CLAIM

    commit SESSION [under LEASE] [releasing LEASE] [completing CLAIM ...] [DELTA] [NAME=VALUE ...]
    load full | path [to NODE] | meta
    node NODE
    save SESSION name=NAME model=MODEL [cwd=PATH] [parent=SESSION]

    tombstone [NODE ...]
    vacuum
    gc
    record SESSION ATTACHMENT at=INSTANT [uri=URI]
    stamp SESSION [ATTACHMENT ...]
    uncommitted until=INSTANT
    forget ATTACHMENT

    boundary RUNTIME RUN SESSION [from=INPUT ...] [INPUT:STATE ...]
    apply RUNTIME RUN/SEQUENCE SESSION | none [key=SESSION] [INPUT:STATE[:RUN/SEQUENCE] ...]
    lifecycle RUNTIME STATE [INPUT:STATE ...]
    input RUNTIME INPUT:STATE                  keeps it; without the state it is shown
    state RUNTIME [STATE]                      likewise
    inputs | snapshot RUNTIME
    receipt RUNTIME RUN/SEQUENCE

    event THREAD TURN TEXT [of=TURN] [sequence=N] [id=DIGIT]
    finish | turn THREAD TURN
    turns | events | clear THREAD

    emit TASK/ATTEMPT PRODUCER progress | partial | artifact:NAME | final TEXT [from=OUT ...]
    output OUT
    latest PRODUCER
    outputs TASK/ATTEMPT

OWNER is `name/incarnation`, with `@PID/START` if it is a process of this host, or `@HOST:BOOT:PID/START` of any.
LEASE is a lease token's name and CLAIM a claim's, with facts of the proof altered in brackets: `token#1(fence=9,owner=b/1)`,
`claim#1(token=forged)`; a completion's ids, too: `completing claim#1(ids=a+b)`.
INGRESS is `next`, or turn and boundary: `T/after_work`; an input's text is its name unless it says otherwise.
MERGE is `never`, `default` or `group:NAME`; without one it is `never`. PAYLOADS are `wake`, `refresh` and `reset`, joined by
`+`, or `empty`; without any it is one `wake`.
DELTA is `append`, `replace` or `unchanged`, and the nodes: `root left<-root`; `leaf=NODE` sets the leaf.
A commit's other facts are the keys of `COMMIT_FACTS`.
SESSION of a runtime is `NAME:TEXT+TEXT`, its messages, or `garbage`; runs, inputs and sessions have names that end in a number.

What never changes about an input (place, session, time, key, a text other than its name) and about a batch (all of it) is shown
when it is enqueued, and later only if it did change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

from commands_claim import OF
from commands_commit import CommitCommands
from commands_lease import LeaseCommands
from commands_logs import LogCommands
from commands_maintenance import MaintenanceCommands
from commands_queued_work import QueuedWorkCommands
from commands_runtime import RuntimeCommands
from commands_turn_input import TurnInputCommands
from fencepost.spec import Backend, InvalidArgument, OutputNotFound, QueuedWorkClaim, StoreError, TurnInputClaim
from fencepost.statemachines.environment import Environment

DASHES = "----"

MINTED = {
    ("PendingTurnInputSourceKeyConflict", "existing_input_id"): "input",
    ("TurnInputClaimExpired", "claim_id"): f"claim{OF[TurnInputClaim]}",
    ("QueuedWorkClaimExpired", "claim_id"): f"claim{OF[QueuedWorkClaim]}",
}
"""The fields of errors that a store mints, and what is named there."""


class Scenario(
    LeaseCommands, TurnInputCommands, QueuedWorkCommands, CommitCommands, MaintenanceCommands, LogCommands, RuntimeCommands
):
    """The commands of all chapters, read from text; `opened` opens the stores, and opens them again."""

    def __init__(self, opened: Callable[[], Any], environment: Environment) -> None:
        super().__init__()
        self._opened = opened
        self._open()
        self.environment = environment

    def _open(self) -> None:
        self.stores = self._opened()
        self.store = self.stores.runtime_persistence

    def regenerated(self, text: str) -> str:
        """The scenario with the output that this store gives."""
        return "\n\n".join(self._block(block) for block in text.strip().split("\n\n")) + "\n"

    def _block(self, block: str) -> str:
        asked = block.split(f"\n{DASHES}", 1)[0].rstrip()
        command = " ".join(line for line in asked.splitlines() if not line.startswith("#"))
        return f"{asked}\n{DASHES}\n{self.output(command)}" if command else asked

    def output(self, command: str) -> str:
        """What the command prints; `nothing` if the answer is none or empty."""
        verb, *words = command.split()
        try:
            return "\n".join(self._lines(verb, words)) or "nothing"
        except StoreError as error:
            return self._refused(error)

    def _lines(self, verb: str, words: list[str]) -> Iterator[str]:
        """The lines of `do_VERB`, or of `do_VERB_NOUN` if the second word is a noun of the verb, as in `list s inputs`."""
        if len(words) > 1 and hasattr(self, f"do_{verb}_{words[1]}"):
            return getattr(self, f"do_{verb}_{words.pop(1)}")(words)  # type: ignore[no-any-return]
        return getattr(self, f"do_{verb}")(words)  # type: ignore[no-any-return]

    def do_at(self, words: list[str]) -> Iterator[str]:
        """`at INSTANT`."""
        self.environment.clock.move_to(int(words[0]))
        yield "ok"

    def do_process(self, words: list[str]) -> Iterator[str]:
        """`process PID/START lives`, `process PID dies | is hidden`."""
        pid, _, start = words[0].partition("/")
        processes = self.environment.process_alive
        match words[1:]:
            case ["lives"]:
                processes.start(int(pid), start)
            case ["dies"]:
                processes.stop(int(pid))
            case ["is", "hidden"]:
                processes.hide(int(pid))
            case what:
                raise SyntaxError(f"a process cannot do this: {what}")
        yield "ok"

    def do_reopen(self, words: list[str]) -> Iterator[str]:
        """`reopen`."""
        self._open()
        yield "ok"

    def do_renew(self, words: list[str]) -> Iterator[str]:
        """`renew LEASE | CLAIM ttl=N`."""
        return self.do_renew_claim(words) if words[0].startswith("claim#") else super().do_renew(words)

    def _refused(self, error: StoreError) -> str:
        # the text of these is free
        if isinstance(error, InvalidArgument | Backend | OutputNotFound):
            return f"refused: {error.kind}"
        values = ((field.name, getattr(error, field.name)) for field in fields(error))  # type: ignore[arg-type]
        named = (f" {name}={self.named(MINTED.get((error.kind, name), ''), value)}" for name, value in values)
        return f"refused: {error.kind}{''.join(named)}"
