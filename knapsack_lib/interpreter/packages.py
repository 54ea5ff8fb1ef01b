"""Packages that blocks may import beside the standard library: those that a profile names, and nothing
else of the environment that they are installed in.

The warm parent imports them once, closed in as it is by then, and every child has them from it. That
is the same in every mode, costs no step an import, and shows before anything runs what cannot be
imported. What a package needs in turn is named in the profile too.
"""

import importlib.metadata
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from knapsack_lib.errors import UserError

__all__ = ["Package", "found_package", "found_packages"]

SUFFIXES = (".py", ".so")
# Else a library of theirs starts threads of its own, which a copy of the state would not have.
ENVIRONMENT = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)


class Package(NamedTuple):
    """`modules`: the names that can be imported -> the file of each. `trees`: all that it may read,
    its shared libraries among them."""

    name: str
    version: str
    modules: dict[str, str]
    trees: list[str]


def found_packages(names: Iterable[str]) -> list[Package]:
    """Raises UserError."""
    return [found_package(name) for name in names]


def found_package(name: str) -> Package:
    """A distribution of the environment that runs this, by its name. Raises UserError."""
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        raise UserError(
            f"interpreter.packages: {name} is not installed in the environment that runs this; "
            f"install it there, or take it out of the profile"
        ) from None
    tops = {file.parts[0] for file in distribution.files or () if file.parts[0] != ".."}
    places = [Path(str(distribution.locate_file(top))) for top in sorted(tops)]
    trees = [place for place in places if place.name != "__pycache__" and place.suffix != ".pth"]
    modules = {
        place.name.partition(".")[0]: file
        for place in trees
        for file in (place / "__init__.py" if place.is_dir() else place,)
        if file.is_file() and file.suffix in SUFFIXES
    }
    if not modules:
        raise UserError(
            f"interpreter.packages: {name} has no module of its own among its files (is it an "
            f"editable install?); install it as a package, or take it out of the profile"
        )
    return Package(
        name,
        distribution.version,
        {m: str(file) for m, file in modules.items()},
        [str(t) for t in trees],
    )
