"""Commands of what stands above the kit: they are loaded when they are called for, so that the kit knows but their names."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

UPSTAIRS = {"gallery": "fencepost.gallery.cli:gallery_group", "demo": "fencepost.gallery.demo:demo_command"}
"""Where the commands are found."""


class WithUpstairs(click.Group):
    """A group of commands, and those that are loaded only when they are called for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the alphabet."""
        return sorted((*super().list_commands(ctx), *UPSTAIRS))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        if cmd_name not in UPSTAIRS:
            return super().get_command(ctx, cmd_name)
        module, _, name = UPSTAIRS[cmd_name].partition(":")
        command: Any = getattr(import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{UPSTAIRS[cmd_name]} is no command")
        return command
