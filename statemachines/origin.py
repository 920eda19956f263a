"""Where in the code of a store an exception was raised."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

import icontract
from fencepost.spec import ContractBroken

OURS = (str(Path(__file__).parents[1]), str(Path(icontract.__file__).parent))
"""The folders of this package, and of what carries contracts: no part of a store that is checked."""

OTHERS = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))
"""The folders of what is installed: a store, or what a store stands on."""


def where_raised(error: BaseException) -> str:
    """The file and the line, as the end of a sentence; empty if not known.

    It is the innermost line of what is not installed, for there an author looks first; of an installed store the innermost.
    """
    if isinstance(error, ContractBroken):
        return ""
    frames = [each for each in traceback.extract_tb(error.__traceback__) if not each.filename.startswith((*OURS, "<"))]
    own = [each for each in frames if not each.filename.startswith(OTHERS)]
    if not frames:
        return ""
    last = (own or frames)[-1]
    return f" ({Path(last.filename).name}, line {last.lineno})"
