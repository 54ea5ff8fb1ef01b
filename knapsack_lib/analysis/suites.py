"""The studies of a suite side by side: what each cell of each study came to, and each study's verdicts.

    report(load_suite("families"))      # gathers the studies' results, and builds from what was gathered
    build(folder, root)                 # the same figure and tables again from the compact files alone
    told = read_told(folder)            # what they are drawn from, as told.cells, told.verdicts and told.gates

results/<suite>/ holds episodes.csv.gz (a row per episode, the expert's too), verdicts.csv (a row per study and claim),
gates.csv (a row per study and gate) and provenance.json. The figure and the tables are drawn from these.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from knapsack_lib.analysis import style
from knapsack_lib.analysis.claims import CLAIMS, claims
from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.figures.suites import draw_suite
from knapsack_lib.analysis.gates import gates
from knapsack_lib.analysis.latex import escaped, tabular
from knapsack_lib.analysis.metrics import CELL, COLUMNS, typed
from knapsack_lib.analysis.output import read_csv, write_csv, write_tex
from knapsack_lib.analysis.quantities import printed
from knapsack_lib.analysis.results import Results, read_results
from knapsack_lib.analysis.summary import cell_summary
from knapsack_lib.errors import UserError
from knapsack_lib.files import digest_of, shown, write_whole
from knapsack_lib.profiles import REACT, RUNTIMES, Analysis, Gates, Run, Suite

__all__ = ["Told", "build", "markdown", "read_told", "report", "side_by_side", "verdicts_by_study"]

# Heading -> the cell whose score a column of the table shows
SCORES = {
    "p→p": ("persistent", "persistent"),
    "p→r": ("persistent", "reset"),
    "r→r": ("reset", "reset"),
    "r→p": ("reset", "persistent"),
    "ReAct": (REACT, REACT),
}


def report(suite: Suite, seed: int | None = None) -> Path:
    """Gather the studies of a suite and write its figure and tables. Returns the folder that they are in. Raises UserError
    naming the command for a study that was not played."""
    root = suite.root(seed)
    folder = root / "results" / suite.name
    _gather(suite.runs(seed), folder, suite.name)
    build(folder, root)
    return root


def _gather(runs: list[Run], folder: Path, name: str) -> None:
    """The compact files of a suite. The same runs give the same bytes."""
    episodes, verdicts, held, made = [], [], [], {}
    for run in runs:
        results = read_results(run)
        study = {"study": run.profile.name, "family": run.profile.family}
        rows = pd.concat([results.cells, results.expert.assign(train="expert")], ignore_index=True)
        shared = [column for column in (*COLUMNS, "seconds") if column in rows]
        episodes.append(rows[shared].assign(**study))
        found = claims(Evidence(results)).drop(columns=["paper", "rule"])
        verdicts.append(found.assign(key=list(CLAIMS), **study))
        held += [
            {
                **study,
                "cell": gate.cell,
                "what": gate.what,
                "value": gate.value,
                "bound": gate.bound,
                "holds": gate.holds,
            }
            for gate in gates(results.cells, results.expert, _gates(results))
        ]
        made[run.profile.name] = {
            "family": run.profile.family,
            "profile_digest": results.provenance["profile_digest"],
            "seed": results.seed,
            "episodes": results.digest,
            "training": results.training,
            "settings": results.settings,
        }
    stamp = f"suite {name}, studies {digest_of({k: v['episodes'] for k, v in made.items()})}"
    csv = pd.concat(episodes, ignore_index=True).to_csv(index=False, lineterminator="\n")
    write_whole(folder / "episodes.csv.gz", gzip.compress(csv.encode(), 9, mtime=0))
    write_csv(pd.concat(verdicts, ignore_index=True), folder / "verdicts.csv", stamp)
    write_csv(pd.DataFrame(held), folder / "gates.csv", stamp)
    text = json.dumps(
        {"stamp": stamp, "order": list(made), "studies": made}, indent=1, sort_keys=True
    )
    write_whole(folder / "provenance.json", text + "\n")


def _gates(results: Results) -> Gates:
    return Gates(**results.settings["gates"])


@dataclass(frozen=True)
class Told:
    """What the compact files of a suite say. `cells`: a row per study and cell (summary.cell_summary), with `family` and
    the expert's mean score on the same tasks. `verdicts`: a row per study and claim. `gates`: a row per study and gate."""

    stamp: str
    cells: pd.DataFrame
    verdicts: pd.DataFrame
    gates: pd.DataFrame


def read_told(folder: Path) -> Told:
    """Read results/<suite>/. Raises UserError where a file is missing or damaged."""
    try:
        made = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
        return Told(
            made["stamp"],
            _cells(folder, made),
            read_csv(folder / "verdicts.csv"),
            read_csv(folder / "gates.csv"),
        )
    except (OSError, EOFError, ValueError, KeyError, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{shown(folder)} is not whole ({reason}); make it again: "
            f"knapsack run --profile {folder.name}"
        ) from None


def build(folder: Path, root: Path) -> list[Path]:
    """figures/<suite>.*, paper/tables/<suite>.* and <suite>_claims.* under `root`, from the compact files in `folder`. Raises
    UserError where one is missing or damaged."""
    name, told = folder.name, read_told(folder)
    table, tables = side_by_side(told.cells, told.gates), root / "paper" / "tables"
    return [
        *style.save(draw_suite, told.cells, root / "figures" / name, told.stamp),
        write_csv(table, tables / f"{name}.csv", told.stamp),
        write_tex(_tex(table), tables / f"{name}.tex", told.stamp),
        write_csv(told.verdicts, tables / f"{name}_claims.csv", told.stamp),
        write_tex(_claims_tex(told.verdicts), tables / f"{name}_claims.tex", told.stamp),
    ]


def _cells(folder: Path, made: dict[str, Any]) -> pd.DataFrame:
    text = gzip.decompress((folder / "episodes.csv.gz").read_bytes()).decode()
    empty = {"first_missing_turn": [""], "recovered": [""], "seconds": [""]}
    rows = typed(pd.read_csv(io.StringIO(text), keep_default_na=False, na_values=empty))
    frames = []
    for study in made["order"]:
        about = made["studies"][study]
        mine = rows[rows.study == study]
        expert = mine[mine.train == "expert"].groupby("difficulty").score.mean()
        cells = cell_summary(
            mine[mine.train != "expert"], Analysis(**about["settings"]["analysis"]), about["seed"]
        )
        frames.append(
            cells.assign(
                study=study,
                family=about["family"],
                expert=cells.difficulty.map(expert),
            )
        )
    return pd.concat(frames, ignore_index=True)


def side_by_side(cells: pd.DataFrame, held: pd.DataFrame) -> pd.DataFrame:
    """A row per study and difficulty: the expert's score, those of the four cells and of the ReAct arm, the share of
    persistent→reset episodes with a missing variable, tokens of reset→reset and reset→persistent over those of
    persistent→persistent, and how many of the study's gates hold."""
    rows = []
    for (study, difficulty), here in cells.groupby(["study", "difficulty"], sort=False):
        at = here.set_index(CELL[:2])
        tokens = {
            (train, runtime): at.tokens.get((train, runtime), float("nan"))
            for train in RUNTIMES
            for runtime in RUNTIMES
        }
        own = held[held.study == study]
        rows.append(
            {
                "family": here.family.iloc[0],
                "study": study,
                "difficulty": difficulty,
                "n": int(here.n.max()),
                "expert": here.expert.iloc[0],
                **{name: at.score.get(cell, float("nan")) for name, cell in SCORES.items()},
                "missing p→r": at.missing_variable.get(("persistent", "reset"), float("nan")),
                "tokens r→r": tokens["reset", "reset"] / tokens["persistent", "persistent"],
                "tokens r→p": tokens["reset", "persistent"] / tokens["persistent", "persistent"],
                "gates": f"{int(own.holds.sum())} of {len(own)}",
            }
        )
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    """The table for a page."""
    columns = [name for name in table if name != "study"]
    lines = [
        columns,
        ["---"] * len(columns),
        *(_cells_of(row, columns) for _, row in table.iterrows()),
    ]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _tex(table: pd.DataFrame) -> str:
    columns = [name for name in table if name not in ("study", "difficulty")]
    groups = [
        (
            escaped(difficulty),
            [list(map(escaped, _cells_of(row, columns))) for _, row in rows.iterrows()],
        )
        for difficulty, rows in table.groupby("difficulty", sort=False)
    ]
    return tabular("l" + "r" * (len(columns) - 1), [escaped(name) for name in columns], groups)


def _cells_of(row: pd.Series, columns: list[str]) -> list[str]:
    forms = {"missing p→r": ".0%", "n": "d"}
    return [printed(row[name], forms.get(name, ".2f")) for name in columns]


def verdicts_by_study(verdicts: pd.DataFrame) -> pd.DataFrame:
    """A row per claim, in its words, and a column per study."""
    wide = verdicts.pivot(index="key", columns="study", values="verdict").reindex(list(CLAIMS))
    wide.index = pd.Index([CLAIMS[key].text for key in wide.index], name="claim")
    return wide[list(verdicts.study.unique())]


def _claims_tex(verdicts: pd.DataFrame) -> str:
    wide = verdicts_by_study(verdicts)
    families = verdicts.drop_duplicates("study").set_index("study").family
    rows = [[escaped(str(cell)) for cell in row] for row in wide.itertuples()]
    layout = r">{\raggedright\arraybackslash}p{0.3\linewidth}" + (
        rf">{{\raggedright\arraybackslash}}p{{{0.6 / len(wide.columns):.3f}\linewidth}}"
        * len(wide.columns)
    )
    names = ["claim", *(escaped(families[study]) for study in wide)]
    return tabular(layout, names, [("", rows)])
