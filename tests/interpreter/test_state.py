"""What a step finds: after a persistent one everything, after a reset nothing, and never another
episode's."""

import pytest

from knapsack_lib.interpreter import Pool

BOTH = pytest.mark.parametrize("mode", ["persistent", "reset"])

# what: (first block, second block, which prints True when it finds the first one's work)
SURVIVORS = {
    "a variable": ("x = [1]", "print(x == [1])"),
    "a changed variable": ("x = [1]\nx.append(2)", "print(x == [1, 2])"),
    "one object under two names": ("a = [[]]\nb = a[0]", "print(a[0] is b)"),
    "an object that holds itself": ("a = []\na.append(a)", "print(a[0] is a)"),
    "names like builtins": (
        "sum = max = print_ = 9\nlist = [1]",
        "print((sum, max, list) == (9, 9, [1]) or 1 / 0)",
    ),
    "names like modules": ("json = 'text'\nos = 5", "print((json, os) == ('text', 5))"),
    "foreign names": ("größe = 1\n_ = 2\n__x = 3", "print((größe, _, __x) == (1, 2, 3))"),
    "a deleted name, as deleted": ("x = y = 1\ndel x", "print(y == 1 and 'x' not in globals())"),
    "a deleted builtin, as deleted": (
        "import builtins\ndel builtins.sorted",
        "import builtins\nprint(not hasattr(builtins, 'sorted') or 1 / 0)",
    ),
    "a deleted tool, as deleted": (
        "import builtins\ndel builtins.echo",
        "try:\n    echo\n    1 / 0\nexcept NameError:\n    print(True)",
    ),
    "a thousand names": (
        "for i in range(1000): globals()[f'n{i}'] = i",
        "print([globals()[f'n{i}'] for i in range(1000)] == [*range(1000)])",
    ),
    "a function": ("def f(): return 7", "print(f() == 7)"),
    "a lambda": ("f = lambda x, y=[3]: x + y[0]", "print(f(4) == 7)"),
    "a function's globals": (
        "n = 1\ndef f():\n    global n\n    n += 1\nf()",
        "f()\nprint(n == 3)",
    ),
    "a function's attribute": ("def f(): pass\nf.k = 1", "print(f.k == 1)"),
    "an open closure": (
        "def outer():\n    n = 0\n    def up():\n        nonlocal n\n        n += 1\n        return n\n"
        "    return up\nup = outer()\nup()",
        "print((up(), up()) == (2, 3))",
    ),
    "a decorator": (
        "def twice(f):\n    return lambda x: f(f(x))\n@twice\ndef add(x): return x + 1",
        "@twice\ndef double(x): return 2 * x\nprint((add(0), double(1)) == (2, 4))",
    ),
    "a cache": (
        "import functools\nruns = []\n@functools.cache\ndef f(x):\n    runs.append(x)\n    return x\nf(1)",
        "f(1)\nf(2)\nprint(runs == [1, 2])",
    ),
    "a generator half way": (
        "def g():\n    yield 1\n    yield 2\n    yield 3\nit = g()\nnext(it)",
        "print([*it] == [2, 3])",
    ),
    "a generator that waits for a value": (
        "def g():\n    got = []\n    while True: got.append((yield got))\n"
        "it = g()\nnext(it)\nit.send(1)",
        "print(it.send(2) == [1, 2])",
    ),
    "an iterator half way": (
        "it = iter({'a': 1, 'b': 2}.items())\nnext(it)",
        "print(next(it) == ('b', 2))",
    ),
    "a counter of itertools": (
        "import itertools\nc = itertools.count(5, 3)\nnext(c)",
        "print(next(c) == 8)",
    ),
    "a class": ("class C:\n    k = 3", "print(C.k == 3)"),
    "an instance": (
        "class C:\n    __slots__ = ('k',)\n    def __init__(self): self.k = 3\nc = C()",
        "print(type(c) is C and c.k == 3)",
    ),
    "a base class": (
        "class A:\n    def f(self): return 1",
        "class B(A):\n    def f(self): return super().f() + 1\nprint(B().f() == 2)",
    ),
    "an enum": (
        "import enum\nclass E(enum.Enum):\n    P = 1",
        "print(E(1) is E.P and E['P'] is E.P)",
    ),
    "an instance in a pickle": (
        "import pickle\nclass C:\n    def __init__(self): self.k = [3]\ntext = pickle.dumps(C())",
        "print(type(pickle.loads(text)) is C and pickle.loads(text).k == [3] and C.__module__ == '__main__')",
    ),
    "a dataclass with its types": (
        "from __future__ import annotations\nimport dataclasses, typing\n@dataclasses.dataclass(order=True)\nclass A:\n"
        "    n: int\n    rest: list[A] = dataclasses.field(default_factory=list)",
        "print(typing.get_type_hints(A) == {'n': int, 'rest': list[A]} and A(1) < A(2) and A(1, [A(2)]) == A(1, [A(2)]))",
    ),
    "types in quotes": (
        "import typing\nclass T: pass\ndef f(x: 'T') -> 'list[T]': ...",
        "print(typing.get_type_hints(f) == {'x': T, 'return': list[T]})",
    ),
    "an exception that was caught": (
        "try: 1 / 0\nexcept ZeroDivisionError as e: kept = e",
        "print(kept.__traceback__.tb_lineno == 1)",
    ),
    "a weak reference": (
        "import weakref\nclass C: pass\nc = C()\nr = weakref.ref(c)",
        "print(r() is c)",
    ),
    "an open block of with": (
        "import contextlib\nleft = []\ns = contextlib.ExitStack()\ns.callback(left.append, 1)",
        "before = [*left]\ns.close()\nprint((before, left) == ([], [1]))",
    ),
    "a lock that is held": (
        "import threading\nlock = threading.Lock()\nlock.acquire()",
        "print(lock.locked())",
    ),
    "a stream in memory": (
        "import io\ns = io.StringIO('abc')\ns.read(1)",
        "print(s.read() == 'bc')",
    ),
    "an import": ("import math", "print(math.pi > 3)"),
    "a module's attribute": ("import json\njson.x = 1", "import json\nprint(json.x == 1)"),
    "a patched builtin": (
        "import builtins\nbuiltins.sum = lambda v: 'mine'",
        "print(sum([1]) == 'mine' or 1 / 0)",
    ),
    "an added builtin": ("import builtins\nbuiltins.zz = 5", "print(zz == 5)"),
    "an environment variable": (
        "import os\nos.environ['K'] = 'v'",
        "import os\nprint(os.environ['K'] == 'v')",
    ),
    "an open pipe": (
        "import os\nr, w = os.pipe()\nos.write(w, b'hi')",
        "print(os.read(r, 2) == b'hi')",
    ),
    "a thread's work": (
        "import threading, time\nn = []\n"
        "threading.Thread(target=lambda: (time.sleep(0.05), n.append(1))).start()",
        "import time\ntime.sleep(0.2)\nprint(n == [1])",
    ),
    "a generator of random numbers": (
        "import random\nr = random.Random(4)\nr.random()",
        "q = random.Random(4)\nq.random()\nprint(r.random() == q.random())",
    ),
    "what came before an error": ("x = 1\nraise ValueError", "print(x == 1)"),
    "what came before sys.exit": ("import sys\nx = 1\nsys.exit()", "print(x == 1)"),
}


@pytest.mark.parametrize("what", SURVIVORS)
def test_it_survives_a_step_of_a_persistent_episode_and_no_other(pool, steps, what):
    first, second = SURVIVORS[what]
    kept = steps(pool, "persistent", first, second)[1]
    assert (kept.stdout, kept.error_type, kept.killed_by, kept.state_lost) == (
        "True\n",
        None,
        None,
        False,
    )
    lost = steps(pool, "reset", first, second)[1]
    assert lost.error_type in ("NameError", "AttributeError", "KeyError", "ZeroDivisionError")
    assert "True" not in lost.stdout and not lost.state_lost


# what: (block that leaves something behind, block that shows whether it is there)
LEFT_BEHIND = {
    "globals": ("x = f = 1", "sorted(globals())"),
    "hidden globals": ("__x = 1\nglobals()[5] = 2", "[k for k in globals() if k in ('__x', 5)]"),
    "a module's attribute": ("import json\njson.x = 1", "import json\nhasattr(json, 'x')"),
    "a module's function": ("import math\nmath.floor = None", "import math\nmath.floor is None"),
    "builtins": (
        "import builtins\nbuiltins.zz = 1\ndel builtins.sorted",
        "[n in dir(__builtins__) for n in ('zz', 'sorted')]",
    ),
    "tools": ("import builtins\nbuiltins.echo = None", "echo is None"),
    "sys.modules": (
        "import sys, wave\nsys.modules['mine'] = sys\ndel sys.modules['json']",
        "import sys\nsorted(sys.modules)",
    ),
    "__main__": ("import sys\nsys.modules['__main__'] = sys", "import __main__\n__main__.__name__"),
    "the environment": ("import os\nos.environ['K'] = 'v'", "import os\nsorted(os.environ)"),
    "the working folder": ("import os\nos.chdir('/proc')", "import os\nos.getcwd()"),
    "the mask of new files": ("import os\nos.umask(0o123)", "import os\nos.umask(0)"),
    "open descriptors": (
        "import os\nos.pipe()\nos.dup(0)",
        "import os\ndef is_open(fd):\n    try: os.fstat(fd)\n"
        "    except OSError: return False\n    return True\n[fd for fd in range(128) if is_open(fd)]",
    ),
    "flags of standard input": (
        "import os\nos.set_blocking(0, False)",
        "import os\nos.get_blocking(0)",
    ),
    "flags of standard output": (
        "import fcntl, os\nfcntl.fcntl(1, fcntl.F_SETFL, os.O_APPEND)",
        "import fcntl\nfcntl.fcntl(1, fcntl.F_GETFL)",
    ),
    "threads": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(30,)).start()",
        "import threading\nthreading.active_count()",
    ),
    "signal handlers": (
        "import signal\nsignal.signal(signal.SIGUSR1, signal.SIG_IGN)\n"
        "signal.signal(signal.SIGINT, lambda *_: None)",
        "import signal\n[signal.getsignal(s) == signal.SIG_DFL for s in (signal.SIGUSR1, signal.SIGINT)]",
    ),
    "blocked signals": (
        "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})",
        "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, ())",
    ),
    "a timer": (
        "import signal\nsignal.setitimer(signal.ITIMER_VIRTUAL, 999)",
        "import signal\nsignal.getitimer(signal.ITIMER_VIRTUAL)[0] > 0",
    ),
    "the recursion limit": (
        "import sys\nsys.setrecursionlimit(777)",
        "import sys\nsys.getrecursionlimit()",
    ),
    "the switch interval": (
        "import sys\nsys.setswitchinterval(0.5)",
        "import sys\nsys.getswitchinterval()",
    ),
    "the longest number": (
        "import sys\nsys.set_int_max_str_digits(999)",
        "import sys\nsys.get_int_max_str_digits()",
    ),
    "the random state": (
        "import random\nrandom.seed(5)",
        "import random\nrandom.getstate()[1][:2]",
    ),
    "half of a pair of random numbers": (
        "import random\nrandom.gauss(0, 1)",
        "import random\nrandom.getstate()[2] is None",
    ),
    "warnings filters": (
        "import warnings\nwarnings.simplefilter('ignore')",
        "import warnings\nwarnings.warn('w')",
    ),
    "warnings given": ("import warnings\nwarnings.warn('w')", "'__warningregistry__' in globals()"),
    "the locale": (
        "import locale\nlocale.setlocale(locale.LC_ALL, 'C')",
        "import locale\nlocale.setlocale(locale.LC_ALL)",
    ),
    "the decimal context": (
        "import decimal\ndecimal.getcontext().prec = 3",
        "import decimal\ndecimal.getcontext().prec",
    ),
    "context variables": (
        "import contextvars\ncontextvars.ContextVar('v').set(1)",
        "import contextvars\nlen(contextvars.copy_context())",
    ),
    "the time zone": (
        "import os, time\nos.environ['TZ'] = 'UTC+3'\ntime.tzset()",
        "import time\ntime.timezone",
    ),
    "sys.path": ("import sys\nsys.path.append('/mine')", "import sys\nsys.path[-1] == '/mine'"),
    "importers": (
        "import sys\nsys.meta_path.append(None)\nsys.path_hooks.append(None)",
        "import sys\nlen(sys.meta_path), len(sys.path_hooks)",
    ),
    "sys.stdout": (
        "import io, sys\nsys.stdout = sys.stderr = io.StringIO()",
        "import os, sys\nos.write(1, type(sys.stdout).__name__.encode())\nNone",
    ),
    "hooks": (
        "import sys\nsys.excepthook = sys.displayhook = sys.unraisablehook = print",
        "import sys\n[sys.excepthook is print, sys.displayhook is print, sys.unraisablehook is print]",
    ),
    "a tracer": (
        "import sys\nsys.settrace(lambda *_: None)\nsys.setprofile(lambda *_: None)",
        "import sys\nsys.gettrace() is None, sys.getprofile() is None",
    ),
    "atexit": (
        "import atexit\natexit.register(print, 'at the end')",
        "import atexit\natexit._ncallbacks()",
    ),
    "gc settings": (
        "import gc\ngc.disable()\ngc.set_threshold(5)\ngc.callbacks.append(lambda *_: None)",
        "import gc\ngc.isenabled(), gc.get_threshold(), len(gc.callbacks)",
    ),
    "the logging level": (
        "import logging\nlogging.disable(50)",
        "import logging\nlogging.root.manager.disable",
    ),
}


@pytest.mark.parametrize("what", LEFT_BEHIND)
def test_nothing_is_left_of_a_reset_step(pool, steps, what):
    """It shows what a step after an idle one shows; after a persistent step it shows something
    else."""
    leave, look = LEFT_BEHIND[what]
    fresh, after, kept = (
        steps(pool, mode, first, look)[1]
        for mode, first in (("reset", "pass"), ("reset", leave), ("persistent", leave))
    )
    assert [o.error_type for o in (fresh, after, kept)] == [None] * 3
    assert after.stdout == fresh.stdout != kept.stdout


@BOTH
def test_nothing_crosses_from_one_episode_to_the_next(make_limits, steps, mode):
    with Pool(make_limits()) as pool:
        before = {what: steps(pool, mode, look)[0] for what, (_, look) in LEFT_BEHIND.items()}
        for leave, _ in LEFT_BEHIND.values():
            steps(pool, mode, leave)
        for what, (_, look) in LEFT_BEHIND.items():
            assert steps(pool, mode, look)[0].stdout == before[what].stdout, what


@pytest.mark.parametrize("when", ["before", "after_in_parent", "after_in_child"])
def test_a_hook_that_fails_when_the_state_is_copied_costs_no_step(pool, steps, when):
    """The copies that kills are undone with run the hooks of Python's fork."""
    hook = f"import os\nos.register_at_fork({when}=lambda: 1 / 0)\nx = 1"
    seen = steps(pool, "persistent", hook, "x", "os._exit(1)", "x")
    last = [o.stdout for o in seen if o.killed_by is None and o.bindings][-1]
    assert (
        "1" in last.splitlines() and seen[2].restored
    )  # what Python says about the hook may stand on either side


def test_live_names_are_the_agents_own_and_none_after_a_reset(pool, steps):
    blocks = ("a = 1\nimport json\ndef f(): pass\n_b = 2", "c = 3\ndel a")
    names = [("a", "json", "f", "_b"), ("json", "f", "_b", "c")]
    assert [o.bindings for o in steps(pool, "persistent", *blocks)] == names
    assert [o.bindings for o in steps(pool, "reset", blocks[0], "c = 3")] == [(), ()]


WRITTEN = {
    "assignment": ("x = 1", {"x"}),
    "nothing": ("print(1)", set()),
    "targets of all kinds": (
        "for a in [1]: pass\nb, *c = 1, 2\n(d := 4)\nimport json as e\n"
        "from math import pi\ndef f(): pass\nclass G: pass",
        {"a", "b", "c", "d", "e", "pi", "f", "G"},
    ),
    "the same value again": ("old = old", {"old"}),
    "a helper's global": ("def up():\n    global n\n    n = 1\nup()", {"up", "n"}),
    "globals()": ("globals()['g'] = 5", {"g"}),
    "a change within an object": ("old.append(1)", set()),
    "a name inside a function": ("def f():\n    inner = 1\nf()", {"f"}),
    "a name of a comprehension": ("y = [i for i in [1]]", {"y"}),
    "deleted again": ("z = 1\ndel z", set()),
    "an assignment that is not reached": ("if not old == []: old = 1", set()),
}


@pytest.mark.parametrize("what", WRITTEN)
def test_written_names_are_those_the_step_bound(pool, steps, what):
    code, names = WRITTEN[what]
    assert set(steps(pool, "persistent", "old = []", code)[1].written) == names


def test_randomness_is_seeded_by_the_episode(pool, steps):
    code = "import random\nprint(random.random(), hash('a'))"
    first, again = (steps(pool, "reset", code, code)[0].stdout for _ in range(2))
    assert first == again == steps(pool, "persistent", code)[0].stdout
    assert first != steps(pool, "reset", code, seed=2)[0].stdout
