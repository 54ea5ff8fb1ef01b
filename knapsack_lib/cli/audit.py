"""The command that looks at transcripts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from knapsack_lib.audit.replay import Report

__all__ = ["audit"]


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--against",
    multiple=True,
    metavar="SOURCE",
    help="other transcripts, shown beside; repeat for several",
)
@click.option("--by", default="", help="a label to group by: model, task, train, ...")
@click.option(
    "--format", "kind", default="", help="how to read it, where that cannot be told from it"
)
@click.option("--html", type=click.Path(path_type=Path), help="write a page with pictures here")
@click.option(
    "--replay",
    is_flag=True,
    help="also run every block of SOURCE again, confined, in both runtimes",
)
@click.option(
    "--package",
    "packages",
    multiple=True,
    help="with --replay: an installed package that blocks may import; repeat for several",
)
@click.option("--json", "as_json", is_flag=True, help="a list with an object for each audit")
@click.option(
    "--fail-if",
    "conditions",
    multiple=True,
    metavar="CONDITION",
    help="exit with 1 where it is true of SOURCE: relies > 0.1, teaches != reset; repeat for several",
)
def audit(
    sources: tuple[str, ...],
    against: tuple[str, ...],
    by: str,
    kind: str,
    html: Path | None,
    replay: bool,
    packages: tuple[str, ...],
    as_json: bool,
    conditions: tuple[str, ...],
) -> None:
    """Which runtime do these transcripts teach, and what would break in the other one? What cannot be
    read is named, and the exit code is then 1.

    \b
    Example:  knapsack audit traces.jsonl
              knapsack audit outputs/ --by model --html audit.html
              knapsack audit training.parquet --against logs/
              knapsack audit traces.jsonl --fail-if "teaches != persistent"
    """
    from knapsack_lib.audit.audit import audit as audited
    from knapsack_lib.audit.report import as_json as plain
    from knapsack_lib.audit.report import fails, report_lines

    def show(done: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{done:,} episodes", nl=False, err=True)

    found = [audited(group, by, kind, show) for group in (sources, against) if group]
    if sys.stderr.isatty():
        click.echo("\r", nl=False, err=True)
    if html is not None:
        from knapsack_lib.audit.page import audit_page
        from knapsack_lib.files import write_whole

        write_whole(html, audit_page(found))
    again = _replayed(sources, kind, packages) if replay else []
    if as_json:
        shown = [plain(one) for one in found]
        if replay:
            shown[0]["replay"] = [vars(one) for one in again]
        click.echo(json.dumps(shown, indent=1, ensure_ascii=False))
    else:
        click.echo(
            "\n".join(
                [
                    *report_lines(found),
                    *(["", *(line for one in again for line in one.lines())] if replay else []),
                ]
            )
        )
        if html is not None:
            click.echo(f"\nwith pictures and blocks that show it: {html}")
    for one in found:
        for line in one.unread_lines:
            click.echo(f"not read: {line}", err=True)
        if one.unread > len(one.unread_lines):
            click.echo(f"not read: {one.unread:,} in all", err=True)
    failed = [said for condition in conditions if (said := fails(found[0], condition))]
    for said in failed:
        click.echo(f"failed: {said}", err=True)
    sys.exit(1 if failed or any(one.unread for one in found) else 0)


def _replayed(sources: tuple[str, ...], kind: str, packages: tuple[str, ...]) -> list[Report]:
    from knapsack_lib.audit.formats import read_transcripts
    from knapsack_lib.audit.replay import replay_report

    transcripts = (one for source in sources for one in read_transcripts(source, kind))
    return replay_report(transcripts, packages=packages)
