"""A machine that lacks a protection: one clear line when a pool is made, and a way to do without."""

import shutil
from pathlib import Path

import pytest

from knapsack_lib.errors import UserError
from knapsack_lib.interpreter import Pool
from knapsack_lib.interpreter import pool as pools

PATCH = """
_real_call = call

def call(name, *args):
    if name.startswith({prefix!r}):
        raise OSError({number}, os.strerror({number}))
    return _real_call(name, *args)
"""
# protection: (system calls that fail, how, where a block gets further without it)
MISSING = {
    "files": ("landlock", 38, "import os\nprint(len(os.listdir('/')) > 0)"),
    "syscalls": (
        "seccomp",
        38,
        "import os\npid = os.fork()\nif not pid: os._exit(0)\nprint(os.waitpid(pid, 0)[0] == pid)",
    ),
    "privileges": ("capset", 1, "print(True)"),
}


@pytest.fixture
def lacking(tmp_path, monkeypatch):
    """Start warm parents from a copy of the interpreter in which system calls fail as on a machine
    without them."""

    def patch(prefix, number):
        folder = Path(shutil.copytree(Path(pools.__file__).parent, tmp_path / "interpreter"))
        with open(folder / "confine.py", "a", encoding="utf-8") as file:
            file.write(PATCH.format(prefix=prefix, number=number))
        monkeypatch.setattr(pools, "__file__", str(folder / "pool.py"))

    return patch


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_protection_is_one_line_that_names_it_and_what_to_do(
    make_limits, steps, lacking, children, name
):
    prefix, number, reach = MISSING[name]
    with Pool(make_limits()) as pool:
        assert (
            name == "privileges" or steps(pool, "reset", reach)[0].error_type == "PermissionError"
        )
    before = children()
    lacking(prefix, number)
    with pytest.raises(UserError) as caught:
        Pool(make_limits())
    assert "\n" not in str(caught.value) and f"cannot protect {name}" in str(caught.value)
    assert f"interpreter.without: [{name}]" in str(caught.value) and f"without=({name!r},)" in str(
        caught.value
    )
    assert children() == before  # the parent that could not protect is gone
    with Pool(make_limits(), without=(name,)) as pool:
        first, second, killed, third = steps(
            pool, "persistent", reach, "x = 5", "import os\nos._exit(0)", "x"
        )
        assert (first.stdout, killed.restored, third.stdout) == ("True\n", True, "5\n")


def test_of_several_missing_protections_each_is_named_in_turn(make_limits, lacking):
    lacking("", 38)
    left, named = ["files", "syscalls", "privileges"], []
    while left:
        with pytest.raises(UserError) as caught:
            Pool(make_limits(), without=tuple(named))
        (missing,) = [name for name in left if f"cannot protect {name} " in str(caught.value)]
        left.remove(missing)
        named.append(missing)
    Pool(make_limits(), without=tuple(named)).close()


@pytest.mark.parametrize("without", [("walls",), ("files", "file"), ("",), ("Files",)])
def test_an_unknown_protection_is_an_error_that_lists_them(make_limits, without):
    with pytest.raises(UserError) as caught:
        Pool(make_limits(), without=without)
    assert "\n" not in str(caught.value)
    assert all(
        name in str(caught.value)
        for name in ("without", "files", "syscalls", "limits", "privileges")
    )


def test_each_protection_is_one_that_refuses_something(make_limits, steps):
    """Doing without a protection opens what it closes, and nothing of the others."""
    tries = {
        "files": "import os\nos.listdir('/')",
        "syscalls": "import os\nos.kill(os.getpid(), 0)",
        "limits": "x = bytearray(300 << 20)",
    }
    for off in ((), ("files",), ("syscalls",), ("limits",)):
        with Pool(make_limits(), without=off) as pool:
            reached = [
                name
                for name, code in tries.items()
                if steps(pool, "reset", code)[0].error_type is None
            ]
        assert reached == list(off)
