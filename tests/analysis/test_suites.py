"""A suite of studies: read and refused in one line, gathered, and built again from its compact files
alone. And the ReAct arm in figures and tables."""

import gzip
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml
from analysis.conftest import new_project, play
from click.testing import CliRunner
from common import one_line

from knapsack_lib.analysis.claims import claims
from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.figures import FIGURES
from knapsack_lib.analysis.report import collect
from knapsack_lib.analysis.suites import build as build_suite
from knapsack_lib.analysis.suites import report
from knapsack_lib.analysis.tables import TABLES
from knapsack_lib.cli import knapsack
from knapsack_lib.errors import UserError
from knapsack_lib.files import project_root
from knapsack_lib.profiles import REACT, load_profile, load_suite
from knapsack_lib.study import graph

REPOSITORY = Path(__file__).parents[2]
MEMBER = "like: twice\nabout: one of two\nreact: {react}\nuntrained: {react}\n"
TASKS = 8


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with the suite `both`, of two studies that have not been played."""
    folder = new_project(tmp_path_factory.mktemp("suite"))
    for name, react in (("calls", "true"), ("blocks", "false")):
        text = MEMBER.format(react=react)
        (folder / "params" / f"{name}.yaml").write_text(text, encoding="utf-8")
    text = "about: two studies\nstudies: [calls, blocks]\n"
    (folder / "params" / "both.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def suite(project, tmp_path, monkeypatch):
    """The suite, in a project to write to."""
    folder = shutil.copytree(project, tmp_path / "project")
    monkeypatch.setenv("KNAPSACK_ROOT", str(folder))
    return load_suite("both")


@pytest.fixture(scope="module")
def played(project, tmp_path_factory):
    """Both studies played, gathered and told of side by side: .told, .results and .evidence by study."""
    folder = shutil.copytree(project, tmp_path_factory.mktemp("played") / "project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KNAPSACK_ROOT", str(folder))
        runs = load_suite("both").runs()
        results = {run.profile.name: collect(play(run)) for run in runs}
        told = report(load_suite("both"))
    evidence = {name: Evidence(one) for name, one in results.items()}
    return SimpleNamespace(folder=folder, told=told, results=results, evidence=evidence)


@pytest.fixture
def told(played, monkeypatch):
    monkeypatch.setenv("KNAPSACK_ROOT", str(played.folder))
    return played.told


def test_a_suite_is_no_profile_and_a_profile_no_suite(suite):
    assert load_suite("smoke") is None
    with pytest.raises(
        UserError, match=r"both\.yaml is a suite of studies.*: calls, blocks"
    ) as caught:
        load_profile("both")
    one_line(caught)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("about: x\nstudies: []\n", "studies"),
        ("about: x\nstudies: [smoke, smoke]\n", "names smoke twice"),
        ("about: x\nstudies: [smoke]\nfamily: knapsack\n", "family"),
        ("studies: [smoke]\n", "about"),
    ],
)
def test_a_bad_suite_is_one_line(suite, text, said):
    (project_root() / "params" / "odd.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=said) as caught:
        load_suite("odd")
    one_line(caught)


def test_a_study_that_does_not_exist_or_was_not_played_is_named(suite):
    with pytest.raises(UserError, match="knapsack run --profile calls") as caught:
        report(suite)
    one_line(caught)
    lost = suite.model_copy(update={"studies": ("calls", "nowhere")})
    with pytest.raises(UserError, match="nowhere") as caught:
        lost.runs()
    one_line(caught)


def test_a_table_row_is_what_each_studys_own_summary_says(told, played):
    table = pd.read_csv(told / "paper" / "tables" / "both.csv", comment="#")
    assert list(table.study.unique()) == ["calls", "blocks"] and len(table) == 4
    for row in table.to_dict("records"):
        evidence, size = played.evidence[row["study"]], row["difficulty"]
        cell = {pair: evidence.cell(*pair, size) for pair in PAIRS}
        assert row["p→r"] == pytest.approx(cell["persistent", "reset"].score, abs=1e-5)
        assert row["r→r"] == pytest.approx(cell["reset", "reset"].score, rel=1e-5)
        assert row["missing p→r"] == cell["persistent", "reset"].missing_variable == 1
        ratio = cell["reset", "reset"].tokens / cell["persistent", "persistent"].tokens
        assert row["tokens r→r"] == pytest.approx(ratio, rel=1e-5)
        assert row["expert"] == pytest.approx(evidence.expert(size), rel=1e-5)
        if row["study"] == "calls":
            mine = evidence.cell(REACT, REACT, size).score
            assert row["ReAct"] == pytest.approx(mine, rel=1e-5)
        else:
            assert pd.isna(row["ReAct"])


PAIRS = [(a, b) for a in ("persistent", "reset") for b in ("persistent", "reset")]


def test_every_studys_verdicts_stand_side_by_side(told, played):
    verdicts = pd.read_csv(told / "paper" / "tables" / "both_claims.csv", comment="#")
    for study, evidence in played.evidence.items():
        mine = verdicts[verdicts.study == study]
        assert list(mine.verdict) == list(claims(evidence).verdict)
    text = (told / "paper" / "tables" / "both_claims.tex").read_text(encoding="utf-8")
    assert text.count("supported") >= 4


def test_figure_and_tables_are_built_again_from_the_compact_files_alone(told, digests, tmp_path):
    folder = told / "results" / "both"
    again = tmp_path / "again" / "results" / "both"
    shutil.copytree(folder, again)
    build_suite(again, again.parents[1])
    for part in ("figures", "paper"):
        assert digests(told / part) == digests(again.parents[1] / part)


def test_notebook_08_tells_of_a_suites_compact_results(told, tmp_path):
    notebooks = project_root() / "notebooks"
    shutil.copytree(REPOSITORY / "notebooks", notebooks, dirs_exist_ok=True)
    words = ["-p", "profile", "calls", "-p", "source", str(told / "results" / "both")]
    done = subprocess.run(
        [sys.executable, "-m", "papermill", "notebooks/08_families.ipynb", *words],
        cwd=project_root(),
        env={**os.environ, "KNAPSACK_ROOT": str(project_root())},
        capture_output=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (made,) = (project_root() / "runs" / "calls").glob("source-*")
    for part in ("figures", "paper"):
        for path in (told / part).rglob("both*"):
            assert path.read_bytes() == (made / path.relative_to(told)).read_bytes(), path.name
    lacking = subprocess.run(
        [
            sys.executable,
            "-m",
            "papermill",
            "notebooks/08_families.ipynb",
            "-p",
            "profile",
            "calls",
        ],
        cwd=project_root(),
        env={**os.environ, "KNAPSACK_ROOT": str(project_root())},
        capture_output=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
    )
    assert lacking.returncode and "knapsack run --profile families" in lacking.stderr


def test_the_same_runs_are_gathered_into_the_same_bytes(told, digests):
    first = digests(told / "results")
    assert report(load_suite("both")) == told and digests(told / "results") == first


def test_damage_to_a_compact_file_is_one_line(told):
    folder = told / "results" / "both"
    for name in ("episodes.csv.gz", "provenance.json", "verdicts.csv"):
        kept = (folder / name).read_bytes()
        (folder / name).write_bytes(kept[: len(kept) // 2] if name != "verdicts.csv" else b"")
        with pytest.raises(UserError, match="is not whole .*knapsack run --profile both") as caught:
            build_suite(folder, told)
        one_line(caught)
        (folder / name).write_bytes(kept)


def test_every_episode_is_in_the_compact_file(told, played):
    packed = gzip.decompress((told / "results" / "both" / "episodes.csv.gz").read_bytes())
    rows = pd.read_csv(io.BytesIO(packed))
    for study, results in played.results.items():
        mine = rows[rows.study == study]
        assert len(mine) == len(results.cells) + len(results.expert)
        assert mine.score.sum() == pytest.approx(
            results.cells.score.sum() + results.expert.score.sum()
        )


def test_the_plan_of_a_suite_lists_the_steps_of_all_its_studies(suite):
    said = CliRunner().invoke(knapsack, ["plan", "--profile", "both"])
    steps = [step for name in suite.studies for step in graph(load_profile(name).run(), name)]
    assert said.exit_code == 0 and said.output.count("papermill") == len(steps)
    assert "-p profile calls" in said.output and "-p runtime react" in said.output


# The ReAct arm --------------------------------------------------------------------------------------


def test_the_arms_rows_are_in_every_figure_and_table_and_change_no_other(told, played, tmp_path):
    for name, (data, draw) in FIGURES.items():
        rows, plain = (data(played.evidence[study]) for study in ("calls", "blocks"))
        assert draw(rows).axes, name
        if "runtime" in rows:
            mine = rows[(rows.runtime == REACT) | rows.train.isin([REACT, "base"])]
            assert len(mine) and len(rows) - len(mine) == len(plain), name
    for name, (data, _) in TABLES.items():
        rows = data(played.evidence["calls"])
        if name in ("main", "seeds", "teacher", "failures"):
            assert REACT in set(rows.runtime), name


def test_a_suite_of_the_repository_names_profiles_that_load():
    folder = Path(__file__).resolve().parents[2] / "params"
    for path in sorted(folder.glob("*.yaml")):
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        if "studies" in data:
            assert [load_profile(str(folder / f"{n}.yaml")).name for n in data["studies"]]
