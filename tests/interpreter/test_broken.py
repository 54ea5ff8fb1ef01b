"""Blocks that break their own interpreter: an observation, the same each time, and nothing else is
broken."""

from dataclasses import replace
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
ALL = pytest.mark.parametrize("mode", ["persistent", "reset", "functions", "data", "ttl:1"])

ODD = {
    "sys.stdout is None": "import sys\nsys.stdout = None",
    "sys.stdout is a number": "import sys\nsys.stdout = 5",
    "sys.stdout is closed": "import sys\nsys.stdout.close()",
    "sys.stdout is a text": "import sys, io\nsys.stdout = io.StringIO()\nprint('inside')\n5",
    "sys.stdout is no more": "import sys\ndel sys.stdout\nsys.modules['sys'] = None\n5",
    "flush fails": "import sys\nclass S:\n    def write(self, text): pass\n    def flush(self): raise OSError\n"
    "sys.stdout = S()",
    "descriptor 1 is closed": "import os\nos.close(1)",
    "descriptor 1 is closed after a print": "import os\nprint('a')\nos.close(1)",
    "descriptor 1 is something else": "import os\nos.dup2(0, 1)\nprint('a')",
    "all descriptors are closed": "import os\nos.closerange(0, 256)",
    "the socket is closed": "import os\nos.close(3)",
    "the socket is something else": "import os\nn = os.dup2(0, 3)",
    "the socket does not wait": "import os\nos.set_blocking(3, False)",
    "builtins are deleted": "del __builtins__",
    "builtins are emptied": "import builtins\nfor k in list(vars(builtins)): delattr(builtins, k)",
    "len is gone": "import builtins\nbuiltins.len = None",
    "json is broken": "import json\njson.dumps = json.loads = None",
    "sys.modules is emptied": "import sys\nsys.modules.clear()",
    "the main module is another": "import sys\nsys.modules['__main__'] = None",
    "globals are emptied": "globals().clear()",
    "a name that is no text": "globals()[5] = 1\nglobals()[None] = 2",
    "a name that cannot be printed": "class K(str):\n    def __str__(self): raise ValueError\nglobals()[K('k')] = 1",
    "a name that equals all": "class K(str):\n    __hash__ = str.__hash__\n    def __eq__(self, o): return True\n"
    "globals()[K('k')] = 1",
    "a name that cannot be compared": "class K(str):\n    __hash__ = str.__hash__\n"
    "    def __eq__(self, o): raise ValueError\nglobals()[K('x')] = 1",
    "an exit code that cannot be printed": "class K:\n    def __str__(self): raise ValueError\nraise SystemExit(K())",
    "a message that is a trap": (
        "class S(str):\n    def __getitem__(self, i): raise ValueError\n"
        "class E(Exception):\n    def __str__(self): return S('x')\nraise E"
    ),
    "a type without a name": (
        "class M(type):\n    @property\n    def __name__(cls): raise ValueError\n"
        "class E(Exception, metaclass=M): pass\nraise E"
    ),
    "a type that claims to be another": "class E(Exception):\n    __class__ = property(lambda self: 1 / 0)\nraise E",
    "a cause that is a trap": "class E(Exception):\n    def __getattribute__(self, n): raise SystemExit\n"
    "raise E from E()",
    "a line that is no number": "e = SyntaxError('x')\ne.lineno = object()\nraise e",
    "a file that is no text": "e = SyntaxError('x')\ne.filename, e.lineno = [], 1\nraise e",
    "a value that changes while it is looked at": (
        "import threading\nx = {}\ndef f():\n    for i in range(10**5): x[i % 99] = i; x.pop(i % 7, 0)\n"
        "threading.Thread(target=f).start()"
    ),
    "a value that cannot be deleted": "class C:\n    def __del__(self): raise ValueError\nx = C()",
    "a value that comes back": "class C:\n    def __del__(self): globals()['y'] = self\nx = C()\ndel x",
    "lines that are forgotten": "import linecache\nlinecache.cache.clear()\nlinecache.getlines = None\n1 / 0",
    "a timer that raises later": (
        "import signal, time\ndef ring(*_): raise ValueError\nsignal.signal(signal.SIGALRM, ring)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.01)"
    ),
    "a profiler that raises": "import sys\ndef f(*_): raise ValueError\nsys.setprofile(f)",
    "a tracer that raises": "import sys\ndef f(*_): raise ValueError\nsys.settrace(f)",
    "no recursion": "import sys\nsys.setrecursionlimit(50)",
    "limits lowered": "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1, 1))",
    "no more descriptors": "import os\nkeep = []\ntry:\n    while True: keep.append(os.dup(0))\nexcept OSError: pass",
    "no more memory": "keep = []\ntry:\n    while True: keep.append(bytearray(1 << 20))\nexcept MemoryError: pass",
    "no more threads": "import threading, time\ntry:\n"
    "    while True: threading.Thread(target=time.sleep, args=(9,)).start()\nexcept BaseException: pass",
    "random is broken": "import random\nrandom._inst = random.seed = random.Random = None",
    "gc callbacks": "import gc\ndef f(*_): raise ValueError\ngc.callbacks.append(f)\ngc.collect()",
    "an import hook": "import builtins\nbuiltins.__import__ = None",
    "the class builder": "import builtins\nbuiltins.__build_class__ = None",
}
# What these do depends on the moment: they are run, and nothing else may break, but need not be the
# same twice.
BY_CHANCE = {
    "a timer that raises later",
    "a value that changes while it is looked at",
    "no more threads",
    "the socket does not wait",
    "no more memory",
}


@pytest.mark.parametrize("what", ODD)
@ALL
def test_a_block_that_breaks_its_own_interpreter_breaks_nothing_else(hasty, steps, mode, what):
    """It is an observation without our own files in it, the same each time; the next reset step is
    as new."""

    def play():
        first, after = steps(hasty, mode, ODD[what], "print(6 * 7)")
        return replace(first, seconds=0), after

    (first, after), (again, _) = play(), play()
    for text in (first.stdout, first.error or "", first.traceback or ""):
        assert "worker.py" not in text and str(REPOSITORY) not in text
    assert first == again or what in BY_CHANCE
    assert mode != "reset" or after.stdout == "42\n"
    assert steps(hasty, mode, "print(6 * 7)")[0].stdout == "42\n"


# Blocks after which an honest agent could continue: the next block of the same episode runs as ever.
HARMLESS = [
    "sys.stdout is a text",
    "json is broken",
    "globals are emptied",
    "a name that is no text",
    "len is gone",
    "a name that cannot be printed",
    "a message that is a trap",
    "a type without a name",
    "random is broken",
    "a value that cannot be deleted",
    "a line that is no number",
    "lines that are forgotten",
    "no more descriptors",
]


@pytest.mark.parametrize("what", HARMLESS)
def test_the_episode_itself_continues_too(hasty, steps, what):
    code = "import os\nn = os.write(1, b'on\\n')"
    first, after = steps(hasty, "persistent", ODD[what], code)
    assert (first.killed_by, after.stdout, after.killed_by, after.state_lost) == (
        None,
        "on\n",
        None,
        False,
    )
