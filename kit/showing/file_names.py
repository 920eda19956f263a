"""What the files are called that stand beside a report for each of its counterexamples."""

from __future__ import annotations

FOLDER = "counterexamples"
"""Where they stand in the folder of a report."""


def names(chapter: str, *, is_race: bool = False) -> dict[str, str]:
    """The files of the counterexample that a chapter found: the page, the test, the trace and the diagram.

    Of a race there is nothing to run again: who comes first is chance. The test is found by its name alone: the tests of a user
    who keeps a report among them do not fail for it.
    """
    again = {} if is_race else {"test": f"{chapter}_counterexample.py", "trace": f"{chapter}.jsonl"}
    return {"page": f"{chapter}.html", **again, "diagram": f"{chapter}.mmd"}
