"""Packages that a profile names: importable in every mode, read-only, and nothing beside them."""

import os
from importlib import metadata
from pathlib import Path

import pytest

from knapsack_lib.errors import UserError
from knapsack_lib.interpreter import Interpreter, Pool, packages, persistence_named
from knapsack_lib.interpreter.packages import found_package
from knapsack_lib.profiles import load_profile

ALL = ("persistent", "reset", "functions", "data", "ttl:2")
MODE = pytest.mark.parametrize("mode", ALL)
EXIT = "import os\nos._exit(1)"


@pytest.fixture(scope="module")
def with_numpy(make_limits):
    with Pool(make_limits(), packages=("numpy",)) as pool:
        yield pool


@MODE
def test_a_package_that_is_named_works_and_computes_the_same_in_every_mode(with_numpy, steps, mode):
    """Also its shared libraries, modules that it loads late, and its generator, which is seeded."""
    code = (
        "import numpy as np\nfrom numpy import fft, linalg\n"
        "a = np.random.rand(60, 60)\n"
        "print(linalg.inv(a).shape, fft.fft([1, 2]), float(a.sum()), np.ma.array([1]))"
    )
    first, killed, again = steps(with_numpy, mode, code, EXIT, code)
    expected = steps(with_numpy, "reset", code)[0].stdout
    assert first.stdout == expected and first.stdout.startswith("(60, 60) [ 3.+0.j -1.+0.j]")
    assert (killed.killed_by, again.error_type) == ("exit", None)


def test_state_of_a_package_is_restored_after_a_kill(with_numpy, steps):
    draw = "print(np.random.randint(10**9))"
    start = "import numpy as np\na = np.arange(5)"
    plain = steps(with_numpy, "persistent", start, draw, draw)
    seen = steps(with_numpy, "persistent", start, draw, f"a[:] = 0\n{draw}\n{EXIT}", draw + "\na")
    assert seen[2].restored and seen[2].stdout == plain[2].stdout
    assert seen[3].stdout == plain[2].stdout + "array([0, 1, 2, 3, 4])\n"


REFUSED = {
    "a neighbour": ("import pydantic", "ModuleNotFoundError"),
    "the installer": ("import pip", "ModuleNotFoundError"),
    "the folder of all packages": (
        "import os, numpy\nos.listdir(os.path.dirname(os.path.dirname(numpy.__file__)))",
        "PermissionError",
    ),
    "a neighbour's file": (
        "import os, numpy\nopen(numpy.__file__.replace('numpy', 'pydantic')).read()",
        "PermissionError",
    ),
    "a neighbour by its folder": (
        "import os, sys, numpy\nsys.path.append(os.path.dirname(os.path.dirname(numpy.__file__)))\n"
        "import pydantic",
        "ModuleNotFoundError",
    ),
    "writing to it": ("import numpy\nopen(numpy.__file__, 'a')", "PermissionError"),
    "a file beside it": (
        "import numpy, os\nopen(os.path.join(os.path.dirname(numpy.__file__), 'new.py'), 'w')",
        "PermissionError",
    ),
    "memory beyond the limit": ("import numpy\nnumpy.ones(1 << 28)", "MemoryError"),
    "a tool's argument of its kind": ("import numpy\necho(numpy.int64(3))", "TypeError"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_nothing_beside_a_package_opens_with_it(with_numpy, steps, what):
    code, kind = REFUSED[what]
    seen = steps(with_numpy, "reset", code)[0]
    assert (seen.error_type, seen.killed_by) == (kind, None)


def test_neighbours_cannot_be_imported_without_the_protection_of_files_either(make_limits, steps):
    with Pool(make_limits(), packages=("numpy",), without=("files",)) as pool:
        seen = steps(pool, "reset", "import numpy", "import pydantic")
        assert [o.error_type for o in seen] == [None, "ModuleNotFoundError"]


def test_a_package_starts_no_threads_and_runs_on_one(with_numpy, steps):
    code = (
        "import os, numpy as np\nnp.ones((600, 600)) @ np.ones((600, 600))\n"
        "print(os.environ['OPENBLAS_NUM_THREADS'], len(os.sched_getaffinity(0)) > 0)"
    )
    with Interpreter(with_numpy, persistence_named("persistent"), {}, seed=1) as interpreter:
        assert interpreter.run(code).stdout == "1 True\n"
        assert len(os.listdir(f"/proc/{interpreter._child.pid}/task")) == 1


def test_without_packages_there_are_none_and_nothing_else_differs(pool, steps):
    code = "import os, sys\nprint(sorted(os.environ), len(sys.meta_path))\nimport numpy"
    seen = steps(pool, "reset", code)[0]
    assert seen.stdout == "['LC_ALL', 'PATH', 'PYTHONHASHSEED', 'TZ'] 3\n"
    assert seen.error_type == "ModuleNotFoundError"


def test_one_that_is_not_installed_is_one_line_before_anything_runs(make_limits, children):
    before = children()
    with pytest.raises(UserError, match="not-a-package is not installed") as caught:
        Pool(make_limits(), packages=("numpy", "not-a-package"))
    assert "\n" not in str(caught.value) and children() == before


def test_one_that_leaves_no_memory_is_one_line_that_says_how_much_it_takes(make_limits, children):
    before = children()
    with pytest.raises(UserError, match=r"limits\.memory_mb = 64: it must be at least 1\d\d") as e:
        Pool(make_limits(memory_mb=64), packages=("numpy",))
    assert "\n" not in str(e.value) and children() == before


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """install(name, files): a distribution of these files in an environment of its own."""

    def install(name, **files):
        info = tmp_path / f"{name}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n", encoding="utf-8"
        )
        paths = [path.replace("__", "/", 1) + ".py" for path in files]
        for path, text in zip(paths, files.values(), strict=True):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text, encoding="utf-8")
        (info / "RECORD").write_text(
            "".join(f"{p},,\n" for p in [*paths, f"{info.name}/METADATA"]), encoding="utf-8"
        )

    monkeypatch.syspath_prepend(str(tmp_path))
    return install


def test_a_package_that_needs_one_that_is_not_named_says_so(environment, make_limits, steps):
    environment("lower", lower="word = 'below'")
    environment("upper", upper____init__="from lower import word")
    with pytest.raises(UserError) as caught:
        Pool(make_limits(), packages=("upper",))
    assert "\n" not in str(caught.value) and "No module named 'lower'" in str(caught.value)
    assert "upper cannot be imported" in str(caught.value)
    with Pool(make_limits(), packages=("lower", "upper")) as pool:
        assert steps(pool, "reset", "import upper\nprint(upper.word)")[0].stdout == "below\n"


def test_one_without_files_of_its_own_is_one_line(environment):
    environment("empty")
    with pytest.raises(UserError, match="empty has no module of its own") as caught:
        found_package("empty")
    assert "\n" not in str(caught.value)


def test_what_a_package_may_read_is_its_own_entries_only():
    found = found_package("numpy")
    folder = Path(found.modules["numpy"]).parents[1]
    assert found.version == metadata.version("numpy") and set(found.modules) == {"numpy"}
    for tree in found.trees:
        assert Path(tree).parent == folder and Path(tree).name.startswith("numpy")
    assert packages.found_packages(()) == []


def test_packages_shape_an_episode_and_naming_none_changes_no_digest():
    profile = load_profile("smoke")
    digests = {
        names: profile.model_copy(
            update={"interpreter": profile.interpreter.model_copy(update={"packages": names})}
        ).episode_digest()
        for names in ((), ("numpy",), ("scipy",))
    }
    assert digests[()] == profile.episode_digest() and len(set(digests.values())) == 3
