"""The gallery: small faults of the DuckDB store, one sentence each, and the proof that the kit catches them."""
