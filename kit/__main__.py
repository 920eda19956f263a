"""`python -m fencepost.kit` is `fencepost`."""

from .cli import main

main()
