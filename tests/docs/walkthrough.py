"""Pages of Markdown as readers go through them: files are written, commands run in order, and what they print is compared.

A fenced block of a page is one of these:

* `python`: a file, whose name stands in a comment in its first line.
* `diff`: a change of such a file, named in the first line behind `---`: what stands there without a `+` is found in the file
  just once, and becomes what stands there without a `-`.
* `sh`: commands for bash, one after the other, in one session that lasts for the page, with `pipefail`. `sh exit 1` ends with
  this code, others with 0. `sh in a clone` needs the repository.
* anything else that stands next after `sh`: what it printed, on either channel. A line `…` stands for any number of lines.

Figures that no seed decides are not compared: spans and rates of time, numbers of steps, instants of today, random tokens.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^```(?P<kind>\w+)(?: (?P<how>[^\n]*))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LEFT_OUT = "…"
VARYING = (
    (re.compile(r"\b[\d,]*\d steps\b"), "N steps"),
    (re.compile(r"\b[\d,.]*\d(?= ?s\b| a second\b|/s\b| calls/s\b)"), "N"),
    (re.compile(r"\b1[6-9]\d{11}\b"), "TODAY"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "TOKEN"),
    # figures stand in columns
    (re.compile(r" {2,}"), "  "),
)
CHANGES = ("BUILD_NUMBER", "CI", "GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS", "PYTEST_ADDOPTS", "PYTEST_PLUGINS", "VIRTUAL_ENV")
"""Variables of the run of the tests that would change what commands print."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what stands behind that, its text, and where in the page the text is."""

    kind: str
    how: str
    text: str
    span: tuple[int, int]

    @property
    def exit_code(self) -> int:
        """How its commands are said to end."""
        return int(self.how.removeprefix("exit ")) if self.how.startswith("exit ") else 0

    @property
    def needs_a_clone(self) -> bool:
        """Whether it is to be run in the repository itself."""
        return self.how == "in a clone"


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page."""
    for found in BLOCK.finditer(page):
        yield Block(found["kind"], found["how"] or "", found["text"], found.span("text"))


class Difference(AssertionError):
    """A page that does not tell what happens."""


class Walkthrough:
    """A reader's session: a folder, a shell, and the page that is followed."""

    def __init__(self, home: Path, *, clone: Path | None = None, renewing: bool = False) -> None:
        """`renewing` takes figures that vary from this run, too."""
        self._home = home
        self._folder = clone or home
        self._has_clone = clone is not None
        self._environment = home / ".environment"
        self._where = home / ".where"
        self._renewing = renewing

    def followed(self, page: str) -> str:
        """The page, with today's output wherever it differs. Raises `Difference` for what cannot be mended."""
        changes: list[tuple[tuple[int, int], str]] = []
        printed: str | None = None
        for block in blocks(page):
            if block.kind in ("python", "diff"):
                (self._write if block.kind == "python" else self._edit)(block)
            elif block.kind == "sh":
                printed = self._run(block) if self._has_clone or not block.needs_a_clone else None
            elif printed is not None:
                if not is_same(block.text, printed) or (self._renewing and LEFT_OUT not in block.text.splitlines()):
                    changes.append((block.span, _mended(block.text, printed)))
                printed = None
        for (start, end), text in reversed(changes):
            page = page[:start] + text + page[end:]
        return page

    def _write(self, block: Block) -> None:
        name = re.match(r"# (\w+\.py)\n", block.text)
        if name is None:
            raise Difference(f"expected the name of a file in the first line, as in `# store.py`:\n{block.text}")
        (self._here() / name[1]).write_text(block.text, encoding="utf-8")

    def _edit(self, block: Block) -> None:
        head, *lines = block.text.splitlines(keepends=True)
        path = self._here() / head.removeprefix("--- ").strip()
        old, new = ("".join(line[1:] for line in lines if line[0] != sign) for sign in "+-")
        text = path.read_text(encoding="utf-8")
        if text.count(old) != 1:
            raise Difference(f"{text.count(old)} times in {path.name}, expected once:\n{old}")
        path.write_text(text.replace(old, new), encoding="utf-8")

    def _run(self, block: Block) -> str:
        begin = f'[ ! -e "{self._environment}" ] || . "{self._environment}"; cd "{self._here()}"'
        end = f'trap \'export -p > "{self._environment}"; pwd > "{self._where}"\' EXIT'
        ran = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", f"{begin}\n{end}\n{block.text}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            env=self._variables(),
            timeout=600,
            check=False,
        )
        if ran.returncode != block.exit_code:
            raise Difference(f"exit code {ran.returncode}, expected {block.exit_code}:\n{block.text}\n{ran.stdout}")
        return ran.stdout

    def _here(self) -> Path:
        return Path(self._where.read_text().strip()) if self._where.exists() else self._folder

    def _variables(self) -> dict[str, str]:
        """As in a terminal of 80 columns; the command is that of this very package, unless the page installs it."""
        kept = {name: value for name, value in os.environ.items() if name not in CHANGES}
        ours = {"HOME": str(self._home), "COLUMNS": "80", "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        if self._has_clone:
            kept.pop("PYTHONPATH", None)
            return kept | ours
        # the plug-in is there once: with an entry point, or without one
        plugin = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "-p fencepost.kit.pytest_plugin -p no:cacheprovider"}
        path = os.pathsep.join([str(self._commands()), str(Path(sys.executable).parent), kept["PATH"]])
        return kept | ours | plugin | {"PATH": path}

    def _commands(self) -> Path:
        folder = self._home / ".commands"
        if not folder.exists():
            folder.mkdir()
            for name, module in (("fencepost", "fencepost.kit"), ("pytest", "pytest")):
                (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
                (folder / name).chmod(0o755)
        return folder


def is_same(told: str, printed: str) -> bool:
    """Whether the output is what the page tells, up to figures that vary and lines that are left out."""
    pattern = "".join("(?:.*\n)*" if line == LEFT_OUT else re.escape(line) + "\n" for line in _steady(told).splitlines())
    return re.fullmatch(pattern, _steady(printed)) is not None


def _steady(text: str) -> str:
    lines = "".join(f"{line.rstrip()}\n" for line in text.strip("\n").splitlines())
    for pattern, name in VARYING:
        lines = pattern.sub(name, lines)
    return lines


def _mended(told: str, printed: str) -> str:
    if LEFT_OUT in told.splitlines():
        raise Difference(f"a block with lines left out is to be mended by hand; expected\n{told}\nprinted\n{printed}")
    return printed.strip("\n") + "\n"


def copied(root: Path, folder: Path) -> Path:
    """The repository as it stands, in this folder, without what is made of it."""
    shutil.copytree(root, folder, ignore=shutil.ignore_patterns(".*", "__pycache__", "build", "*.egg-info"))
    return folder
