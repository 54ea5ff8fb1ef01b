"""The runner's manners: what is stale runs and nothing else, lines, errors, signals, and what is left
behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from itertools import accumulate
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from common import comes_true, gone, is_running
from made import finish

from knapsack_lib.keys import sources_digest
from knapsack_lib.profiles import load_profile
from knapsack_lib.runner import _Child, _still_to_come, run_steps
from knapsack_lib.study import STAGES, graph, resolve

REPOSITORY = Path(__file__).resolve().parents[1]
FINISHED = {"01": 1, "02": 2, "03": 2, "04": 12, "05": 1}


def knapsack(*words, folder, **settings):
    """The command as a process, its lines in a pipe."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "CI": ""}
    return subprocess.Popen(
        [sys.executable, "-m", "knapsack_lib.cli", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        **settings,
    )


def run(project, *words):
    """Run a study to its end: (exit status, lines)."""
    with knapsack("run", "--profile", "smoke", *words, folder=project) as child:
        lines = child.stdout.read().splitlines()
    return child.returncode, lines


# What is run --------------------------------------------------------------------------------------

STAND_IN = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, os.environ["TESTS"])
from made import finish
from knapsack_lib.study import forget_key, resolve
words = sys.argv[3:]
given = {words[i + 1]: words[i + 2] for i, word in enumerate(words) if word == "-p"}
step = resolve(Path(sys.argv[1]).stem, {k: int(v) if v.isdigit() else v for k, v in given.items()})
assert step.output == Path(sys.argv[2]).absolute()
missing = [earlier.name for earlier in step.needs() if earlier.is_stale()]
assert not missing, missing
forget_key(step.output)
log = os.open("log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
os.write(log, f"+ {step.name} {os.getpid()}\\n".encode())
time.sleep(float(Path("seconds").read_text()))
if step.name in Path("failing").read_text().split():
    sys.exit(f"{step.name} cannot be made")
finish(step)
os.write(log, f"- {step.name}\\n".encode())
"""


@pytest.fixture
def study(project, monkeypatch):
    """A project in which papermill is a stand-in that takes no time: it checks that what a step needs
    is there, writes to `log`, and leaves what the step would leave."""
    sources_digest.cache_clear()  # the steps' processes work theirs out now
    for stage in STAGES:
        (project / "notebooks" / f"{stage}.ipynb").write_text("{}", encoding="utf-8")
    (project / "papermill").mkdir()
    (project / "papermill" / "__init__.py").touch()
    (project / "papermill" / "__main__.py").write_text(STAND_IN, encoding="utf-8")
    (project / "paper").mkdir()
    (project / "paper" / "main.tex").touch()
    (project / "failing").write_text("", encoding="utf-8")
    (project / "seconds").write_text("0.1", encoding="utf-8")
    monkeypatch.setenv("TESTS", str(REPOSITORY / "tests"))
    monkeypatch.setenv("PATH", "")  # no LaTeX
    return project


def events(study):
    log = study / "log"
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


def started(study):
    """Stage -> how many of its steps were started, since the last look."""
    found = [line.split()[1] for line in events(study) if line.startswith("+")]
    (study / "log").unlink(missing_ok=True)
    counts = {}
    for name in found:
        counts[name[:2]] = counts.get(name[:2], 0) + 1
    return counts


def test_a_study_runs_whole_and_a_second_run_finds_nothing_to_do(study):
    status, lines = run(study)
    assert status == 0 and started(study) == FINISHED, lines
    assert lines[0] == "[ 1/18] 01 generate  started"
    assert sum(" done in 0:" in line for line in lines) == 18
    assert lines[-1] == "nothing left to do: runs/smoke and runs/smoke/paper are up to date"
    assert "latexmk" in lines[-2]
    status, lines = run(study)
    assert status == 0 and started(study) == {} and len(lines) == 2


@pytest.mark.parametrize(
    ("setting", "value", "rerun"),
    [
        ("margin: 0.05", "margin: 0.06", {"05": 1}),
        ("max_new_tokens: 96", "max_new_tokens: 95", FINISHED),
        ("published: false", "published: false  # a comment", {}),
    ],
)
def test_a_changed_setting_runs_again_what_depends_on_it_and_nothing_else(
    study, setting, value, rerun
):
    for step in graph(load_profile("smoke").run()):
        finish(step)
    path = study / "params" / "smoke.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace(setting, value), encoding="utf-8")
    status, lines = run(study)
    assert status == 0 and started(study) == rerun, lines


def test_an_edited_notebook_runs_again_with_what_reads_it(study):
    for step in graph(load_profile("smoke").run()):
        finish(step)
    (study / "notebooks" / "03_finetune.ipynb").write_text("{ }", encoding="utf-8")
    assert run(study)[0] == 0 and started(study) == {"03": 2, "04": 8, "05": 1}


def test_one_stage_can_be_asked_for_with_what_it_needs(study):
    assert run(study, "--stage", "02_teacher")[0] == 0 and started(study) == {"01": 1, "02": 2}
    assert run(study, "--stage", "02_teacher")[0] == 0 and started(study) == {}
    assert run(study, "--stage", "03_finetune")[0] == 0 and started(study) == {"03": 2}


@pytest.mark.parametrize("jobs", [1, 3])
def test_no_more_steps_than_jobs_run_at_once_and_as_many_where_they_can(study, jobs):
    (study / "seconds").write_text(
        "3", encoding="utf-8"
    )  # starting one must take less, on a busy machine too
    for step in graph(load_profile("smoke").run())[:10]:
        finish(step)
    assert run(study, "--jobs", str(jobs))[0] == 0
    at_once = list(accumulate(1 if line.startswith("+") else -1 for line in events(study)))
    assert max(at_once) == jobs and at_once[-1] == 0


def test_after_a_failure_no_new_step_starts_and_one_line_says_what_failed(study):
    (study / "failing").write_text("02_teacher-reset", encoding="utf-8")
    status, lines = run(study, "--jobs", "2")
    assert status == 1
    assert [line for line in lines if "failed" in line] == [
        "[ 3/18] 02 teacher reset  failed: 02_teacher-reset cannot be made"
    ]
    names = {line.split()[1] for line in events(study)}
    assert {"02_teacher-reset", "02_teacher-persistent"} <= names
    assert names <= {"01_generate", *names_of("02_teacher"), "03_finetune-persistent"}
    assert not [line for line in lines if "up to date" in line]
    # What ran already came to its end; the same command continues from there.
    ended = {line.split()[1] for line in events(study) if line.startswith("-")}
    (study / "failing").write_text("", encoding="utf-8")
    (study / "log").unlink()
    assert run(study)[0] == 0
    again = {line.split()[1] for line in events(study)}
    assert "02_teacher-reset" in again and not again & ended


def names_of(stage):
    return {s.name for s in graph(load_profile("smoke").run()) if s.stage.name == stage}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_is_killed_at_any_moment_continues_with_the_same_command(study, number):
    (study / "seconds").write_text("0.3", encoding="utf-8")
    for _ in range(4):
        (study / "log").unlink(missing_ok=True)
        with knapsack("run", "--profile", "smoke", folder=study) as child:
            assert comes_true(lambda: len(events(study)) > 2)
            child.send_signal(number)
            child.stdout.read()
        pids = [line.split()[2] for line in events(study) if line.startswith("+")]
        assert gone(pids) and child.returncode == (-9 if number == signal.SIGKILL else 130)
    done = [step for step in graph(load_profile("smoke").run()) if not step.is_stale()]
    assert len(done) >= 4
    (study / "log").unlink(missing_ok=True)
    assert run(study)[0] == 0
    again = {line.split()[1] for line in events(study)}
    assert not again & {step.name for step in done} and len(again) == 18 - len(done)


# A kernel ------------------------------------------------------------------------------------------


def notebook(project, stage, *cells):
    values = {"profile": "smoke", "seed": None} | dict.fromkeys(STAGES[stage].words, "persistent")
    text = "\n".join(
        f"{name} = {'easy' if name == 'difficulty' else value!r}" for name, value in values.items()
    )
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    book.cells = [nbformat.v4.new_code_cell(cell) for cell in (text, *cells)]
    book.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(book, project / "notebooks" / f"{stage}.ipynb")


def run_first_stage(project, *words, **settings):
    words = ["run", "--profile", "smoke", "--stage", "01_generate", *words]
    return knapsack(*words, folder=project, **settings)


SLOW = """
from knapsack_lib.progress import progress
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
with open("pids", "w") as file:
    file.write(f"{os.getpid()} {child.pid}")
step = progress("sleep", "naps")
for done in range(600):
    step(done, 600)
    time.sleep(0.1)
"""


def pids_of_slow(project):
    found = (
        (project / "pids").read_text(encoding="utf-8").split()
        if (project / "pids").exists()
        else []
    )
    return found if len(found) == 2 else []


def test_the_runner_shows_lines_and_leaves_a_clean_notebook(project):
    notebook(project, "01_generate", "from knapsack_lib.progress import progress", "print(6 * 7)")
    with run_first_stage(project, "--seed", "3") as child:
        lines = child.stdout.read().splitlines()
    assert child.returncode == 0
    assert lines[0] == "[ 1/18] 01 generate  started"
    assert lines[-1].startswith("[ 1/18] 01 generate  done in 0:")
    folder = project / "runs" / "smoke-seed3" / "notebooks"
    assert sorted(p.name for p in folder.glob("[!.]*")) == ["01_generate.ipynb"]
    assert not list(folder.glob(".*.progress"))
    text = (folder / "01_generate.ipynb").read_text(encoding="utf-8")
    assert '"42\\n"' in text and str(project) not in text and str(REPOSITORY) not in text


def test_a_failed_notebook_is_one_line_and_never_the_output(project):
    notebook(project, "01_generate", "assert 1 > 2, 'gate not reached'")
    with run_first_stage(project) as child:
        lines = child.stdout.read().splitlines()
    assert child.returncode == 1
    copy = "runs/smoke/notebooks/01_generate.failed.ipynb"
    assert lines[1:] == [
        f"[ 1/18] 01 generate  failed: AssertionError: gate not reached (see {copy})"
    ]
    assert not (project / "runs/smoke/notebooks/01_generate.ipynb").exists()
    assert '"gate not reached"' in (project / copy).read_text(encoding="utf-8")


def test_a_failure_is_one_where_whoever_started_the_run_ignores_its_children(project):
    notebook(project, "01_generate", "assert 1 > 2, 'gate not reached'")
    ignoring = {"preexec_fn": lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)}
    with run_first_stage(project, **ignoring) as child:
        lines = child.stdout.read().splitlines()
    assert child.returncode == 1 and "failed: AssertionError: gate not reached" in lines[-1]


def test_a_users_mistake_in_a_notebook_is_shown_as_its_line_alone(project):
    text = "from knapsack_lib.errors import UserError\nraise UserError('raise limits.turns')"
    notebook(project, "01_generate", text)
    with run_first_stage(project) as child:
        assert "failed: raise limits.turns (see runs/smoke" in child.stdout.read()


def test_a_dead_kernel_is_a_failure(project):
    notebook(project, "01_generate", "import os\nos.kill(os.getpid(), 9)")
    with run_first_stage(project) as child:
        lines = child.stdout.read().splitlines()
    assert child.returncode == 1
    assert "failed: " in lines[-1] and "Kernel died" in lines[-1]
    assert not (project / "runs/smoke/notebooks/01_generate.ipynb").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_kernel_and_its_children(project, number):
    notebook(project, "01_generate", SLOW)
    with run_first_stage(project, start_new_session=True) as child:
        assert comes_true(lambda: pids_of_slow(project), 60)
        pids = pids_of_slow(project)
        child.send_signal(number)
        child.send_signal(number)  # whoever is impatient leaves nothing behind either
        assert child.wait(60) == 130  # how soon: make bench
        assert gone(pids)
        shown = child.stdout.read()
    assert "stopped; what had ended is saved, the same command continues from there" in shown
    assert "(papermill notebooks/01_generate.ipynb -p profile smoke)" in shown


def test_a_kernel_ends_when_the_runner_is_killed_and_the_same_command_continues(project):
    notebook(project, "01_generate", SLOW)
    with run_first_stage(project) as child:
        assert comes_true(lambda: pids_of_slow(project), 60)
        (kernel, _) = pids_of_slow(project)
        child.kill()
        child.stdout.read()
    assert comes_true(lambda: not is_running(kernel))
    gone(pids_of_slow(project))  # the notebook's own child is nobody's
    notebook(project, "01_generate", "print(6 * 7)")
    with run_first_stage(project) as child:
        lines = child.stdout.read()
    assert child.returncode == 0, lines


def test_steps_end_when_whoever_started_the_run_is_killed(project):
    """As when make is killed: the runner is in a process of its own, and would run on unwatched."""
    notebook(project, "01_generate", SLOW)
    words = ["run", "--profile", "smoke", "--stage", "01_generate"]
    command = [sys.executable, "-m", "knapsack_lib.cli", *words]
    script = f"import subprocess; subprocess.run({command!r})"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    make = subprocess.Popen(
        [sys.executable, "-c", script], cwd=project, env=environment, stdout=subprocess.DEVNULL
    )
    assert comes_true(lambda: pids_of_slow(project), 60)
    pids = pids_of_slow(project)
    make.kill()
    make.wait()
    assert gone(pids)


NOHUP = """
import signal, subprocess, sys
signal.signal(signal.SIGHUP, signal.SIG_IGN)
subprocess.Popen(sys.argv[1:])
"""


def test_a_run_that_is_to_outlive_its_shell_does(project):
    notebook(project, "01_generate", "import time\ntime.sleep(4)\nopen('end', 'w').close()")
    words = ["run", "--profile", "smoke", "--stage", "01_generate"]
    command = [sys.executable, "-c", NOHUP, sys.executable, "-m", "knapsack_lib.cli", *words]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run(command, cwd=project, env=environment, stdout=subprocess.DEVNULL, check=True)
    assert comes_true((project / "end").exists, 90)


def test_a_step_that_lacks_what_it_needs_is_one_line_and_the_others_come_to_their_end(
    study, capsys
):
    steps = graph(load_profile("smoke").run())
    assert run_steps([steps[-2]], jobs=2) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(
        f"{steps[-2].name}: 04_cross_eval needs runs/smoke/tasks/train, which is"
    )


def test_every_step_ends_when_nobody_can_read_their_lines_any_more(study, monkeypatch):
    """As in `knapsack run | head`: steps are in sessions of their own."""
    (study / "seconds").write_text("60", encoding="utf-8")
    steps = graph(load_profile("smoke").run())
    finish(steps[0])
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    lines = []

    def closed(self, text):
        lines.append(text)
        if len(lines) > 2:
            raise BrokenPipeError

    def poll(self, waiting):
        assert self._process.poll() is None
        if len(events(study)) == 2:
            self.say("more")

    monkeypatch.setattr(_Child, "say", closed)
    monkeypatch.setattr(_Child, "poll", poll)
    with pytest.raises(BrokenPipeError):
        run_steps(steps[1:3], jobs=2)
    pids = [line.split()[2] for line in events(study)]
    assert len(pids) == 2 and gone(pids)


# Lines --------------------------------------------------------------------------------------------


@pytest.fixture
def child(project, monkeypatch):
    """A step under way, of which no process was started, and the lines about it."""
    for stage in STAGES:
        (project / "notebooks" / f"{stage}.ipynb").write_text("{}", encoding="utf-8")
    monkeypatch.setattr(subprocess, "Popen", lambda *words, **settings: None)
    step = resolve("02_teacher", {"runtime": "reset"})
    finish(resolve("01_generate", {}))
    said = []
    monkeypatch.setattr(_Child, "say", lambda self, text: said.append(text))
    monkeypatch.delenv("CI", raising=False)  # a build's log shows no progress
    whole = graph(step.run)
    return (_Child(step, {}), whole[whole.index(step) + 2 :]), said


def test_progress_lines_show_how_far_and_what_follows(child, monkeypatch):
    monkeypatch.setenv("CI", "true")
    (step, waiting), said = child
    counts = {"tokens": 81_234, "usd": 0.25, "errors": 1}
    play = {"label": "play", "unit": "episodes", "total": 40, "counts": counts}
    step._show(json.dumps({**play, "done": 40}), waiting)
    assert said == ["started"]  # of the rest a log of a build would be full
    monkeypatch.delenv("CI")
    for done in (0, 1, 28, 29, 40):
        step._show(
            json.dumps({**play, "done": done - 1}) + "\n" + json.dumps({**play, "done": done}),
            waiting,
        )
    assert len(said) == 3  # at 70% and at the end; 1 and 29 of 40 pass no tenth
    assert said[1].startswith("███████░░░  70% of 40 episodes · 0:00 left · ")
    assert said[1].endswith("/s · 81.2 k tokens · $0.25 · 1 error · then 03, 04 x12, 05")
    assert "left" not in said[2]


def test_what_is_still_to_come_is_counted_by_stage(study):
    whole = graph(load_profile("smoke").run())
    assert _still_to_come(whole[1:]) == "02 x2, 03 x2, 04 x12, 05"
    assert _still_to_come([]) == ""


def test_half_a_line_of_progress_waits_for_its_other_half(child):
    (step, waiting), said = child
    step._process = SimpleNamespace(poll=lambda: None)
    line = json.dumps({"label": "play", "unit": "episodes", "done": 4, "total": 4, "counts": {}})
    with open(step._feed, "a", encoding="utf-8") as feed:
        feed.write(line[:20])
        feed.flush()
        assert step.poll(waiting) is None and said == ["started"]
        feed.write(line[20:] + "\n" + line[:9])
    assert step.poll(waiting) is None and len(said) == 2


def test_a_line_names_the_step_as_its_command_does(study):
    profile = study / "params" / "smoke.yaml"
    profile.write_text(
        profile.read_text(encoding="utf-8").replace("train_seeds: 1", "train_seeds: 2"),
        encoding="utf-8",
    )
    status, lines = run(study)
    assert status == 0
    pattern = re.compile(
        r"\[..?/28\] 0\d [a-z-]+( (persistent|reset|base|easy|medium))*( train 2)?  "
    )
    assert all(pattern.match(line) for line in lines[:-2])
    assert any("04 cross-eval reset persistent easy train 2  started" in line for line in lines)
