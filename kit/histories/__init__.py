"""Recorded histories: how calls are written down in production, and how a file of them is held against the model."""
