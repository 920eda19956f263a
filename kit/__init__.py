"""The product around the floors below: backends, the command line, verdicts, counterexamples, reports.

A backend needs nothing of it but the mark for a factory whose store can be opened again.
"""

from .marks import reopens

__all__ = ["reopens"]
