"""`papermill notebooks/X.ipynb -p a b`, exactly as typed: on a terminal, piped, without an input;
and left alone else."""

from __future__ import annotations

import base64
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from importlib.metadata import version
from pathlib import Path

import click
import nbformat
import papermill
import papermill.cli
import psutil
import pytest
from made import leave_first_stage, leave_store

from knapsack_lib.errors import UserError
from knapsack_lib.machine import cores
from knapsack_lib.papermill_default import OPTIONS, with_default_output
from knapsack_lib.profiles import load_profile
from knapsack_lib.study import resolve

REPOSITORY = Path(__file__).resolve().parents[1]
PAPERMILL = str(Path(sys.executable).with_name("papermill"))
CELL = "notebooks/04_cross_eval.ipynb"
MADE = "runs/pocket/notebooks/04_cross_eval-base-reset-easy.ipynb"
TYPED = [CELL, "-p", "train", "base", "-p", "runtime", "reset"]

PARAMETERS = 'profile = "pocket"\nseed = None\ntrain = "persistent"\nruntime = "persistent"\ndifficulty = "easy"'
CHECK = 'from knapsack_lib.study import check_parameters\n\nstep = check_parameters("04_cross_eval", globals())'
SHOW = (
    'import os\n\nprint("cell", *step.words, step.seed, "threads", os.environ["OMP_NUM_THREADS"])'
)


def write_notebook(path: Path, *cells: str) -> None:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    book.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    book.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(book, path)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project in which the first stage has run, with one small notebook; the working directory is
    its root."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "params").mkdir()
    small = (
        (REPOSITORY / "params" / "smoke.yaml")
        .read_text(encoding="utf-8")
        .replace("name: smoke", "name: pocket")
    )
    (tmp_path / "params" / "pocket.yaml").write_text(small, encoding="utf-8")
    monkeypatch.setenv("KNAPSACK_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    leave_first_stage(load_profile("pocket").run())
    for stage in ("01_generate", "02_teacher", "03_finetune"):
        (tmp_path / "notebooks" / f"{stage}.ipynb").write_text("{}", encoding="utf-8")
    write_notebook(tmp_path / CELL, PARAMETERS, CHECK, SHOW)
    return tmp_path


def command(*words, **settings):
    defaults = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }
    return subprocess.run([PAPERMILL, *words], timeout=120, **(defaults | settings))


def printed(path: Path) -> str:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "".join("".join(o.get("text", "")) for c in cells for o in c.get("outputs", []))


def test_papermill_is_the_version_this_was_made_for():
    assert version("papermill") == "2.7.0"


def test_the_table_of_options_is_that_of_papermill():
    theirs = {}
    for option in papermill.cli.papermill.params:
        if isinstance(option, click.Option):
            for name in (*option.opts, *option.secondary_opts):
                theirs[name] = 0 if option.is_flag else option.nargs
    theirs |= dict.fromkeys(papermill.cli.papermill.context_settings["help_option_names"], 0)
    ours = {
        name: values for values, names in OPTIONS.items() for one in names for name in one.split()
    }
    assert ours == theirs


def test_with_output_piped(project):
    done = command(*TYPED)
    assert (done.returncode, done.stdout) == (0, "")
    assert printed(project / MADE) == "cell base reset easy 1 threads 1\n"
    assert not list((project / MADE).parent.glob("*.part.ipynb"))


def test_on_a_terminal(project):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    child = subprocess.Popen(
        [PAPERMILL, *TYPED], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # Linux says so when the last holder of the terminal is gone
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    assert child.wait(60) == 0, shown.decode()
    assert b"Missing argument" not in shown and b"100%" in shown
    assert printed(project / MADE) == "cell base reset easy 1 threads 1\n"


def test_with_a_pipe_as_input_the_source_is_not_overwritten(project):
    before = (project / CELL).read_bytes()
    reading, writing = os.pipe()
    os.close(writing)
    done = command(*TYPED, stdin=reading)
    os.close(reading)
    assert done.returncode == 0, done.stderr
    assert (project / CELL).read_bytes() == before
    assert printed(project / MADE).startswith("cell base reset easy")


def test_with_input_closed(project):
    line = f'exec "{PAPERMILL}" {" ".join(TYPED)} <&-'
    done = subprocess.run(["sh", "-c", line], capture_output=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr
    assert printed(project / MADE).startswith("cell base reset easy")


def test_as_a_module(project):
    done = subprocess.run(
        [sys.executable, "-m", "papermill", *TYPED],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert (project / MADE).exists()


def test_nothing_of_this_machine_in_the_executed_notebook(project):
    assert command(*TYPED).returncode == 0
    text = (project / MADE).read_text(encoding="utf-8")
    assert str(project) not in text and str(REPOSITORY) not in text
    record = json.loads(text)["metadata"]["papermill"]
    assert (record["input_path"], record["output_path"]) == (CELL, MADE)


def test_an_explicit_output_path_is_taken_as_it_is(project):
    done = command(*TYPED, "elsewhere.ipynb")
    assert done.returncode == 0, done.stderr
    assert printed(project / "elsewhere.ipynb").startswith("cell base reset easy")
    assert not (project / MADE).exists()
    assert (
        json.loads((project / "elsewhere.ipynb").read_text(encoding="utf-8"))["metadata"][
            "papermill"
        ]["input_path"]
        == CELL
    )


def test_a_dash_writes_to_standard_output(project):
    done = command(*TYPED, "-")
    assert json.loads(done.stdout)["metadata"]["papermill"]["output_path"] == "-"
    assert not (project / MADE).exists()


def test_help_and_version_are_those_of_papermill(project):
    assert "Parameters inferred" in command(CELL, "--help-notebook").stdout
    assert command("--version").stdout.startswith("2.7.0")
    assert "Usage:" in command(CELL, "--help").stdout
    assert not (project / MADE).parent.exists()


def test_other_notebooks_are_left_alone(project):
    (project / "mine").mkdir()
    write_notebook(project / "mine" / "04_cross_eval.ipynb", "train = 1", "print(train)")
    assert with_default_output(["mine/04_cross_eval.ipynb", "-p", "train", "2"]) is None
    done = command(
        "mine/04_cross_eval.ipynb", "-p", "train", "2"
    )  # piped: papermill writes to standard output
    assert json.loads(done.stdout)["cells"][-1]["outputs"][0]["text"] == ["2\n"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["-p", "runtme", "reset"],
            "04_cross_eval has no parameter 'runtme'; did you mean runtime? it takes: profile, ",
        ),
        (
            ["-p", "train", "perssistent"],
            "train = 'perssistent' is unknown; choose one of: base, persistent, reset",
        ),
        (
            ["-p", "profile", "poket"],
            "profile 'poket' has no file poket.yaml in params/; choose one of: pocket",
        ),
        (["-y", "seed: " + "[" * 5000], "the parameters given as YAML cannot be read: "),
        (
            ["-p", "train", "base", "-p", "seed", "9" * 300],
            # since Python 3.13 a folder whose name is too long is one that is not there
            "File name too long; give another path"
            if sys.version_info < (3, 13)
            else "which is missing or incomplete; run first: ",
        ),
        (["-r", "seed", "3"], "seed = '3' is not a whole number from 0 up"),
        (["-y", "{train: ["], "the parameters given as YAML cannot be read: "),
        (
            ["-p", "train", "reset"],
            "needs runs/pocket/adapters/reset, which is missing or incomplete; run first: papermill ",
        ),
    ],
)
def test_a_mistake_is_one_line_and_runs_nothing(project, words, line):
    done = command(CELL, *words)
    assert done.returncode == 1
    assert line in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (project / MADE).parent.exists()


def test_a_mistake_found_by_a_cell_is_one_line_after_those_of_papermill(project):
    done = command(CELL, "out.ipynb", "-p", "train", "persistent")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "run first: papermill notebooks/02_teacher" in done.stderr.splitlines()[-1]


def test_another_error_keeps_its_traceback_and_the_old_output(project):
    assert command(*TYPED).returncode == 0
    before = (project / MADE).read_bytes()
    write_notebook(project / CELL, PARAMETERS, CHECK, "share = 1 / 0")
    done = command(*TYPED)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr and "share = 1 / 0" in done.stderr
    assert (project / MADE).read_bytes() == before
    assert "ZeroDivisionError" in (project / MADE).with_name(
        f"{Path(MADE).stem}.failed.ipynb"
    ).read_text(encoding="utf-8")


def test_what_users_start_their_own_sessions_with_is_not_run(project, monkeypatch):
    """It would bring in names, which look like parameters, and change what cells show."""
    profile = project / "home" / "profile_default"
    (profile / "startup").mkdir(parents=True)
    mine = profile / "startup" / "mine.py"
    mine.write_text("answer = 42\n", encoding="utf-8")
    shows_all = "c.InteractiveShell.ast_node_interactivity = 'all'\n"
    (profile / "ipython_config.py").write_text(shows_all, encoding="utf-8")
    write_notebook(project / CELL, PARAMETERS, CHECK, '"first"\n"second"')
    monkeypatch.setenv("IPYTHONDIR", str(profile.parent))
    monkeypatch.setenv("PYTHONSTARTUP", str(mine))
    done = command(*TYPED)
    assert done.returncode == 0, done.stderr
    last = json.loads((project / MADE).read_text(encoding="utf-8"))["cells"][-1]
    assert [output["data"]["text/plain"] for output in last["outputs"]] == [["'second'"]]


@pytest.mark.skipif(cores() < 2, reason="one core: no library would start more threads")
def test_a_notebook_computes_with_one_thread_whatever_a_user_has_set(project, monkeypatch):
    """numpy's OpenBLAS starts its threads when it is loaded, and hears of its own variable first."""
    threads = 'len(os.listdir("/proc/self/task"))'
    count = f"import os\nbefore = {threads}\nimport numpy\nprint('more', {threads} - before)"
    write_notebook(project / CELL, PARAMETERS, count)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "4")
    assert command(*TYPED).returncode == 0
    assert printed(project / MADE) == "more 0\n"


def test_a_kernel_that_is_not_installed_is_one_line(project):
    done = command(*TYPED, "-k", "no-such-kernel")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "there is no kernel no-such-kernel" in done.stderr.splitlines()[-1]


def test_every_way_to_give_a_parameter_names_the_output(project):
    (project / "given.yaml").write_text("{train: reset, difficulty: medium}", encoding="utf-8")
    seed = base64.b64encode(b"seed: 7").decode()
    words = [
        "-f",
        "given.yaml",
        "-y",
        "{runtime: reset}",
        "-b",
        seed,
        "-p",
        "train",
        "base",
        "--prepare-only",
    ]
    assert command(CELL, *words).returncode == 0
    made = project / "runs/pocket-seed7/notebooks/04_cross_eval-base-reset-medium.ipynb"
    assert made.with_suffix(".prepared.ipynb").exists() and not made.exists()
    assert resolve(Path(CELL).stem, {"train": "base", "runtime": "reset", "seed": 7}).is_stale()


def test_option_values_are_not_taken_for_paths(project):
    changed = with_default_output(["-k", "python3", "--cwd", ".", *TYPED, "--log-level", "ERROR"])
    assert changed[:2] == ["--engine", "knapsack"]
    assert changed[-1] == str(project / MADE)
    assert (
        with_default_output([*TYPED, "-p", "train"]) is None
    )  # papermill refuses it in its own words
    assert with_default_output([*TYPED, "--engine", "nbclient"])[0] == CELL
    with pytest.raises(UserError):
        with_default_output([CELL, "-ptrain", "nothing"])
    with pytest.raises(UserError, match="has no parameter '1'"):
        with_default_output([*TYPED, "-y", "1: 2"])


def test_two_runs_of_one_stage_do_not_meet(project):
    write_notebook(
        project / CELL, PARAMETERS, CHECK, 'open("begun", "w").close()\nimport time\ntime.sleep(60)'
    )
    first = subprocess.Popen(
        [PAPERMILL, *TYPED],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # a shell's background job ignores it
    )
    try:
        end = time.monotonic() + 60
        while not (project / "begun").exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        second = command(*TYPED)
        assert second.returncode == 1
        assert "is running already; wait for it or stop it" in second.stderr.splitlines()[-1]
        below = psutil.Process(first.pid).children(recursive=True)
    finally:
        first.send_signal(signal.SIGINT)
        said = first.communicate(timeout=120)[1]
        assert first.returncode != 0
    assert "\nstopped; what had ended is saved, the same command continues from there\n" in said
    assert not psutil.wait_procs(below, timeout=5)[1]


# What counts as run -------------------------------------------------------------------------------


def step_of_typed():
    return resolve("04_cross_eval", {"train": "base", "runtime": "reset"})


def test_a_notebook_that_was_run_by_hand_is_not_run_again_by_the_runner(project):
    """Where its episodes are there: this one plays none."""
    leave_store(step_of_typed().run, step_of_typed().cell)
    assert step_of_typed().is_stale()
    assert command(*TYPED).returncode == 0
    assert not step_of_typed().is_stale()
    write_notebook(project / CELL, PARAMETERS, CHECK, SHOW, "1 + 1")
    assert step_of_typed().is_stale()


def test_a_notebook_that_failed_or_went_elsewhere_does_not_count_as_run(project):
    leave_store(step_of_typed().run, step_of_typed().cell)
    assert command(*TYPED, "elsewhere.ipynb").returncode == 0
    assert step_of_typed().is_stale()
    assert command(*TYPED).returncode == 0
    write_notebook(project / CELL, PARAMETERS, CHECK, "share = 1 / 0")
    assert command(*TYPED).returncode == 1
    write_notebook(project / CELL, PARAMETERS, CHECK, SHOW)
    assert step_of_typed().is_stale()


LATE = """
import papermill.execute, sys
from pathlib import Path
from papermill.cli import papermill as cli
write = papermill.execute.write_ipynb
def killed_in_the_middle(nb, path):
    if Path(path).name == {name!r}:
        open(path, "w").write("half")
        import os; os._exit(9)
    write(nb, path)
papermill.execute.write_ipynb = killed_in_the_middle
cli()
"""


def test_a_kill_while_papermill_writes_the_output_once_more_leaves_it_to_be_made_again(project):
    leave_store(step_of_typed().run, step_of_typed().cell)
    step = step_of_typed()
    environment = {**os.environ, "KNAPSACK_STEP_KEY": step.key, "PYTHONPATH": str(REPOSITORY)}
    code = LATE.format(name=step.output.name)
    words = ["--engine", "knapsack", *TYPED, MADE]
    step.output.parent.mkdir(parents=True)
    done = subprocess.run([sys.executable, "-c", code, *words], env=environment, timeout=120)
    assert done.returncode == 9 and step.output.read_text(encoding="utf-8") == "half"
    assert step_of_typed().is_stale()
