"""Commands of what stands above the kit: they are loaded when they are called for, so that the kit knows but their names."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from .console import complain, let_go_of_stdout

UPSTAIRS = {"gallery": "fencepost.gallery.cli:gallery_group", "demo": "fencepost.gallery.demo:demo_command"}
"""Where the commands are found."""


class WithUpstairs(click.Group):
    """A group of commands, and those that are loaded only when they are called for.

    What click would end with exit code 1, which says that a store violates, ends otherwise: a reader that goes away, such as
    `head`, is no mistake, and Ctrl-C leaves no result.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            let_go_of_stdout()
        except KeyboardInterrupt:
            complain("interrupted before there was a result.")
            ctx.exit(2)

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
