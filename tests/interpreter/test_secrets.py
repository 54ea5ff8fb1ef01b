"""Nothing of the host or the task is in a child: not its environment, its memory, its descriptors,
its modules."""

import os
import uuid

import pytest

from knapsack_lib.interpreter import Pool

BOTH = pytest.mark.parametrize("mode", ["persistent", "reset"])
# So that a block can look at its own process
OPEN = {"without": ("files", "syscalls", "privileges")}


@BOTH
def test_the_hosts_environment_is_not_in_the_child(make_limits, steps, monkeypatch, mode):
    mark = "hidden-" + uuid.uuid4().hex
    monkeypatch.setenv("KNAPSACK_MARK", mark)
    look = "import os\nprint(sorted(os.environ))\nprint(open('/proc/self/environ').read().split('\\0'))"
    with Pool(make_limits(), **OPEN) as pool:
        seen = steps(pool, mode, look)[0]
    assert seen.error_type is None and "LC_ALL" in seen.stdout
    assert not any(word in seen.stdout for word in (mark, "KNAPSACK", "HOME"))


SEARCH = """
import re, sys
answer = inspect('item_a')
pattern = re.compile(rb'(hidden|seen-10)-[0-9a-f]{32}')
found = set()
with open('/proc/self/maps') as maps, open('/proc/self/mem', 'rb', 0) as memory:
    for line in maps:
        area, rights = line.split()[:2]
        low, high = (int(x, 16) for x in area.split('-'))
        if rights[0] != 'r' or 'vvar' in line or 'vsyscall' in line or high - low > 1 << 26:
            continue
        memory.seek(low)
        try:
            found |= {m[1] for m in pattern.finditer(memory.read(high - low))}
        except OSError:
            pass
print(sorted(found))
print([m for m in sys.modules if m.split('.')[0] in ('knapsack_lib', 'numpy', 'pydantic', 'yaml')])
"""


@BOTH
def test_nothing_of_the_package_or_the_task_is_in_the_childs_memory(
    make_limits, steps, monkeypatch, mode
):
    """The block searches every readable page of its own process, as no honest agent would."""
    mark = "hidden-" + uuid.uuid4().hex
    monkeypatch.setenv("KNAPSACK_MARK", mark)
    hidden = {"item_a": {"class": mark, "value": 10}}

    def inspect(item_id):
        return "seen-" + str(hidden[item_id]["value"]) + "-" + "5f" * 16

    with Pool(make_limits(memory_mb=512), **OPEN) as pool:
        seen = steps(pool, mode, SEARCH, tools={"inspect": inspect})[0]
    assert seen.stdout == "[b'seen-10']\n[]\n", (
        seen
    )  # what a tool answered is there, so the search does find things


def test_nothing_of_an_episode_is_in_the_memory_of_the_next(make_limits, steps):
    """Also not in a child that was made before, and waited while the other episode ran."""

    def inspect(item_id):
        return "hidden-" + "a7" * 16 if item_id == "first" else "seen-10-" + "5f" * 16

    with Pool(make_limits(memory_mb=512), **OPEN) as pool:
        steps(
            pool,
            "persistent",
            "x = inspect('first')\nprint(len(x))",
            "y = x * 1000",
            tools={"inspect": inspect},
        )
        seen = steps(pool, "reset", "1", SEARCH, tools={"inspect": inspect})[1]
    assert seen.stdout == "[b'seen-10']\n[]\n"


@BOTH
def test_the_child_holds_no_descriptor_but_its_own(make_limits, steps, mode):
    """Standard input, two ends of its output and the socket, in every step, also after a kill."""
    descriptor = os.open(__file__, os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    look = (
        "import os\nnames = os.listdir('/proc/self/fd')[:-1]\n"
        "print(sorted(os.readlink(f'/proc/self/fd/{name}').split(':')[0] for name in names))"
    )
    try:
        with Pool(make_limits(), without=("files", "privileges")) as pool:
            seen = steps(pool, mode, look, look, "import os\nos._exit(0)", look)
    finally:
        os.close(descriptor)
    shown = "['/dev/null', 'pipe', 'pipe', 'socket']\n"
    assert [o.stdout for o in seen] == [shown, shown, "", shown]


@BOTH
def test_a_confined_block_sees_nothing_of_other_processes(pool, steps, mode):
    paths = (
        "/proc",
        "/proc/self/environ",
        "/proc/self/mem",
        "/proc/1/cmdline",
        os.path.abspath(__file__),
        "/etc/passwd",
    )
    look = "for path in {!r}:\n    try: print(open(path).read())\n    except OSError as e: print(type(e).__name__)"
    assert set(steps(pool, mode, look.format(paths))[0].stdout.split()) <= {
        "PermissionError",
        "IsADirectoryError",
    }
