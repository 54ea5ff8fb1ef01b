"""Commands for published files: tasks, reports, and their exchange with our episodes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

__all__ = ["compare", "export", "generate", "import_", "stats", "table"]


@click.command()
@click.argument("config")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="folder for the task files; existing files are kept",
)
@click.option(
    "--split",
    default="easy",
    show_default=True,
    help="of a profile: train, validation, easy or medium",
)
def generate(config: str, out: Path, split: str) -> None:
    """Draw tasks from a profile or from a JSON config in the authors' shape.

    \b
    Example:  knapsack generate pocket --split medium --out tasks/medium
              knapsack generate easy.json --out tasks/easy
    """
    from knapsack_lib.published.tasks import generate_tasks

    made = generate_tasks(config, out, split)
    click.echo(f"{len(made.written)} written, {len(made.kept)} kept as they are, in {out}")
    for name in made.different:
        click.echo(f"differs: {name} is not what this config draws; it was kept")
    sys.exit(1 if made.different else 0)


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--json", "as_json", is_flag=True, help="a list of two objects")
@click.option(
    "--as-published", is_flag=True, help="what the authors' script prints, with its faults named"
)
def stats(a: str, b: str, as_json: bool, as_published: bool) -> None:
    """The measures of two conditions (folders or archives) side by side, with 95% intervals over
    episodes.

    \b
    Example:  knapsack stats persistent/ stateless/
              knapsack stats a.tar.gz b.tar.gz --as-published --json
    """
    from knapsack_lib.published import reports
    from knapsack_lib.published.records import read_records

    found = [read_records(source) for source in (a, b)]
    sides = [reports.stats(one, as_published) for one in found]
    if as_json:
        rows = [asdict(side) for side in sides]
        click.echo(
            json.dumps(
                [{"episodes": row.pop("episodes"), **row.pop("means"), **row} for row in rows],
                indent=1,
            )
        )
        return
    measures = reports.measures(found)
    width = max(len(measure.label) for measure in measures.values())
    click.echo(f"{'':{width}} {'A':>12} {'':<18} {'B':>12}")
    click.echo(f"{'episodes':{width}} {sides[0].episodes:>12} {'':<18} {sides[1].episodes:>12}")
    for name, measure in measures.items():
        cells = [
            f"{_shown(side.means.get(name), measure.form):>12} {_ends(side.intervals.get(name), measure.form):<18}"
            for side in sides
        ]
        click.echo(f"{measure.label:{width}} {' '.join(cells)}".rstrip())
    _print_notes(sides[0].notes, " (A)")
    _print_notes(sides[1].notes, " (B)")


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--json", "as_json", is_flag=True, help="one object")
def compare(a: str, b: str, as_json: bool) -> None:
    """Scores of the same tasks in two conditions: paired difference, Wilcoxon, signed
    rank-biserial.

    \b
    Example:  knapsack compare persistent/ stateless/ --json
    """
    from knapsack_lib.published import reports
    from knapsack_lib.published.records import read_records

    found = reports.compare(read_records(a), read_records(b))
    if as_json:
        click.echo(json.dumps(asdict(found), indent=1))
        return
    click.echo(
        f"pairs                 {found.n_pairs} (only in A: {found.only_a}, only in B: {found.only_b})"
    )
    click.echo(f"mean difference A - B {_shown(found.mean_difference, '+.2f')} percentage points")
    click.echo(
        f"Wilcoxon              W = {_shown(found.wilcoxon_w, 'g')}, p = {_shown(found.wilcoxon_p, '.4g')}, two-sided"
    )
    click.echo(f"rank-biserial         {_shown(found.rank_biserial, '+.3f')}")
    _print_notes(found.notes)


@click.command()
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="a .tex file; printed when left out")
def table(spec: Path, out: Path | None) -> None:
    """The main LaTeX table of published results, with 95% intervals where the episodes are given.

    \b
    Example:  knapsack table spec.json --out main.tex

    SPEC is a JSON file; the paths in it are taken from its folder:

    \b
        {"caption": "...", "label": "tab:main",
         "score_scale": "auto", "solved_format": "percent",
         "cells": [{"difficulty": "easy", "train": "persistent",
                    "runtime": "stateless", "path": "summary.json",
                    "metrics_path": "persistent_stateless_easy/",
                    "score_override": null}]}

    `path` is a summary file, or a folder or archive of result files. With `metrics_path` (result
    files) the score and its interval come from the episodes. `score_override` replaces the score
    and takes its interval away. A cell that does not exist is declared: {"...": "...", "absent":
    true}. `score_scale` is auto, fraction or percent, `solved_format` percent or count. The caption
    is plain text, not LaTeX.
    """
    from knapsack_lib.published.files import written_whole
    from knapsack_lib.published.table import latex_table

    text = latex_table(spec)
    if out is None:
        click.echo(text, nl=False)
    else:
        with written_whole(out) as part:
            part.write_text(text, encoding="utf-8")
        click.echo(f"wrote {out}")


@click.command(name="import")
@click.argument("source")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="a new folder, for a store per cell (and family, if several)",
)
@click.option(
    "--train",
    default="published",
    show_default=True,
    help="who acted; this and the next three are for files whose folders do not say it",
)
@click.option("--runtime", default="persistent", show_default=True, help="or reset (stateless)")
@click.option("--difficulty", default="easy", show_default=True, help="or medium (hard)")
@click.option("--family", help="of conversations; the study's where left out")
def import_(source: str, out: Path, train: str, runtime: str, difficulty: str, family: str) -> None:
    """Published files (a folder, an archive, traces.jsonl, a data set id) as episodes, to be
    explored and analysed.

    \b
    Example:  knapsack import persistent_stateless_easy.tar.gz --out runs/theirs
              knapsack import pythonformer/agents-learn-runtime-benchmarks --out runs/theirs
    """
    from knapsack_lib.published.episodes import ANY_CELL
    from knapsack_lib.published.reading import read_source, write_stores

    cell = replace(ANY_CELL, train=train, runtime=runtime, difficulty=difficulty)
    if family is not None:
        cell = replace(cell, family=family)
    found = read_source(source, cell)
    stores = write_stores(found, out)
    click.echo(f"{len(found.episodes)} episodes in {len(stores)} stores under {out}")
    _print_notes(found.notes)
    sys.exit(1 if found.left_out else 0)


@click.command()
@click.argument("source")
@click.option("--out", required=True, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["published", "chat", "parquet"]),
    default="published",
    show_default=True,
)
def export(source: str, out: Path, form: str) -> None:
    """Our episodes (a profile's name, a run's folder, a store) as published files, chat JSONL or
    Parquet.

    \b
    Example:  knapsack export pocket-seeds --out published/
              knapsack export runs/pocket/teacher/reset --format chat --out train.jsonl
    """
    from knapsack_lib.explorer.catalogue import open_catalogue
    from knapsack_lib.published.episodes import write_chat, write_published
    from knapsack_lib.published.files import written_whole

    catalogue = open_catalogue(source)
    episodes = [catalogue.open(place) for place in catalogue.frame.index]
    if form == "parquet":
        with written_whole(out) as part:
            catalogue.frame.assign(episode=[episode.to_line() for episode in episodes]).to_parquet(
                part, index=False
            )
    elif form == "published":
        write_published(episodes, out, catalogue.frame.seconds.tolist())
    else:
        write_chat(episodes, out)
    click.echo(f"{len(episodes)} episodes in {out}")


def _ends(ends: tuple[float, float] | None, form: str) -> str:
    return "" if ends is None else f"[{ends[0]:{form}}, {ends[1]:{form}}]"


def _shown(value: Any, form: str) -> str:
    return "not recorded" if value is None else f"{value:{form}}"


def _print_notes(notes: Sequence[str], side: str = "") -> None:
    for note in notes:
        click.echo(f"note{side}: {note}")
