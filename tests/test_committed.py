"""What is committed of the pocket-seeds run agrees with itself: `make figures` gives the same bytes
from its episodes."""

import json
import os
import shutil
import subprocess
import sys

from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.gates import gates
from knapsack_lib.analysis.results import read_results
from knapsack_lib.analysis.verify import MEASURES, expected, readme_table
from knapsack_lib.families.knapsack import World, make_tasks
from knapsack_lib.files import project_root
from knapsack_lib.interpreter import Interpreter, Pool, persistence_named
from knapsack_lib.profiles import load_profile
from knapsack_lib.prompts import observation_text

ROOT = project_root()


def test_figures_tables_and_numbers_are_rebuilt_byte_for_byte(tmp_path):
    for name in ("params", "notebooks", "results"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "paper").mkdir()
    shutil.copyfile(ROOT / "paper" / "main.tex", tmp_path / "paper" / "main.tex")
    environment = {**os.environ, "KNAPSACK_ROOT": str(tmp_path), "PYTHONHASHSEED": "11"}
    command = [sys.executable, "-m", "knapsack_lib.analysis", "--profile", "pocket-seeds"]
    subprocess.run(command, check=True, env=environment, cwd=tmp_path, capture_output=True)
    compared = 0
    for folder in ("figures", "paper/tables"):
        names = sorted(p.name for p in (ROOT / folder).iterdir())
        assert names == sorted(p.name for p in (tmp_path / folder).iterdir())
        for name in names:
            assert (ROOT / folder / name).read_bytes() == (tmp_path / folder / name).read_bytes(), (
                f"{folder}/{name}"
            )
            compared += 1
    assert (ROOT / "paper/numbers.tex").read_bytes() == (
        tmp_path / "paper/numbers.tex"
    ).read_bytes()
    assert compared >= 15


def test_the_committed_run_holds_its_gates_on_enough_tasks():
    profile = load_profile("pocket-seeds")
    results = read_results(profile.run())
    found = gates(results.cells, results.expert, profile.gates)
    assert len(found) == 24 and all(gate.holds for gate in found), "\n".join(map(str, found))
    counts = results.cells.groupby(["train", "runtime", "difficulty", "train_seed"]).size()
    assert len(counts) == 4 + 8 * 3
    assert (
        counts.xs("easy", level="difficulty").min() >= 100
        and counts.xs("medium", level="difficulty").min() >= 50
    )


def test_committed_blocks_give_the_committed_observations_again():
    """Every fiftieth episode, block for block, through today's interpreter, world and prompts."""
    profile = load_profile("pocket-seeds")
    results = read_results(profile.run())
    tasks = {
        task.task_id: task
        for size in ("easy", "medium")
        for task in make_tasks(
            profile.difficulties[size], getattr(profile.tasks, size), seed=results.seed, split=size
        )
    }
    steps = 0
    with Pool(profile.limits, after_kill=profile.interpreter.after_kill) as pool:
        for episode in results.episodes[::50]:
            world, seed = World(tasks[episode.task_id]), episode.seed % 2**31
            with Interpreter(
                pool, persistence_named(episode.runtime), world.tools, seed
            ) as interpreter:
                for turn in episode.turns:
                    if turn.code is not None:
                        seen = interpreter.run(turn.code)
                        assert turn.observation in (None, observation_text(seen, profile.prompt)), (
                            episode.episode_id
                        )
                        assert (turn.stdout, turn.bindings) == (seen.stdout, list(seen.bindings))
                        steps += 1
            assert world.result() == episode.result
    assert steps > 300


def test_the_committed_run_names_its_settings_and_no_machine():
    profile = load_profile("pocket-seeds")
    text = (
        profile.run().published_root / "results" / "pocket-seeds" / "provenance.json"
    ).read_text()
    assert profile.digest() in text, (
        "params/pocket.yaml changed after the run; run make paper PROFILE=pocket-seeds"
    )
    assert len(json.loads(text)) > 3 and str(ROOT) not in text and "/home/" not in text


def test_what_is_committed_lies_within_its_own_tolerances():
    command = [sys.executable, "-m", "knapsack_lib.analysis.verify", "--profile", "pocket-seeds"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "equal the committed ones to the byte" in done.stdout and "DIFFERS" not in done.stdout


def test_the_table_in_the_readme_is_the_one_that_is_verified():
    assert readme_table() in (ROOT / "README.md").read_text()
    evidence = Evidence(read_results(load_profile("pocket-seeds").run()))
    for line in expected():
        for difficulty, value in line.values.items():
            assert line.shown(MEASURES[line.key](evidence, difficulty)) == line.shown(value), (
                line.key,
                difficulty,
            )
