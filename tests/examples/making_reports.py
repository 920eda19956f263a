"""The published reports: `python tests/examples/making_reports.py` makes all of them again, or those that are named.

Each is made by the command that stands in the table of the examples, or of the reports, and has to end as that says.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from test_examples import EXAMPLES, EXIT_CODES, ROOT

REPORTS = ROOT / "reports"
SCHEMA = "report.schema.json"


class Making(NamedTuple):
    """How a report is made: in which folder, by which words behind `fencepost`, and with which exit code."""

    folder: Path
    words: tuple[str, ...]
    exit_code: int


MAKINGS = {"duckdb": Making(ROOT, ("verify", "--seed", "0"), 0)} | {
    each.folder: Making(ROOT / "examples" / each.folder, each.words, EXIT_CODES[each.verdict])
    for each in EXAMPLES
    if each.is_published
}


def make(name: str, reports: Path = REPORTS) -> None:
    """Make the report of this name. Raises `SystemExit` if its run ends otherwise than it is said to."""
    making = MAKINGS[name]
    command = [sys.executable, "-m", "fencepost.kit", *making.words, "--report", str(reports / name)]
    shown = subprocess.run(command, cwd=making.folder, capture_output=True, text=True, check=False)
    if shown.returncode != making.exit_code:
        said = f"received exit code {shown.returncode}, expected {making.exit_code}, of: fencepost {' '.join(making.words)}"
        raise SystemExit(f"{shown.stdout}{shown.stderr}\n{name}: {said}")
    print(f"{name}: {shown.stdout.splitlines()[-1]}", flush=True)


def main() -> None:
    """Make those that are named, or all of them, and the schema that they obey."""
    unknown = [each for each in sys.argv[1:] if each not in MAKINGS]
    if unknown:
        raise SystemExit(f"received {', '.join(unknown)}, expected some of {', '.join(MAKINGS)}")
    for name in sys.argv[1:] or MAKINGS:
        make(name)
    schema = subprocess.run([sys.executable, "-m", "fencepost.kit", "report-schema"], capture_output=True, check=True)
    (REPORTS / SCHEMA).write_bytes(schema.stdout)


if __name__ == "__main__":
    main()
