"""The product around the floors below: backends, the command line, verdicts, counterexamples, reports.

A backend needs nothing of it but the mark that says what its store has.
"""

from .marks import declares

__all__ = ["declares"]
