"""What came of the lemmas: an outcome for each, and the verdict over all."""

from __future__ import annotations

import enum

import msgspec


class Outcome(enum.Enum):
    """What is known of a lemma. Only the first two are a proof, and each says of what kind."""

    confirmed = "confirmed over all paths"
    exhausted = "exhausted over all inputs"
    undecided = "no counterexample in the budget"
    refuted = "refuted"
    unevaluable = "could not be evaluated"


SETTLED = (Outcome.confirmed, Outcome.exhausted)


class Finding(msgspec.Struct, frozen=True):
    """What came of one lemma: `tried` counts CrossHair's paths, or the cases of an exhaustion.

    `seconds` are of processor time.
    """

    outcome: Outcome
    tried: int = 0
    seconds: float = 0.0
    detail: str = ""


class Statement(msgspec.Struct, frozen=True):
    """A lemma as it is told: where it stands, what it says, what it establishes, and the scope of an exhaustion.

    `against` is the file of another version, if the lemma is that a transition is the same there.
    """

    chapter: str
    name: str
    place: int | None
    requirements: tuple[str, ...]
    says: str
    scope: str = ""
    against: str = ""


class Proved(msgspec.Struct, frozen=True):
    """Lemmas with what came of each, and the seconds it took in all."""

    results: tuple[tuple[Statement, Finding], ...]
    seconds: float
    budget: float
    workers: int

    def count(self, *outcomes: Outcome) -> int:
        """How many lemmas came out so."""
        return sum(finding.outcome in outcomes for _, finding in self.results)

    @property
    def exit_code(self) -> int:
        """0 if all are confirmed or exhausted, 1 if one is refuted, else 2."""
        if self.count(Outcome.refuted):
            return 1
        return 0 if self.results and self.count(*SETTLED) == len(self.results) else 2
