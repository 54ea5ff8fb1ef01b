"""The command `knapsack`: everything that the package does, without a notebook.

Exit codes: 0 done, 1 done, but something differs or is missing (and is named), 2 bad input or a wrong option.
"""

from __future__ import annotations

import importlib
import io
import signal
import sys

import click

from knapsack_lib.errors import UserError
from knapsack_lib.files import refusal

__all__ = ["knapsack", "main"]

COMMANDS = {  # name -> module below this one, name in it; imported when it is asked for
    "run": ("study", "run"),
    "plan": ("study", "plan"),
    "clean": ("study", "clean"),
    "figures": ("study", "figures"),
    "pdf": ("study", "pdf"),
    "verify": ("study", "verify"),
    "pages": ("study", "pages"),
    "doctor": ("machine", "doctor"),
    "audit": ("audit", "audit"),
    "generate": ("exchange", "generate"),
    "stats": ("exchange", "stats"),
    "compare": ("exchange", "compare"),
    "table": ("exchange", "table"),
    "convert": ("convert", "convert"),
    "import": ("exchange", "import_"),
    "export": ("exchange", "export"),
}


class Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, member = COMMANDS[name]
        return getattr(importlib.import_module(f"{__name__}.{module}"), member)


@click.command(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
def knapsack() -> None:
    """Is an interpreter's persistence learned from traces? Run the study, look into it, exchange its files."""


def main() -> None:
    """Run the command; a user's mistake, and what the file system refuses, is one line and exit
    code 2."""
    # Where whoever started us ignores its children, a step that fails would look as one that is done.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a letter that a terminal lacks stops nothing
            stream.reconfigure(errors="replace")
    try:
        knapsack()
    except (UserError, OSError) as error:
        click.echo(f"error: {refusal(error) if isinstance(error, OSError) else error}", err=True)
        sys.exit(2)
