"""Fencepost: the executable specification of agent-runtime session stores."""

__version__ = "0.1.0"
