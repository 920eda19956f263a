"""The entry point of `fencepost` and of `python -m fencepost.kit`."""

from __future__ import annotations

import sys

from .supervision import supervised


def main() -> None:
    """Run the command line, in a process that a store may end."""
    sys.exit(supervised(_command))


def _command() -> None:
    """Start the command line; Ctrl-C while it loads ends it with a sentence."""
    try:
        from .cli import main as command
    except KeyboardInterrupt:
        # not 1, which says that a store violates
        sys.stderr.write("Error: interrupted before anything was begun.\n")
        sys.exit(2)
    command()


if __name__ == "__main__":
    main()
