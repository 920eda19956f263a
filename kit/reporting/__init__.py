"""What a run has come to: on the terminal, as a page, for CI and for programs."""
