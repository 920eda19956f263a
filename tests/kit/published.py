"""The published counterexamples: `python tests/kit/published.py` writes them to `reports/counterexamples/`."""

from __future__ import annotations

from pathlib import Path

from fencepost.kit.result import ChapterRun, Result
from fencepost.kit.showing.exhibits import write_exhibits
from fencepost.statemachines.tally import Tally
from kinds import found, request

GALLERY = Path(__file__).parents[2] / "reports" / "counterexamples"

PUBLISHED = ("takeover", "commit", "inputs", "event", "output")
"""One of each kind that a reader may meet."""


def result_of(kind: str) -> Result:
    """A run that found this counterexample and nothing else."""
    return Result(request(kind), (ChapterRun(found(kind).chapter, Tally(), 1.0, found(kind)),), ())


def main() -> None:
    """Write them all."""
    for kind in PUBLISHED:
        write_exhibits(GALLERY / kind, result_of(kind))


if __name__ == "__main__":
    main()
