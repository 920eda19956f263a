"""`check-trace`: a recorded history is read as a stream, held against the model, and judged."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fencepost.model import Ids, Refused
from fencepost.spec.values import printable
from fencepost.statemachines.checker import Violation
from fencepost.statemachines.environment import Undecided
from fencepost.statemachines.tally import Tally

from ..result import Verdict
from .background import Background, background
from .circumstances import Lane, lane_of
from .history import Crashed, Head, Invalid, Lost, Mark, Recorded, Torn, Unreadable, fitting, read_calls, read_head
from .judge import Follower, Spanned
from .orders import Lanes
from .shown import Shown

AHEAD = 512
"""How many calls are read ahead of the one that is held: where more overlap, its place among them cannot be known."""

PARTS = ("runtime_persistence", "runtime", "event", "output")


@dataclass(frozen=True)
class Judgement:
    """What became of a history: the verdict, and a sentence on what decided it, or hindered it.

    `made` is the call that no state explains which a store that obeys the law may have come to, if there is one; `violation`
    says why not, and `background` what came before it.
    """

    verdict: Verdict
    says: str = ""
    head: Head | None = None
    calls: int = 0
    notes: tuple[str, ...] = ()
    made: Recorded | None = None
    violation: Violation | None = None
    requirements: Ids = ()
    background: Background | None = None
    tally: Tally = field(default_factory=Tally)
    seconds: float = 0.0
    is_guess: bool = False
    """Whether orders were left out that may explain it all the same."""


def judge_history(path: str | Path, *, strict: bool = False, from_empty: bool = False, persists: bool = False) -> Judgement:
    """Hold a history against the model. `from_empty` says that the store is known to have been empty when it began.

    `persists` says that it is known to keep what it has from one recording in the file to the next.
    """
    started = time.perf_counter()
    trial = Trial(strict=strict, shown=Shown(Path(path)))
    head: Head | None = None
    try:
        with open(path, "rb") as file:
            first = file.readline()
            if not first.strip():
                raise Unreadable(f"{printable(str(path))} is empty. Expected a history, as `fencepost.record` writes it.")
            head = read_head(first)
            judgement = trial.judged(fitting(head, read_calls(file)))
        if judgement.is_guess:
            judgement = _held_again(Path(path), strict=strict)
        if judgement.violation is not None and judgement.made is not None and judgement.verdict is Verdict.violates:
            judgement = _looked_back(Path(path), judgement, from_empty=from_empty)
            if not persists:
                judgement = _from_a_resume(Path(path), judgement, trial.resumed, strict=strict)
    except OSError as error:
        judgement = Judgement(Verdict.not_evaluated, f"{printable(str(path))} cannot be read: {error.strerror or error}.")
    except (Unreadable, Undecided) as error:
        judgement = replace(trial.so_far(), verdict=Verdict.not_evaluated, says=str(error))
    return replace(judgement, head=head, seconds=time.perf_counter() - started)


def _held_again(path: Path, *, strict: bool, since: int = 0, to: float = float("inf")) -> Judgement:
    """The judgement on the lines behind `since`, up to `to`, if no order is left out but what is certain."""
    with path.open("rb") as file:
        file.readline()
        lines = (each for each in read_calls(file) if since < each.line <= to)
        return Trial(strict=strict, shown=Shown(path, certain=True)).judged(lines)


def _looked_back(path: Path, judgement: Judgement, *, from_empty: bool) -> Judgement:
    """The judgement with what came before the call; no violation if it shows things that were there before the recording."""
    assert judgement.made is not None
    assert judgement.violation is not None
    found = background(path, judgement.made, judgement.violation)
    if found.older is None or from_empty:
        return replace(judgement, background=found)
    says = f"{found.older} {OLDER}"
    return replace(judgement, verdict=Verdict.not_evaluated, says=says, background=found)


def _from_a_resume(path: Path, judgement: Judgement, resumed: Sequence[int], *, strict: bool) -> Judgement:
    """The judgement; no violation if the calls since a recording went on are those of a store that was empty there."""
    if judgement.made is None or judgement.verdict is not Verdict.violates:
        return judgement
    line = judgement.made.line
    for start in sorted((each for each in resumed if each < line), reverse=True):
        with path.open("rb") as file:
            file.readline()
            # those that overlap the call in question belong to it
            since = (each for each in read_calls(file) if start < each.line <= line + AHEAD)
            found = Trial(strict=strict, shown=Shown(path)).judged(since)
        if found.is_guess:
            found = _held_again(path, strict=strict, since=start, to=line + AHEAD)
        if found.made is None or found.made.line > line:
            return replace(judgement, verdict=Verdict.not_evaluated, says=EMPTY_THERE.format(f"{start:,}"))
    return judgement


@dataclass
class Waiting:
    """A call that was read, whether any other overlaps it, and which of its lane behind it do."""

    span: Spanned
    lane: Lane
    overlaps: bool
    later: list[int] = field(default_factory=list)


class Trial:
    """Takes a history call by call."""

    def __init__(self, *, strict: bool, shown: Shown) -> None:
        self._follower = Follower(strict=strict)
        self._shown = shown
        self._lanes = Lanes(self._follower, shown)
        self._notes: dict[str, str] = {}
        self._calls = 0
        self._back = 0
        self._ahead: dict[int, Waiting] = {}
        self._unlike: deque[Spanned] = deque()
        self._is_closed = True
        self.resumed: list[int] = []
        """The lines in which a recording goes on with a store that should be as it was."""
        # the latest instant among all calls up to the one of a number, for as many as can be overlapped
        self._latest: deque[int] = deque([0], maxlen=2 * AHEAD)

    def so_far(self, verdict: Verdict = Verdict.conforms) -> Judgement:
        """The judgement, if nothing were to come any more."""
        notes = dict(self._notes)
        if self._follower.failures:
            notes["failures"] = FAILURES.format(f"{self._follower.failures:,}")
        if self._back:
            notes["back"] += f" So it was {self._back:,} times." if self._back > 1 else ""
        tally = Tally(differs=self._follower.tally.differs)
        tally.reached = self._follower.tally.reached + self._follower.beside.reached
        tally.operations = self._follower.tally.operations + self._follower.beside.operations
        tally.answers = self._follower.tally.answers | self._follower.beside.answers
        return Judgement(verdict, calls=self._calls, notes=tuple(notes.values()), tally=tally)

    def judged(self, lines: Iterator[Recorded | Mark | Torn]) -> Judgement:
        """The judgement on these lines. Raises `Unreadable`."""
        for number, span in enumerate(self._spanned(lines)):
            self._read_ahead(number, span)
            if len(self._ahead) > AHEAD:
                judgement = self._take(newest=span)
                if judgement:
                    return judgement
        while self._ahead:
            judgement = self._take(newest=None)
            if judgement:
                return judgement
        if not self._calls:
            return replace(self.so_far(Verdict.not_evaluated), says="There is no call in it.")
        return self.so_far()

    def _spanned(self, lines: Iterator[Recorded | Mark | Torn]) -> Iterator[Spanned]:
        """The calls with their spans; what else stands among them is noted."""
        number, unsure, fresh = 0, "", False
        for line in lines:
            if isinstance(line, Recorded):
                yield self._span(number, line, unsure)._replace(fresh=fresh)
                number, unsure, fresh = number + 1, "", False
                self._is_closed = False
            elif isinstance(line, Torn):
                self._notes["torn"] = f"Its last line was left out, for it is not whole. {line.says}"
            elif line.what == "stopped":
                self._notes["stopped"] = STOPPED.format(f"{line.line:,}", line.says)
            elif line.what == "closed":
                self._is_closed = True
            elif line.fresh:
                unsure, fresh = "", True
                self._latest = deque([0], maxlen=2 * AHEAD)
            else:
                self.resumed.append(line.line)
                unsure = unsure if self._is_closed else BROKEN_OFF.format(f"{line.line:,}")

    def _span(self, number: int, made: Recorded, unsure: str) -> Spanned:
        first, last = min(made.began, made.ended), max(made.began, made.ended)
        before = min(made.over, number)
        latest = self._latest[-1 - before] if before < len(self._latest) else 0
        if first < latest or made.ended < made.began:
            self._back += 1
            self._notes.setdefault("back", BACKWARDS.format(f"{made.line:,}", f"{max(latest, made.began) - first:,}"))
            # the store may go by what its clock shows, or keep its own time from going back
            last = max(last, latest)
        self._latest.append(max(self._latest[-1], last))
        return Spanned(made, number - before, first, last, unsure)

    def _read_ahead(self, number: int, span: Spanned) -> None:
        """Note the call, and that it overlaps those before it."""
        lane = lane_of(span.made.call)
        for earlier in range(max(span.beside, self._calls), number):
            waiting = self._ahead[earlier]
            waiting.overlaps = True
            if waiting.lane == lane:
                waiting.later.append(number)
        self._ahead[number] = Waiting(span, lane, span.made.over > 0)
        if isinstance(span.made.call, Invalid) and _may_do_anything(span.made.call, span.made.outcome):
            self._unlike.append(span)

    def _take(self, newest: Spanned | None) -> Judgement | None:
        """Take the first of the calls ahead over; the judgement, if it is the last word. More may be behind the newest."""
        at, waiting = self._calls, self._ahead[self._calls]
        made = waiting.span.made
        if waiting.span.fresh:
            # nothing that was before is known of it, or unknown
            self._lanes = Lanes(self._follower, self._shown)
            self._follower.doubts = {}
            self._follower.guessed = set()
        if waiting.span.unsure:
            self._follower.doubts = {(part,): waiting.span.unsure for part in PARTS} | self._follower.doubts
        if newest is not None and newest.beside <= at:
            self._follower.doubt(made.call, TOO_LONG.format(f"{made.line:,}", AHEAD))
        for span in tuple(self._unlike):
            # it may have done so as soon as it began
            if span.beside <= at:
                self._follower.doubt(span.made.call, UNLIKE.format(f"{span.made.line:,}"))
                self._unlike.remove(span)
        spans = {at: waiting.span}
        for number in waiting.later:
            spans[number] = self._ahead[number].span
        del self._ahead[at]
        self._calls += 1
        if isinstance(made.call, Invalid):
            return self._invalid(made, made.call)
        violation = self._lanes.take(at, spans, alone=not waiting.overlaps)
        return None if violation is None else self._broken(made, violation)

    def _broken(self, made: Recorded, violation: Violation) -> Judgement:
        doubt = self._follower.doubted(made.call)
        is_guess = lane_of(made.call) in self._follower.guessed
        found = replace(self.so_far(), made=made, violation=violation, requirements=violation.requirements, is_guess=is_guess)
        if doubt:
            says = f"{doubt} So it cannot be decided whether line {made.line:,} is right."
            return replace(found, verdict=Verdict.not_evaluated, says=says)
        return replace(found, verdict=Verdict.violates, says=_reason(made, violation))

    def _invalid(self, made: Recorded, call: Invalid) -> Judgement | None:
        """A call that the protocol does not know is none of its own; one that it has to refuse is to be refused."""
        if isinstance(made.outcome, Refused):
            return None
        if call.foreign or isinstance(made.outcome, Lost):
            return None
        self._follower.tally.reached["VALUE-1"] += 1
        says = f"{call.operation} has to refuse these arguments with InvalidArgument ({call.arguments})."
        return replace(self.so_far(Verdict.violates), made=made, requirements=("VALUE-1", "VALUE-2"), says=says)


def _may_do_anything(call: Invalid, outcome: object) -> bool:
    """Whether nobody knows what the call did: the protocol has none like it, or its caller went away."""
    return isinstance(outcome, Lost) or (call.foreign and not isinstance(outcome, Refused | Crashed))


def _reason(made: Recorded, violation: Violation) -> str:
    if isinstance(made.outcome, Crashed) and violation.requirements[0] == "VALUE-6":
        return f"{made.call.operation} raised {made.outcome.words}; only a StoreError may leave a call."
    return f"{violation.reason}."


OLDER = (
    "Either the store was not empty when the recording began, and then nothing can be said from here on, or this breaks the "
    "law. If you know that it was empty, say so with --from-empty."
)
EMPTY_THERE = (
    "From line {} on, where another recording goes on, the store answers as an empty one does. Either it was a fresh one, and "
    "then nothing is wrong: give it a file of its own, or record it with fresh=True. Or it has lost what it held, and breaks "
    "the law. If you know that it keeps what it holds, say so with --persists."
)
FAILURES = "{} calls were refused because the storage had failed: admitted anywhere, and taken to have no effect (VALUE-7)."
STOPPED = "The recorder gave up before line {} ({}): what came after is not in it."
UNLIKE = "What the call in line {} did is not known: the protocol has none like it."
BROKEN_OFF = "The recording broke off before line {}, perhaps in the middle of calls, and what they did is not in it."
BACKWARDS = (
    "The clock went back in line {}, by {} ms: such a call is held to any instant from there to the latest one before it."
)
TOO_LONG = "Line {} overlaps more than {} calls, so its place among them cannot be known."
