"""Where in the code of a store an exception was raised."""

from __future__ import annotations

import os
import sysconfig
import traceback
from pathlib import Path

import icontract
from fencepost.spec import ContractBroken
from fencepost.spec.values import printable

OURS = tuple(f"{each}{os.sep}" for each in (Path(__file__).parents[1], Path(icontract.__file__).parent))
"""The folders of this package, and of what carries contracts: no part of a store that is checked."""

OTHERS = tuple(f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "purelib", "platlib"))
"""The folders of what is installed: a store, or what a store stands on."""


def where_raised(error: BaseException) -> str:
    """The file and the line, as the end of a sentence; empty if not known.

    It is the innermost line of what is not installed, for there an author looks first; of an installed store the innermost.
    """
    if isinstance(error, ContractBroken):
        return ""
    # no text of a line is looked up: a file may be gone, and its name no name of a file
    lines = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    theirs = [each for each in lines if not each[0].startswith((*OURS, "<"))]
    own = [each for each in theirs if not each[0].startswith(OTHERS)]
    if not theirs:
        return ""
    file, line = (own or theirs)[-1]
    return printable(f" ({Path(file).name}, line {line})")
