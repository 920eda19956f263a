"""What a mutant of the model has to get through: lemmas, invariants along short walks, and scenarios.

Each mutant lives in a process of its own, a fork of one that has everything imported: in there it stays for good.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import ClassVar, NamedTuple, NoReturn
from unittest.mock import patch

sys.path.append(str(Path(__file__).parents[1] / "scenarios"))

from fencepost.kit.proving.proved import Outcome
from fencepost.kit.proving.prover import Job, confirm, exhausted
from fencepost.model import INVARIANTS, State
from fencepost.model.contracts import PROVING
from fencepost.model.proofs import EXHAUSTIONS, lemmas, transitions
from fencepost.model.proofs.exhaustion import Cases
from fencepost.statemachines import run
from fencepost.statemachines.model_store import ModelStore
from fencepost.statemachines.run import MACHINES, Budget, Setup, run_machine
from mutating import Mutant, mutants, plant

NETS = ("lemma", "invariant", "scenario")
PATIENCE_S = 30
"""So much processor time may go into one lemma, walk or scenario of a mutant: what takes longer will not end."""

WALKS = Budget(seed=1, examples=4, steps=40)
BUDGET_S = 25.0
FIRST = 2_000
"""Cases of every exhaustion that are tried before all of one are."""

BESIDE = {
    "lease": ("lease", "commit"),
    "claim": ("claim", "turn_input", "queued_work"),
    "turn_input": ("turn_input", "maintenance"),
    "commit": ("commit", "session", "maintenance"),
    "log": ("commit", "event", "output"),
}
"""The chapters whose lemmas and walks a mutant has to get through, if they are more than its own."""


class Catch(NamedTuple):
    """What came of a mutant: what caught it in each net, empty for those that it got through."""

    lemma: str = ""
    invariant: str = ""
    scenario: str = ""

    @property
    def is_caught(self) -> bool:
        """Whether a net held it."""
        return any(self)


def chapters_of(mutant: Mutant) -> tuple[str, ...]:
    """The chapters that a mutant concerns, its own first."""
    return BESIDE.get(mutant.chapter, (mutant.chapter,))


def begin_anew() -> None:
    """Begin to count: the process ends if it is not told so again in time."""
    signal.setitimer(signal.ITIMER_PROF, PATIENCE_S)


def confirmed_no_more(mutant: Mutant) -> str:
    """The first postcondition of the function, or theorem about it, that CrossHair refutes."""
    stem = Path(mutant.file).stem
    own, about = f"{stem}.{mutant.function}", []
    for _, name, transition in transitions():
        code = transition.__wrapped__.__code__  # type: ignore[attr-defined]  # set by the contract
        if name != own and mutant.function in code.co_names:
            about.append(name)
    for each in sorted(lemmas(), key=lambda each: each.transition != own):
        if each.transition == own or each.transition in about:
            begin_anew()
            finding = confirm(Job(each.transition, each.place, BUDGET_S))
            if finding.outcome is not Outcome.confirmed:
                said = "" if finding.outcome is Outcome.refuted else f" ({finding.outcome.value})"
                return f"{each.requirement} {each.says}{said}"
    return ""


def exhausted_no_more(mutant: Mutant) -> str:
    """The first exhaustion that is refuted: by its first cases, the smallest, or else by any."""
    chapters = chapters_of(mutant)
    ranked = sorted(EXHAUSTIONS.values(), key=lambda each: [*chapters, each.chapter].index(each.chapter))
    concerned = [each for each in ranked if each.chapter in chapters]
    small = [each._replace(cases=functools.partial(_first, each.cases)) for each in concerned]
    for lemma in (*small, *concerned):
        begin_anew()
        if exhausted(lemma, BUDGET_S).outcome is not Outcome.exhausted:
            return f"{', '.join(lemma.requirements[:3])} {lemma.name}"
    return ""


def _first(cases: Cases) -> Iterable[tuple[object, ...]]:
    return islice(cases(), FIRST)


CONTRADICTION = "the model contradicts itself"
"""What it answers without a store is not what it admits from one."""


class Watched(ModelStore):
    """A store that is the model, and looks at every invariant whenever a call has been made."""

    broken: ClassVar[list[str]] = []

    def __setattr__(self, name: str, value: object) -> None:
        if name == "state" and isinstance(value, State) and name in vars(self):
            failing = [each.requirement for each in INVARIANTS if not each.holds(self.state, value)]
            self.broken.extend(failing)
            # ends the run
            assert not failing
        super().__setattr__(name, value)


def walked_into(chapters: Sequence[str]) -> str:
    """The first invariant that fails on the walks of the machines of these chapters."""
    for chapter in chapters:
        if chapter in MACHINES:
            begin_anew()
            # it is enough to know that there is a violation: no time is spent on a shorter one
            shorter = patch.object(run, "shortest", lambda _machine, _setup, violation: violation)
            with tempfile.TemporaryDirectory() as directory, shorter:
                violation = run_machine(MACHINES[chapter], Setup(Watched, Path(directory)), WALKS)
            if violation is not None:
                return Watched.broken[0] if Watched.broken else CONTRADICTION
    return ""


def played_otherwise() -> str:
    """The first scenario whose output is another one."""
    from test_scenarios import FILES, played, the_model

    for file in FILES:
        begin_anew()
        text = file.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as directory:
            if played(text, the_model, Path(directory)) != text:
                return file.stem
    return ""


CASTS: dict[str, Callable[[Mutant], str]] = (
    {"confirmed": confirmed_no_more}
    if PROVING
    else {
        "exhausted": exhausted_no_more,
        "invariant": lambda mutant: walked_into(chapters_of(mutant)),
        "scenario": lambda _mutant: played_otherwise(),
    }
)
"""What this process casts: CrossHair needs contracts in force, all else is faster without."""


def alone(work: Callable[[], str]) -> str:
    """What the work says, done in a fork of this process; an exception, or that it did not end, is told as well."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _done_in_child(work, writing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    return said if os.WIFEXITED(status) else "does not end"


def _done_in_child(work: Callable[[], str], writing: int) -> NoReturn:
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # for good
    try:
        said = work()
    except BaseException as error:
        said = f"raises {type(error).__name__}"
    with os.fdopen(writing, "w") as pipe:
        pipe.write(said)
    os._exit(0)


def cast(mutant: Mutant | None, net: str) -> str:
    """What caught the mutant in this net; without one, what the model itself is caught by."""

    def work() -> str:
        if mutant is None:
            return walked_into(tuple(MACHINES)) if net == "invariant" else played_otherwise()
        plant(mutant)
        return CASTS[net](mutant)

    return alone(work)


def serve() -> None:
    """Read names of mutants, or nothing for none, with a net; write what caught them."""
    by_name: dict[str, Mutant | None] = {"": None, **{each.name: each for each in mutants()}}
    # what the forks need is imported once
    import crosshair.core_and_libs  # noqa: F401
    import test_scenarios  # noqa: F401

    for line in sys.stdin:
        name, net = json.loads(line)
        sys.stdout.write(json.dumps(cast(by_name[name], net)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
