"""A user's mistake, as one line that says what is wrong, where, and how to fix it."""

from __future__ import annotations

from pydantic import ValidationError

__all__ = ["SPELLINGS", "UserError", "check_choice", "first_problem", "installs"]

# The words of the paper's files, accepted everywhere.
SPELLINGS = {"stateless": "reset", "hard": "medium"}


class UserError(Exception):
    """A mistake that a user can fix. Its text is one line: what is wrong, where, and the fix."""

    def _render_traceback_(self) -> list[str]:
        # IPython asks an exception for this: notebooks then show the line instead of a stack of
        # frames.
        return [f"UserError: {self}"]


def installs(extra: str) -> str:
    """The command, typed in the project's folder, that installs an extra at the versions the
    project pins."""
    return (
        "make env VENV=.venv-gpu"
        if extra == "gpu"
        else f"pip install -c constraints.txt -e '.[{extra}]'"
    )


def check_choice(name: str, value: object, allowed: tuple[str, ...]) -> str:
    """Return the canonical spelling of a command-line word, or raise UserError with the list of
    right ones."""
    word = SPELLINGS.get(str(value), str(value))
    if word not in allowed:
        raise UserError(f"{name} = {value!r} is unknown; choose one of: {', '.join(allowed)}")
    return word


def first_problem(error: ValidationError, whole: str = "the file") -> str:
    """The first thing that pydantic refuses, as `where: what`. `whole` stands for the top level."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"])) or whole
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"
