"""Command: a set of traces made to fit another runtime."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click

__all__ = ["convert"]

LISTED = 20


@click.command()
@click.argument("source")
@click.option(
    "--to", "target", required=True, help="the runtime that it is for: reset or persistent"
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="a new folder")
@click.option("--format", default="", help="the reader, where the files do not tell it")
@click.option(
    "--package",
    "packages",
    multiple=True,
    help="an installed package that blocks may import, with what it needs; may be repeated",
)
@click.option("--json", "as_json", is_flag=True, help="print everything as one JSON object")
def convert(
    source: str, target: str, out: Path, format: str, packages: tuple[str, ...], as_json: bool
) -> None:
    """Transcripts made to fit a runtime. To reset, each block gets what it needs from earlier ones; to
    persistent, what restates a state that is there is taken out. Each is run again, confined, and left
    out unless it makes the same tool calls, prints the same and misses no name.

    \b
    Example:  knapsack convert runs/pocket/teacher/persistent --to reset --out traces-reset
              knapsack convert outputs/gpt-4 --to reset --package numpy --out mint-reset
    """
    from knapsack_lib.audit.conversion import convert_set
    from knapsack_lib.audit.formats import Problems, read_transcripts
    from knapsack_lib.audit.transcripts import Transcript

    def read(problems: Problems) -> Iterator[Transcript]:
        return read_transcripts(source, format, problems)

    problems = Problems()
    count = 0 if source == "-" else sum(1 for _ in read(Problems()))
    done = convert_set(read(problems), target, out, packages, count)
    total = done.converted + len(done.left_out)
    if as_json:
        left = [one._asdict() for one in done.left_out]
        found = {"converted": done.converted, "blocks": done.blocks, "changed": done.changed}
        click.echo(json.dumps({**found, "left_out": left, "unread": problems.lines}, indent=1))
    else:
        click.echo(
            f"{done.converted:,} of {total:,} episodes converted and proven, {done.changed:,} of their "
            f"{done.blocks:,} blocks with other code, in {out}"
        )
        for kind, count in done.reasons.most_common():
            click.echo(f"left out {count:,}: {kind}")
        for one in done.left_out[:LISTED]:
            click.echo(f"  {one.transcript_id}: {one.text}")
        if len(done.left_out) > LISTED:
            click.echo(f"  and {len(done.left_out) - LISTED:,} more, in {out}/left_out.jsonl")
        for line in problems.lines:
            click.echo(f"note: {line}")
    sys.exit(1 if done.left_out or problems.count else 0)
