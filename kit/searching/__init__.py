"""The search of the model on the command line: scopes, graphs, coverage and suites."""
