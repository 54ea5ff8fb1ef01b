"""Where an output comes from: the same in every checkout, without a machine or a clock."""

import json
import subprocess
import time
from pathlib import Path

from knapsack_lib import progress as progress_module
from knapsack_lib.profiles import load_profile
from knapsack_lib.provenance import environment_stamp, provenance, write_provenance

REPOSITORY = Path(__file__).resolve().parents[1]


def test_provenance_holds_no_place_of_this_machine_and_no_clock(project):
    run = load_profile("smoke").run()
    run.tasks("train").mkdir(parents=True)
    (run.tasks("train") / "0.json").write_text("{}", encoding="utf-8")
    inputs = {"tasks": run.tasks("train"), "package": Path(progress_module.__file__)}
    write_provenance(run, project / "a.json", inputs)
    time.sleep(0.01)
    write_provenance(run, project / "b.json", inputs)
    text = (project / "a.json").read_text(encoding="utf-8")
    assert text == (project / "b.json").read_text(encoding="utf-8")
    assert str(project) not in text and str(REPOSITORY) not in text
    assert json.loads(text)["inputs"]["package"]["path"] == "knapsack_lib/progress.py"
    assert json.loads(text)["profile_digest"] == run.profile.digest()


def test_outside_a_checkout_the_commit_is_unknown(project, monkeypatch):
    run = load_profile("smoke").run()
    assert provenance(run, {})["commit"] == "unknown"
    monkeypatch.setenv("PATH", "")
    assert provenance(run, {})["dirty"] == "unknown"


def test_a_downloaded_copy_in_a_checkout_of_something_else_is_in_none(project, monkeypatch):
    def git(*words):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", str(project.parent), *who, *words], check=True)

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "of something else")
    inner = project.parent / "inner"
    project.rename(inner)
    monkeypatch.setenv("KNAPSACK_ROOT", str(inner))
    made = provenance(load_profile("smoke").run(), {})
    assert (made["commit"], made["dirty"]) == ("unknown", "unknown")


def test_a_hook_of_another_checkout_does_not_lend_its_commit(project, monkeypatch):
    another = project / "another"
    subprocess.run(["git", "init", "-q", str(another)], check=True)
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    commit = ["commit", "-q", "--allow-empty", "-m", "another"]
    subprocess.run(["git", "-C", str(another), *who, *commit], check=True)
    monkeypatch.setenv("GIT_DIR", str(another / ".git"))
    assert provenance(load_profile("smoke").run(), {})["commit"] == "unknown"


def test_in_a_checkout_the_commit_and_changed_sources_are_recorded(project):
    def git(*words):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        return subprocess.run(
            ["git", *who, *words], cwd=project, check=True, capture_output=True, encoding="utf-8"
        ).stdout

    git("init", "-q")
    git("add", "params")
    git("commit", "-qm", "one")
    run = load_profile("smoke").run()
    (project / "figures").mkdir()
    (project / "figures" / "made.csv").write_text(
        "an output is no change of a source", encoding="utf-8"
    )
    made = provenance(run, {})
    assert (made["commit"], made["dirty"]) == (git("rev-parse", "HEAD").strip(), False)
    with open(project / "params" / "smoke.yaml", "a", encoding="utf-8") as file:
        file.write("# touched\n")
    assert provenance(run, {})["dirty"] is True


def test_the_stamp_names_profile_and_packages(project, capsys):
    stamp = environment_stamp(load_profile("smoke"))
    shown = capsys.readouterr().out
    assert stamp["packages"]["numpy"] in shown and "profile smoke" in shown
