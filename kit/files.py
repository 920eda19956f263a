"""Files that are written at once: a reader finds the old one or the new one, never a half."""

from __future__ import annotations

import os
from pathlib import Path


def beside(path: Path) -> Path:
    """Where what becomes the file is written first: in its folder, and hidden there."""
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def write_whole(path: Path, data: bytes) -> None:
    """Write the file in place of whatever is there. Raises `OSError`, and leaves nothing behind then."""
    try:
        beside(path).write_bytes(data)
        beside(path).replace(path)
    except OSError:
        beside(path).unlink(missing_ok=True)
        raise
