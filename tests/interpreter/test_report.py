"""What the agent is shown of an error: Python's words and its own lines, nothing of the interpreter
or the machine."""

import os
import sys
from pathlib import Path

import pytest

BOTH = pytest.mark.parametrize("mode", ["persistent", "reset"])
REPOSITORY = Path(__file__).parents[2]

# what: (block, type of the error)
ERRORS = {
    "sys.exit": ("import sys\nsys.exit('bye')", "SystemExit"),
    "exit": ("exit()", "SystemExit"),
    "SystemExit": ("raise SystemExit", "SystemExit"),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "GeneratorExit": ("raise GeneratorExit", "GeneratorExit"),
    "own BaseException": ("class Own(BaseException): pass\nraise Own('x')", "BaseException"),
    "own Exception": ("class Own(Exception): pass\nraise Own('x')", "Exception"),
    "exception group": ("raise ExceptionGroup('g', [ValueError(1)])", "ExceptionGroup"),
    "str raises": (
        "class E(Exception):\n    def __str__(self): raise KeyError\nraise E",
        "Exception",
    ),
    "str raises itself": (
        "class E(BaseException):\n    def __str__(self): raise self\nraise E",
        "BaseException",
    ),
    "str is no text": (
        "class E(Exception):\n    def __str__(self): return 5\nraise E",
        "Exception",
    ),
    "str exits": (
        "import sys\nclass E(Exception):\n    def __str__(self): sys.exit()\nraise E",
        "Exception",
    ),
    "str is huge": (
        "class E(Exception):\n    def __str__(self): return 'x' * 10**7\nraise E",
        "Exception",
    ),
    "repr exits": ("import sys\nclass R:\n    def __repr__(self): sys.exit()\nR()", "SystemExit"),
    "raise a non-exception": ("raise 5", "TypeError"),
    "recursion": ("def f(): f()\nf()", "RecursionError"),
    "memory": ("x = bytearray(1 << 33)", "MemoryError"),
    "memory by parts": ("x = []\nwhile True: x.append(bytearray(1 << 22))", "MemoryError"),
    "syntax": ("def f(:", "SyntaxError"),
    "indentation": ("  x = 1\n y = 2", "IndentationError"),
    "tabs": ("if 1:\n        x = 1\n\ty = 2", "TabError"),
    "a NUL byte": ("x = 1\0", "SyntaxError"),
    "a lone surrogate": ("x = '\ud800'", "UnicodeEncodeError"),
    "deep brackets": ("x = " + "(" * 50_000 + ")" * 50_000, "SyntaxError"),
    "deep tree": ("x = " + "-" * 50_000 + "1", "MemoryError, or RecursionError"),
    "a tool named by dots": ("echo.missing", "AttributeError"),
    "import of the package": ("import knapsack_lib", "ModuleNotFoundError"),
    "import of numpy": ("import numpy", "ModuleNotFoundError"),
    "return outside": ("return 5", "SyntaxError"),
    "yield outside": ("yield 5", "SyntaxError"),
    "await outside": ("await f()", "SyntaxError"),
    "a file in memory": (
        "import os\nfd = os.memfd_create('m')\nos.write(fd, b'x')",
        "PermissionError",
    ),
    "copying its process": ("import os\nos.fork()", "PermissionError"),
    "a program": ("import subprocess\nsubprocess.run(['true'])", "PermissionError"),
    "a socket": ("import socket\nsocket.socket()", "PermissionError"),
    "a signal": ("import os\nos.kill(os.getpid(), 9)", "PermissionError"),
    "reading": ("open('/etc/passwd')", "PermissionError"),
    "listing": ("import os\nos.listdir('/')", "PermissionError"),
}


@pytest.mark.parametrize("what", ERRORS)
@BOTH
def test_an_error_is_an_observation_and_state_stays(pool, steps, mode, what):
    code, kind = ERRORS[what]
    before, seen, after = steps(pool, mode, "kept = 1", code, "print('kept' in globals())")
    assert seen.error_type in kind.split(", or ")
    assert (seen.killed_by, seen.state_lost, seen.restored) == (None, False, False)
    assert len(seen.error) <= 300 and seen.traceback.startswith(
        "Traceback (most recent call last):\n"
    )
    assert (after.stdout, after.error_type) == (f"{mode == 'persistent'}\n", None)


@BOTH
def test_an_error_is_reported_with_type_message_and_line(pool, steps, mode):
    seen = steps(pool, mode, "x = 1\ndef f():\n    return [][2]\nf()")[0]
    assert (seen.error_type, seen.error, seen.line) == ("IndexError", "list index out of range", 3)


def test_a_missing_name_is_a_name_error_however_it_arises(pool, steps):
    found = steps(
        pool, "reset", "print(rest)", "def f():\n    return rest\nf()", "def f():\n    n += 1\nf()"
    )
    assert [o.error_type for o in found] == ["NameError", "NameError", "UnboundLocalError"]


@BOTH
def test_too_much_memory_is_reported_with_the_limit(pool, steps, mode):
    seen = steps(pool, mode, "x = bytearray(1 << 33)", "raise MemoryError('my own')")
    assert [o.error for o in seen] == ["the limit of 256 MB was reached", "my own"]


# Tracebacks ---------------------------------------------------------------------------------------

TRACEBACKS = {
    "one line": (
        "1 / 0",
        'Traceback (most recent call last):\n  File "<block 1>", line 1, in <module>\n    1 / 0\n'
        "ZeroDivisionError: division by zero\n",
    ),
    "the last expression": (
        "x = 0\n(\n    1 /\n    x)",
        'Traceback (most recent call last):\n  File "<block 1>", line 3, in <module>\n    1 /\n'
        "ZeroDivisionError: division by zero\n",
    ),
    "through functions": (
        "def f(x):\n    return [][x]\n\nclass C:\n    def m(self): f(2)\n\nC().m()\nx = 1",
        'Traceback (most recent call last):\n  File "<block 1>", line 7, in <module>\n    C().m()\n'
        '  File "<block 1>", line 5, in m\n    def m(self): f(2)\n'
        '  File "<block 1>", line 2, in f\n    return [][x]\nIndexError: list index out of range\n',
    ),
    "through the library": (
        "import json\njson.loads('{')",
        "Traceback (most recent call last):\n  File \"<block 1>\", line 2, in <module>\n    json.loads('{')\n"
        "JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)\n",
    ),
    "through the library and back": (
        "import functools\ndef f(a, b): return a / b\nx = functools.reduce(f, [1, 0])\nimport json\n",
        'Traceback (most recent call last):\n  File "<block 1>", line 3, in <module>\n'
        "    x = functools.reduce(f, [1, 0])\n"
        '  File "<block 1>", line 2, in f\n    def f(a, b): return a / b\nZeroDivisionError: division by zero\n',
    ),
    "a tool": (
        "def look():\n    refuse('PermissionError')\nlook()",
        'Traceback (most recent call last):\n  File "<block 1>", line 3, in <module>\n    look()\n'
        "  File \"<block 1>\", line 2, in look\n    refuse('PermissionError')\n"
        "PermissionError: a PermissionError for you\n",
    ),
    "raised from": (
        "try: 1 / 0\nexcept Exception as e: raise KeyError('k') from e",
        'Traceback (most recent call last):\n  File "<block 1>", line 1, in <module>\n    try: 1 / 0\n'
        "ZeroDivisionError: division by zero\n\n"
        "The above exception was the direct cause of the following exception:\n\n"
        'Traceback (most recent call last):\n  File "<block 1>", line 2, in <module>\n'
        "    except Exception as e: raise KeyError('k') from e\nKeyError: 'k'\n",
    ),
    "raised while handling": (
        "try: 1 / 0\nexcept Exception: missing",
        'Traceback (most recent call last):\n  File "<block 1>", line 1, in <module>\n    try: 1 / 0\n'
        "ZeroDivisionError: division by zero\n\n"
        "During handling of the above exception, another exception occurred:\n\n"
        'Traceback (most recent call last):\n  File "<block 1>", line 2, in <module>\n    except Exception: missing\n'
        "NameError: name 'missing' is not defined\n",
    ),
    "raised from None": (
        "try: 1 / 0\nexcept Exception: raise KeyError(1) from None",
        'Traceback (most recent call last):\n  File "<block 1>", line 2, in <module>\n'
        "    except Exception: raise KeyError(1) from None\nKeyError: 1\n",
    ),
    "without a message": (
        "assert 1 == 2",
        'Traceback (most recent call last):\n  File "<block 1>", line 1, in <module>\n    assert 1 == 2\n'
        "AssertionError\n",
    ),
    "not Python": (
        "x = 1\nif x\n    y = 2",
        'Traceback (most recent call last):\n  File "<block 1>", line 2, in <module>\n    if x\n'
        "SyntaxError: expected ':' (<turn>, line 2)\n",
    ),
    "not Python inside": (
        "x = 1\neval('1 +')",
        "Traceback (most recent call last):\n  File \"<block 1>\", line 2, in <module>\n    eval('1 +')\n"
        "SyntaxError: invalid syntax (<string>, line 1)\n",
    ),
}


@pytest.mark.parametrize("what", TRACEBACKS)
@BOTH
def test_a_traceback_is_pythons_with_the_agents_lines_only(pool, steps, mode, what):
    code, shown = TRACEBACKS[what]
    assert steps(pool, mode, code)[0].traceback == shown


def test_a_traceback_quotes_the_lines_of_earlier_blocks(pool, steps):
    """Also after a kill, and from the block that defined the function, whatever the present one has
    on that line."""
    seen = steps(
        pool,
        "persistent",
        "def f(x):\n    return 1 / x",
        "import os\nos._exit(0)",
        "# two\n# lines\nf(0)",
    )[2]
    assert seen.traceback.splitlines()[1:5] == [
        '  File "<block 3>", line 3, in <module>',
        "    f(0)",
        '  File "<block 1>", line 2, in f',
        "    return 1 / x",
    ]
    assert seen.line == 2


def test_the_source_of_a_function_can_be_asked_for(pool, steps):
    blocks = ("def f():\n    return 1", "import inspect\nprint(inspect.getsource(f))")
    assert steps(pool, "persistent", *blocks)[1].stdout == "def f():\n    return 1\n\n"


@BOTH
def test_a_long_traceback_shows_its_ends_and_how_much_is_left_out(pool, steps, mode):
    seen = steps(
        pool,
        mode,
        "def down(n):\n    return down(n - 1) if n else 1 / 0\ndown(100)",
        "def f(): f()\nf()",
    )
    lines = seen[0].traceback.splitlines()
    assert lines[1:3] == ['  File "<block 1>", line 3, in <module>', "    down(100)"]
    assert lines[-1] == "ZeroDivisionError: division by zero" and len(lines) < 30
    (left_out,) = [line for line in lines if "more calls" in line]
    assert (
        int(left_out.strip(" []").split()[0]) + sum(line.startswith("  File") for line in lines)
        == 102
    )
    assert seen[1].error_type == "RecursionError" and len(seen[1].traceback.splitlines()) < 30


@BOTH
def test_an_error_whose_cause_is_itself_is_shown_once(pool, steps, mode):
    seen = steps(
        pool,
        mode,
        "e = ValueError('mine')\nf = KeyError('other')\ne.__cause__, f.__cause__ = f, e\nraise e",
    )[0]
    assert seen.killed_by is None and seen.traceback.count("ValueError: mine\n") == 1


# Nothing of this machine --------------------------------------------------------------------------

PRINTED = {
    "an error in the library": "import json\njson.loads('{')",
    "the same, printed by the block": "import json, traceback\ntry: json.loads('{')\n"
    "except Exception: traceback.print_exc()",
    "the stack": "import traceback\n"
    "traceback.print_stack()\nprint(traceback.format_stack(), traceback.extract_stack())",
    "frames": "import sys\nf = sys._getframe()\nwhile f:\n"
    "    print(f.f_code, f.f_code.co_filename, f)\n    f = f.f_back",
    "an error in a thread": "import threading\nt = threading.Thread(target=lambda: 1 / 0)\nt.start()\nt.join()",
    "an error while deleting": "class C:\n    def __del__(self): 1 / 0\nC()\nNone",
    "a warning": "import warnings\nwarnings.warn('w')\nwarnings.warn('w', stacklevel=9)",
    "a refusal": "import traceback\ntry: refuse('KeyError')\nexcept KeyError: traceback.print_exc()",
    "wrong arguments": "import traceback\ntry: echo({1})\nexcept TypeError: traceback.print_exc()",
    "a tool's source": "import inspect\nprint(inspect.getsourcefile(echo), echo.__code__)",
    "faulthandler": "import faulthandler\nfaulthandler.dump_traceback(1)",
    "modules": "import sys\nprint([*sys.modules.values()])",
    "a module's file": "import json\nprint(json, json.__file__)\njson.missing",
    "arguments of the process": "import sys\nprint(sys.argv)",
    "places of Python": "import sys\nprint(sys.executable, sys.prefix, sys.path, sys.orig_argv)",
}


@pytest.mark.parametrize("what", PRINTED)
@BOTH
def test_no_place_of_this_machine_and_no_file_of_ours_is_shown(pool, steps, mode, what):
    """Else what the agent is shown would differ from machine to machine."""
    seen = steps(pool, mode, PRINTED[what])[0]
    shown = "".join([seen.stdout, seen.error or "", seen.traceback or ""])
    assert shown and seen.killed_by is None
    for place in (
        str(REPOSITORY),
        os.path.dirname(os.__file__),
        sys.prefix,
        "worker.py",
        "parent.py",
        "knapsack_lib",
    ):
        assert place not in shown
