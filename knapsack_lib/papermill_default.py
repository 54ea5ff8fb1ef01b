"""`papermill notebooks/X.ipynb -p a b` with no output path: the executed notebook goes where the
run keeps it.

Papermill 2.7 has no setting for a default output, but it imports packages with a `papermill.engine`
entry point before it reads its command line. This module is that entry point: for this project's
notebooks it adds the output path and an engine that replaces the output only when every cell has
succeeded. Any other command line is left as it was typed.
"""

from __future__ import annotations

import atexit
import base64
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from knapsack_lib.errors import UserError
from knapsack_lib.files import (
    REFUSALS,
    only_one,
    project_root,
    refusal,
    refused_in_one_line,
)
from knapsack_lib.progress import FEED

if TYPE_CHECKING:
    import click

__all__ = [
    "Engine",
    "KERNEL_ENVIRONMENT",
    "STEP_KEY",
    "end_descendants",
    "failed_copy",
    "with_default_output",
]

# One thread each: the same bytes whatever else runs, and two stages fit two cores. Nothing asks a
# network.
KERNEL_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",  # set by a user, it would count more than the first
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "PYTHONHASHSEED": "0",
}

STEP_KEY = "KNAPSACK_STEP_KEY"  # environment variable: what the output depends on (study.py)

# Papermill's options as its parser needs them (a test compares them with papermill.cli, which
# cannot be imported yet while papermill itself is being imported): how many values each takes.
OPTIONS: Mapping[int, tuple[str, ...]] = {
    0: (
        "--help-notebook",
        "--inject-input-path",
        "--inject-output-path",
        "--inject-paths",
        "--request-save-on-cell-execute",
        "--no-request-save-on-cell-execute",
        "--prepare-only",
        "--prepare-execute",
        "--progress-bar",
        "--no-progress-bar",
        "--log-output",
        "--no-log-output",
        "--report-mode",
        "--no-report-mode",
        "--version",
        "--help -h",
    ),
    1: (
        "--parameters_file -f",
        "--parameters_yaml -y",
        "--parameters_base64 -b",
        "--engine",
        "--autosave-cell-every",
        "--kernel -k",
        "--language -l",
        "--cwd",
        "--stdout-file",
        "--stderr-file",
        "--log-level",
        "--start-timeout --start_timeout",
        "--execution-timeout",
    ),
    2: ("--parameters -p", "--parameters_raw -r"),
}
ONLY_SHOWS = ("help_notebook", "version", "help")


def failed_copy(output: Path) -> Path:
    """Where the executed notebook of a failed run goes."""
    return output.with_name(f"{output.stem}.failed.ipynb")


class Engine:
    """A papermill engine: runs a project notebook so that its output path only ever holds a
    complete, good run."""

    @staticmethod
    def execute_notebook(
        nb: Any, kernel_name: str, output_path: str | None = None, **settings: Any
    ) -> Any:
        """As papermill's own; while it runs the notebook is <name>.part.ipynb, after an error
        <name>.failed.ipynb."""
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
        from papermill.engines import NBClientEngine
        from papermill.execute import raise_for_execution_errors

        from knapsack_lib.study import forget_key, record_key

        try:
            KernelSpecManager().get_kernel_spec(kernel_name)
        except NoSuchKernel:
            raise UserError(
                f"there is no kernel {kernel_name}; name one that jupyter kernelspec list shows, as -k python3"
            ) from None
        record = nb.metadata.papermill
        output = Path(record["output_path"]).absolute()
        part, failed = output.with_name(f"{output.stem}.part.ipynb"), failed_copy(output)
        for key in ("input_path", "output_path"):
            record[key] = _shown(Path(record[key]))
        _prepare_kernel_environment()
        busy = f"{output.stem} is running already; wait for it or stop it, then run again"
        with only_one(output.with_name(f".{output.stem}.lock"), busy), _ended_first():
            forget_key(output)
            try:
                nb = NBClientEngine.execute_notebook(
                    nb, kernel_name, output_path=str(part), **settings
                )
                raise_for_execution_errors(nb, str(part))
            except BaseException as error:
                end_descendants(os.getpid())
                if isinstance(error, OSError):  # of the disk: what it took may be half a notebook
                    part.unlink(missing_ok=True)
                elif part.exists():
                    part.replace(failed)
                if isinstance(error, KeyboardInterrupt):
                    print(
                        "\nstopped; what had ended is saved, the same command continues from there",
                        file=sys.stderr,
                    )
                raise
            failed.unlink(missing_ok=True)
            part.replace(output)
            # Papermill writes it to the output path once more, after which it counts as whole.
            if step_key := os.environ.get(STEP_KEY):
                atexit.register(record_key, output, step_key)
        return nb

    @staticmethod
    def nb_kernel_name(nb: Any, name: str | None = None) -> Any:
        from papermill.engines import NBClientEngine

        return NBClientEngine.nb_kernel_name(nb, name)

    @staticmethod
    def nb_language(nb: Any, language: str | None = None) -> Any:
        from papermill.engines import NBClientEngine

        return NBClientEngine.nb_language(nb, language)


def _shown(path: Path) -> str:
    full = path.absolute()
    return (
        str(full.relative_to(project_root())) if full.is_relative_to(project_root()) else path.name
    )


def _prepare_kernel_environment() -> None:
    os.environ.update(KERNEL_ENVIRONMENT)
    os.environ.setdefault(FEED, os.devnull)  # no bars inside the executed notebook
    # What users have their own sessions start with would change what a notebook finds and shows.
    os.environ["IPYTHONDIR"] = str(project_root() / "runs" / ".ipython")
    os.environ.pop("PYTHONSTARTUP", None)
    if not os.access(os.path.expanduser("~"), os.W_OK):
        # Else matplotlib looks for another place, and names it in the executed notebook.
        os.environ.setdefault("MPLCONFIGDIR", str(project_root() / "runs" / ".matplotlib"))


@contextmanager
def _ended_first() -> Iterator[None]:
    """On Ctrl-C the kernel goes before nbclient can interrupt it and it can write of its trouble to
    the terminal."""

    def stop(number: int, frame: FrameType | None) -> None:
        end_descendants(os.getpid())
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def end_descendants(pid: int) -> None:
    """Kill every process below `pid`: a kernel has a session of its own, so a signal to the group
    misses it."""
    import psutil

    try:
        below = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return
    for process in below:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(below, timeout=1)


def with_default_output(arguments: list[str]) -> list[str] | None:
    """Papermill's arguments with engine and output path added; None when they are to stay as they
    are.

    Raises UserError for what the notebook would refuse: a parameter, a value, an earlier stage that
    is missing.
    """
    options = _parse(arguments)
    if options is None or len(options["paths"]) != 1 or any(options[name] for name in ONLY_SHOWS):
        return None
    notebook = Path(options["paths"][0])
    if not _is_ours(notebook):
        return None
    from knapsack_lib.study import resolve  # here, so that other uses of papermill pay for nothing

    step = resolve(notebook.stem, _parameters(options))
    if not options["prepare_only"]:
        step.require()  # the notebook asks too; here it costs no kernel
    output = step.output
    if options["prepare_only"]:  # the other name only ever holds a notebook that ran to its end
        output = output.with_suffix(".prepared.ipynb")
    else:
        os.environ[STEP_KEY] = step.key
    with refused_in_one_line(output.parent):
        output.parent.mkdir(parents=True, exist_ok=True)
    engine = [] if options["engine"] else ["--engine", "knapsack"]
    # At the end it can only be the second path: no option lacks a value
    return [*engine, *arguments, str(output)]


def _parse(arguments: list[str]) -> dict[str, Any] | None:
    """What papermill will make of its arguments; None when it will refuse them, which it does best
    itself."""
    import click

    parameters: list[click.Parameter] = [click.Argument(["paths"], nargs=-1)]
    for values, names in OPTIONS.items():
        for name in names:
            flag = {"is_flag": True} if values == 0 else {"nargs": values, "multiple": True}
            parameters.append(click.Option(name.split(), **flag))
    command = click.Command("papermill", params=parameters, add_help_option=False)
    try:
        with command.make_context("papermill", list(arguments)) as context:
            return dict(context.params)
    except click.ClickException:
        return None


def _is_ours(notebook: Path) -> bool:
    try:
        return notebook.is_file() and notebook.resolve().parent == project_root() / "notebooks"
    except UserError:
        return False


def _parameters(options: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters in papermill's order: base64, files, YAML, -p, -r; the last one given wins."""
    import yaml

    given: dict[Any, Any] = {}
    try:
        texts = [base64.b64decode(text) for text in options["parameters_base64"]]
        texts += [Path(name).read_bytes() for name in options["parameters_file"]]
        for text in [*texts, *options["parameters_yaml"]]:
            given.update(yaml.safe_load(text) or {})
    except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        raise UserError(
            f"the parameters given as YAML cannot be read: {' '.join(str(error).split())}"
        ) from None
    given.update((name, _value(text)) for name, text in options["parameters"])
    given.update(options["parameters_raw"])
    return {str(name): value for name, value in given.items()}


def _value(text: str) -> Any:
    """-p seed 3 is a number and -p seed None is None, as in papermill; words stay words."""
    try:
        return int(text)
    except ValueError:
        return None if text == "None" else text


def _is_papermill() -> bool:
    """Whether this process is papermill's command: by its script, or by `python -m papermill`."""
    if sys.argv and sys.argv[0] == "-m":
        at = sys.orig_argv.index("-m") + 1 if "-m" in sys.orig_argv else 0
        return 0 < at < len(sys.orig_argv) and sys.orig_argv[at] in (
            "papermill",
            "papermill.__main__",
        )
    return bool(sys.argv) and Path(sys.argv[0]).name in (
        "papermill",
        "papermill-script.py",
        "papermill.exe",
    )


def _say_one_line(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """For sys.excepthook: a mistake that a user can fix is one line; anything else keeps its traceback."""
    if isinstance(error, UserError):
        print(error, file=sys.stderr)
    elif isinstance(error, OSError) and error.errno in REFUSALS:
        print(refusal(error), file=sys.stderr)
    elif kind.__name__ == "PapermillExecutionError" and getattr(error, "ename", "") == "UserError":
        print(getattr(error, "evalue", error), file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


def _at_start() -> None:
    """What importing this module does in papermill's own process, and nowhere else."""
    try:
        os.fstat(0)
    except OSError:  # papermill asks what its input is and would stop here when that was closed
        os.open(os.devnull, os.O_RDONLY)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a kernel that died is to be heard of
    options = _parse(sys.argv[1:])
    if options is None or not options["paths"] or not _is_ours(Path(options["paths"][0])):
        return
    sys.excepthook = _say_one_line
    _prepare_kernel_environment()
    try:
        arguments = with_default_output(sys.argv[1:])
    except UserError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None
    if arguments is not None:
        sys.argv[1:] = arguments


if _is_papermill():
    _at_start()
