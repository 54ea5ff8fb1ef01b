"""What a block may import beside the standard library: standard library only (see parent.py)."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from typing import Any

SEEDED = ("numpy.random",)  # generators that a module keeps for all who use it
ROOM = 32 << 20  # bytes that a block has at least beside the packages


class Lack(Exception):
    """A package cannot be used here: why."""


class Finder:
    """Finds the modules of some packages by their names, and no neighbour of theirs: the folder that
    they lie in is on no path."""

    __module__ = "builtins"  # as the tools

    def __init__(self, modules: dict[str, str]):
        self.modules = modules

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        file = self.modules.get(name)
        if file is None:
            return None
        folder = [os.path.dirname(file)] if os.path.basename(file) == "__init__.py" else None
        return spec_from_file_location(name, file, submodule_search_locations=folder)


def import_packages(packages: Sequence[Any], memory: int, size: int | None) -> None:
    """Import them for all children. `packages`: (name, version, modules, trees); `memory`: bytes of address
    space that a child may have; `size`: a descriptor of /proc/self/statm. Raises Lack."""
    if not packages:
        return
    sys.meta_path.append(
        Finder({m: f for _, _, modules, _ in packages for m, f in modules.items()})
    )
    for name, _, modules, _ in packages:
        for module in modules:
            try:
                if not module.startswith("_"):
                    import_module(module)
            except BaseException as error:  # noqa: BLE001 - whatever a package does when imported
                why = f"{type(error).__name__}: {error}".partition("\n")[0]
                raise Lack(f"{name} cannot be imported by the interpreter ({why})") from None
    for module in SEEDED:
        if module.partition(".")[0] in sys.modules:
            import_module(module)
    if size is not None:
        taken = int(os.pread(size, 99, 0).split()[0]) * os.sysconf("SC_PAGE_SIZE")
        if taken + ROOM > memory:
            names, least = ", ".join(name for name, *_ in packages), (taken + ROOM >> 20) + 1
            raise Lack(
                f"{names} and Python take {taken >> 20} MB of the memory that a block may have, "
                f"which is limits.memory_mb = {memory >> 20}: it must be at least {least}"
            )


def seed_packages(seed: int) -> None:
    """Generators that are shared by all users of a module begin with the block's seed."""
    for name in SEEDED:
        if name in sys.modules:
            sys.modules[name].seed(seed % (1 << 32))
