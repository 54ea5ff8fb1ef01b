"""Commands about this machine: what it can run, and how far it can confine model-written code."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

__all__ = ["doctor"]


@click.command()
@click.option("--profile", default="", help="one of params/; all of them when left out")
@click.option("--json", "as_json", is_flag=True, help="the machine as one object")
def doctor(profile: str, as_json: bool) -> None:
    """What this machine can run, what is missing, and what a profile needs: GPU memory, disk,
    hours, money.

    \b
    Example:  knapsack doctor --profile paper
    """
    from knapsack_lib.doctor import examine, look

    machine = look()
    if as_json:
        click.echo(json.dumps(asdict(machine), indent=1))
        return
    click.echo("\n".join(examine(profile, machine)))
