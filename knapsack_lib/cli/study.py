"""Commands about a study: run it, see what is stale, rebuild and check what is made of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import click

from knapsack_lib.errors import UserError
from knapsack_lib.files import digest_of, path_digest, project_root, shown, write_whole
from knapsack_lib.profiles import COMMITTED, Run, Suite, load_profile, load_suite

__all__ = ["clean", "figures", "pages", "pdf", "plan", "run", "verify"]

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def of_a_run(default: str) -> Callable[[Any], Any]:
    """The options --profile and --seed, handed on as the Run `study`."""

    def decorate(command: Any) -> Any:
        def with_run(profile: str, seed: int | None, **options: Any) -> None:
            command(load_profile(profile).run(seed), **options)

        return _with_options(with_run, command, default, "a file of params/, or a path")

    return decorate


def of_studies(default: str) -> Callable[[Any], Any]:
    """The options --profile and --seed, handed on as the studies of a suite, or as the only one, each a Run with the name
    that it was given by; and the suite, or None."""

    def decorate(command: Any) -> Any:
        def with_studies(profile: str, seed: int | None, **options: Any) -> None:
            suite = load_suite(profile)
            given = suite.studies if suite else (profile,)
            runs = suite.runs(seed) if suite else [load_profile(profile).run(seed)]
            command(list(zip(given, runs, strict=True)), suite, seed, **options)

        what = "a file of params/ (of a study, or of a suite of them), or a path"
        return _with_options(with_studies, command, default, what)

    return decorate


def _with_options(function: Any, command: Any, default: str, what: str) -> Any:
    function.__doc__, function.__name__ = command.__doc__, command.__name__
    function.__click_params__ = getattr(command, "__click_params__", [])
    seed = click.option("--seed", type=int, help="root seed; the profile's own by default")
    return click.option("--profile", default=default, show_default=True, help=what)(seed(function))


def steps_of(given: str, run: Run, stage: str) -> list[Any]:
    """The graph, or one stage of it with what that needs."""
    from knapsack_lib.study import STAGES, Step, graph

    if given.endswith(".yaml"):  # steps run in the project's folder
        given = shown(Path(given))
    if not stage:
        return graph(run, given)
    if stage not in STAGES:
        raise UserError(f"there is no stage {stage!r}; choose one of: {', '.join(STAGES)}")
    whole = graph(run, given)
    chosen = [step for step in whole if step.stage.name == stage]
    if not chosen:  # outside the graph: 00 and 06
        return [Step(STAGES[stage], run if STAGES[stage].seeded else run.profile.run(), given)]
    for step in reversed(whole):
        if any(step in later.needs() for later in chosen):
            chosen.insert(0, step)
    return chosen


@click.command()
@of_studies("pocket")
@click.option("--stage", default="", help="only this one (as 03_finetune) and what it needs")
@click.option(
    "--jobs",
    default=2,
    show_default=True,
    type=click.IntRange(1),
    help="steps at once, one thread each",
)
def run(
    studies: list[tuple[str, Run]], suite: Suite | None, seed: int | None, stage: str, jobs: int
) -> None:
    """Run what is stale of a study, or of every study of a suite, down to figures, tables and PDF. Kill it at any moment
    and run it again.

    \b
    Example:  knapsack run --profile smoke
              knapsack run --profile pocket --stage 03_finetune
    """
    from knapsack_lib.runner import run_study, starts_server

    for number in STOPPING:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, _stop)
    each = [steps_of(given, study, stage) for given, study in studies]
    if any(starts_server(study.profile) for _, study in studies):
        batches = each  # a server is started for one study
    else:
        batches = [[step for steps in each for step in steps]]
    status = 0
    for steps in batches:
        status = status or run_study(steps, jobs)
    if status or stage:
        sys.exit(status)
    for (_, study), steps in zip(studies, each, strict=True):
        _typeset_if_stale(study, steps[-1].key)
        paper = shown(study.published_root / "paper")
        print(f"nothing left to do: {shown(study.root)} and {paper} are up to date")
    if suite:
        from knapsack_lib.analysis.suites import report

        print(f"side by side: {shown(report(suite, seed))}")


def _typeset_if_stale(study: Run, analysis_key: str) -> None:
    from knapsack_lib.analysis.paper import missing_latex, typeset
    from knapsack_lib.analysis.report import tells_of

    if not tells_of(study.profile.family):
        return
    key = digest_of([analysis_key, path_digest(project_root() / "paper" / "main.tex")])
    mark, pdf = study.root / "latex" / "key", study.published_root / "paper" / "main.pdf"
    if pdf.exists() and mark.is_file() and mark.read_text(encoding="utf-8") == key:
        return
    if lacking := missing_latex():
        print(lacking)
        return
    print(f"typeset {shown(typeset(study))}")
    write_whole(mark, key)


def _stop(number: int, frame: FrameType | None) -> None:
    for another in STOPPING:  # steps are being stopped, which a second Ctrl-C must not cut short
        signal.signal(another, signal.SIG_IGN)
    raise KeyboardInterrupt


@click.command()
@of_studies("pocket")
def plan(studies: list[tuple[str, Run]], suite: Suite | None, seed: int | None) -> None:
    """The steps of a study, or of every study of a suite, in order, and which of them `knapsack run` would run.

    \b
    Example:  knapsack plan --profile pocket
    """
    from knapsack_lib.runner import stale_steps

    steps = [step for given, study in studies for step in steps_of(given, study, "")]
    stale = stale_steps(steps)
    for step in steps:
        click.echo(f"{'stale' if step in stale else 'done ':5}  {step.command}")


@click.command()
@of_a_run("pocket")
def clean(study: Run) -> None:
    """Remove the run of a profile (episodes, adapters, executed notebooks) and nothing else.

    \b
    Example:  knapsack clean --profile smoke
    """
    if study.root.is_symlink():  # what it leads to may be no run
        raise UserError(
            f"{shown(study.root)} is a link to {os.readlink(study.root)}; remove that folder and the link yourself"
        )
    with suppress(FileNotFoundError):
        shutil.rmtree(study.root)
    click.echo(f"removed {shown(study.root)}")


@click.command()
@of_studies(COMMITTED)
@click.option(
    "--from", "source", type=click.Choice(["results", "run"]), default="results", show_default=True
)
def figures(
    studies: list[tuple[str, Run]], suite: Suite | None, seed: int | None, source: str
) -> None:
    """Figures, tables and numbers again from the compact results of a study or a suite; `--from run` first gathers these
    from the run.

    \b
    Example:  knapsack figures --profile pocket-seeds
    """
    from knapsack_lib.analysis.report import build, collect
    from knapsack_lib.analysis.results import read_results

    if suite:
        from knapsack_lib.analysis import suites

        root = suite.root(seed)
        if source == "run":
            suites.report(suite, seed)
        made = suites.build(root / "results" / suite.name, root)
        click.echo(f"wrote {len(made)} files under {shown(root)}")
        return
    study = studies[0][1]
    results = collect(study) if source == "run" else read_results(study)
    written = build(results, study)
    click.echo(
        f"wrote {len(written)} files under {shown(study.published_root)} from: {results.stamp}"
    )


@click.command()
@of_a_run(COMMITTED)
def pdf(study: Run) -> None:
    """Typeset the paper from its figures, tables and numbers. Without LaTeX one line says what to install.

    \b
    Example:  knapsack pdf --profile pocket-seeds
    """
    from knapsack_lib.analysis.paper import missing_latex, typeset

    click.echo(missing_latex() or f"wrote {shown(typeset(study))}")


@click.command()
@of_a_run("pocket")
@click.option(
    "--committed",
    default=COMMITTED,
    show_default=True,
    help="profile whose results are in the repository",
)
@click.option("--table", is_flag=True, help="print the table of docs/results.md and nothing else")
def verify(study: Run, committed: str, table: bool) -> None:
    """Rebuild the committed results byte for byte, and hold this profile's run against them, claim by claim.

    \b
    Example:  knapsack verify --profile pocket
    """
    from knapsack_lib.analysis import verify as checks

    if table:
        click.echo(checks.values_table())
        return
    sys.exit(0 if checks.verify(load_profile(committed).run(), study) else 1)


@click.command()
@of_a_run("pocket")
@click.option(
    "--source", default="", help="another run's folder, or a store; the profile's run by default"
)
@click.option("--out", type=click.Path(path_type=Path), help="runs/<profile>/pages by default")
@click.option(
    "--every",
    default=10,
    show_default=True,
    type=click.IntRange(1),
    help="n-th episode of each cell; 1: all",
)
def pages(study: Run, source: str, out: Path | None, every: int) -> None:
    """The executed notebooks as HTML, and pages of episodes that need no kernel and no network.

    \b
    Example:  knapsack pages --profile pocket-seeds --every 1
    """
    if not source:
        _notebooks_as_html(study)
    from knapsack_lib.explorer import episodes_of
    from knapsack_lib.explorer.catalogue import open_catalogue
    from knapsack_lib.explorer.pages import write_pages

    catalogue = open_catalogue(*episodes_of(study, source))
    cells = catalogue.frame.groupby(
        ["run", "train", "runtime", "difficulty", "train_seed"], sort=False
    )
    places = [place for _, cell in cells for place in cell.index[::every]]
    index = write_pages(catalogue, places, out or study.root / "pages")
    click.echo(f"wrote {shown(index)}: {len(places)} of {len(catalogue)} episodes")


def _notebooks_as_html(study: Run) -> None:
    """Convert the executed notebooks that ran to their end."""
    unfinished = (".failed", ".part", ".prepared")
    found = sorted((study.root / "notebooks").glob("[0-9]*.ipynb"))
    books = [str(path) for path in found if not path.stem.endswith(unfinished)]
    if books:
        command = [
            sys.executable,
            "-m",
            "jupyter",
            "nbconvert",
            "--log-level",
            "ERROR",
            "--to",
            "html",
        ]
        subprocess.run([*command, *books], check=True)
        click.echo(f"wrote {shown(study.root / 'notebooks')}/*.html")
