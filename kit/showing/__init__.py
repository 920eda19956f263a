"""A violation made visible: the counterexample, its program, page, test, trace and diagram, and how it is replayed."""
