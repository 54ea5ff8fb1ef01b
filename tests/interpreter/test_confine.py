"""What a confined child may open and ask of the kernel, protection by protection."""

import os
import struct
import subprocess
import sys
from unittest.mock import Mock

import pytest

from knapsack_lib.interpreter import confine, syscalls


def test_no_folder_that_may_hold_packages_is_readable():
    """A Python that has its own folder holds the library libpython next to the folder of all
    packages."""
    library = os.path.dirname(os.__file__)
    folders = [
        path
        for path, rights in confine.readable_paths()
        if rights & confine.READ_FILE and os.path.isdir(path)
    ]
    assert folders and all(
        os.path.dirname(path) == library or path == "/usr/share/zoneinfo" for path in folders
    )
    assert not {"site-packages", "dist-packages"} & {os.path.basename(path) for path in folders}


LAZY = (
    "ssl",
    "ctypes",
    "sqlite3",
    "lzma",
    "bz2",
    "zlib",
    "hashlib",
    "decimal",
    "readline",
    "curses",
    "uuid",
    "xml.dom",
)


def test_what_python_loads_late_can_still_be_loaded(pool, steps):
    found = [
        name
        for name in LAZY
        if not subprocess.call([sys.executable, "-c", f"import {name}"], stderr=-3)
    ]
    seen = steps(pool, "reset", *[f"import {name}" for name in found])
    assert [o.error for o in seen] == [None] * len(found) and len(found) > 6


NEW_USER, PARENT, VM, DETAILS = 0x10000000, 0x8000, 0x100, 0x01200000


@pytest.mark.parametrize(
    ("flags", "plain"),
    [
        (17, True),
        (17 | DETAILS, True),
        (17 | NEW_USER, False),
        (17 | PARENT, False),
        (17 | VM | DETAILS, False),
        (DETAILS, False),
        (9 | DETAILS, False),
        (17 | 1 << 40, False),
    ],
)
def test_only_a_plain_copy_is_allowed(flags, plain):
    question = struct.pack(
        "QIIiIQ6Q", 1, 2, 0, syscalls.NUMBERS["clone"], 0, 0, flags, 0, 0, 0, 0, 0
    )
    assert len(question) == 80 and syscalls.is_plain_copy(question) == plain


@pytest.mark.parametrize("limit, most", [(4096, 4096), (-1, 1 << 20), ((1 << 63) - 1, 1 << 20)])
def test_descriptors_are_closed_where_the_system_has_no_call_for_it(monkeypatch, limit, most):
    closed = []
    monkeypatch.setattr(confine.os, "closerange", lambda *ends: closed.append(ends))
    for error in (KeyError("riscv64"), OSError(38, "no such call")):
        monkeypatch.setattr(confine, "call", Mock(side_effect=error))
        bounds = confine.Confinement(confine.PROTECTIONS)
        bounds._descriptors = limit
        bounds.close_descriptors(4)
    assert closed == [(4, most)] * 2
