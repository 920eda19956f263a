"""A counterexample as a file for pytest: one test, which fails while the fault is there and passes once it is gone."""

from __future__ import annotations

import re
from textwrap import indent, wrap

from ..backend import command_of
from .program import Program
from .source import INDENT, WIDTH

HERE = "# the backend is looked for in the folder that pytest is started in, too\nsys.path.insert(0, str(Path.cwd()))"

MADE = '"""A counterexample that `fencepost verify` found: it fails while the fault is there, and passes once it is gone."""'


UNSTEADY = '"""A counterexample that `fencepost verify` saw, and that did not show when it was called again: it may pass."""'


def pytest_file(program: Program, requirement_id: str, sentence: str, backend: str, *, reproduces: bool) -> str:
    """The program as the text of a test file, whose test has the name and the sentence of the requirement."""
    imports = program.imports.replace("from tempfile import mkdtemp\n", "")
    if command_of(backend) is None:
        store = "\n".join(f"{line}  # noqa: E402" for line in program.store.splitlines())
        head = f"import sys\n{imports}\n\n{HERE}\n\n{store}"
    else:
        head = f"{imports}\n{program.store}"
    setup = program.setup.replace("Path(mkdtemp())", "tmp_path", 1)
    steps = "\n\n".join(part for part in (_docstring(sentence), setup, program.calls, program.check) if part)
    name = re.sub(r"\W", "_", requirement_id).lower()
    return (
        f"{MADE if reproduces else UNSTEADY}\n\n{head}\n\n\ndef test_{name}(tmp_path: Path) -> None:\n{indent(steps, INDENT)}\n"
    )


def _docstring(sentence: str) -> str:
    quoted = sentence.replace("\\", "\\\\").replace('"', '\\"')
    first, *rest = wrap(quoted, WIDTH - len(INDENT) - 3)
    return "\n".join([f'"""{first}', *rest, '"""']) if rest else f'"""{first}"""'
