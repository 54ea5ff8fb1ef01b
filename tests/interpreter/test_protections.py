"""A machine that lacks a protection: one clear line when a pool is made, and a way to do without."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from knapsack_lib.errors import UserError
from knapsack_lib.interpreter import Pool, syscalls
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
        with open(folder / "syscalls.py", "a", encoding="utf-8") as file:
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


# Run in a process of its own: a filter cannot be taken off again.
SURROUNDED = """
import json, re, struct, sys
from knapsack_lib.errors import UserError
from knapsack_lib.interpreter import Interpreter, Pool, persistence_named, syscalls
from knapsack_lib.profiles import Limits

refused, verdict, flags = json.loads(sys.argv[1])
lines = [(syscalls.LOAD, 0, 0, syscalls.NUMBER)]
for name in refused:
    lines += [(syscalls.EQUAL, 0, 1, syscalls.NUMBERS[name]), (syscalls.RETURN, 0, 0, verdict)]
if verdict == "listener":
    lines += [
        (syscalls.EQUAL, 0, 3, syscalls.NUMBERS["seccomp"]),
        (syscalls.LOAD, 0, 0, syscalls.ARGUMENTS + 8),
        (syscalls.ANY_BIT, 0, 1, syscalls.NEW_LISTENER),
        (syscalls.RETURN, 0, 0, syscalls.ERROR | 22),
    ]
lines.append((syscalls.RETURN, 0, 0, syscalls.ALLOW))
syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
syscalls.install_filter(b"".join(struct.pack("=HBBI", *line) for line in lines), flags)

limits = Limits(
    turns=1, tool_calls=1, wall_seconds=9, cpu_seconds=9, memory_mb=256, output_chars=999
)
told, without = [], []
while True:
    try:
        pool = Pool(limits, without=tuple(without))
        break
    except UserError as error:
        told.append(str(error))
        without += re.search(r"interpreter.without: \\[([a-z, ]+)\\]", told[-1])[1].split(", ")
with pool, Interpreter(pool, persistence_named("persistent"), {}, seed=1) as interpreter:
    blocks = ("x = 6", "x = 0\\nimport os\\nos._exit(1)", "x * 7")
    shown = [interpreter.run(block).stdout for block in blocks]
print(json.dumps([told, without, shown]))
"""
LANDLOCK = ("landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self")
# What stands around: (calls refused, how, flags of the filter, protections missed, words that say why)
AROUND = {
    "nothing": ((), 0, 0, [], []),
    "a kernel without Landlock": (LANDLOCK, syscalls.ERROR | 38, 0, ["files"], ["Linux 5.13"]),
    "Landlock switched off": (LANDLOCK, syscalls.ERROR | 95, 0, ["files"], ["switched off"]),
    "an old profile of a container": (
        (*LANDLOCK, "seccomp"),
        syscalls.ERROR | 1,
        0,
        ["syscalls", "files"],
        ["Operation not permitted; a container", "Operation not permitted; a container"],
    ),
    "an older one": (
        (*LANDLOCK, "seccomp"),
        syscalls.ERROR | 38,
        0,
        ["syscalls", "files"],
        ["Linux 5.5", "Linux 5.13"],
    ),
    "a listener": ((), 0, syscalls.NEW_LISTENER, ["syscalls"], ["listens already"]),
    "a kernel that gives no listener": ((), "listener", 0, ["syscalls"], ["Invalid argument"]),
    "a sandbox that kills": (
        LANDLOCK,
        syscalls.KILL,
        0,
        ["files", "syscalls", "privileges"],
        ["signal 31"],
    ),
}


@pytest.mark.parametrize("around", AROUND)
def test_what_the_machine_refuses_is_told_in_one_line_with_the_way_to_do_without(around):
    """By real filters of system calls around the whole process."""
    *what, missed, why = AROUND[around]
    run = subprocess.run(
        [sys.executable, "-c", SURROUNDED, json.dumps(what)],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    told, without, shown = json.loads(run.stdout)
    assert without == missed and shown == ["", "", "42\n"]
    assert len(told) == len(why) and all(w in t for w, t in zip(why, told, strict=True))
    assert not any("\n" in line for line in told)


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
