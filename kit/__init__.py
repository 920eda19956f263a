"""The product around the floors below: backends, the command line, verdicts, counterexamples, reports."""
