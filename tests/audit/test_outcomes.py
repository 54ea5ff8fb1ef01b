"""What an observation says of the block before it."""

import json

import pytest

from knapsack_lib.audit.outcomes import missing_name, outcome_of, plain, was_stopped

PYTHON = """Traceback (most recent call last):
  File "/usr/lib/python3.11/runner.py", line 90, in run
    exec(code, space)
  File "<string>", line 4, in <module>
  File "<string>", line 2, in total
NameError: name 'rate' is not defined. Did you mean: 'rates'?"""
CHAINED = """Traceback (most recent call last):
  File "<stdin>", line 2, in <module>
KeyError: 'a'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "<stdin>", line 4, in <module>
ValueError: no 'a'"""
IPYTHON = """3
---------------------------------------------------------------------------
NameError                                 Traceback (most recent call last)
Cell In[12], line 5
      3     return rate * n
      4 print(3)
----> 5 total(2)

Cell In[12], line 3, in total(n)
      1 def total(n):
----> 3     return rate * n

NameError: name 'rate' is not defined"""
OLD_IPYTHON = """---------------------------------------------------------------------------
NameError                                 Traceback (most recent call last)
<ipython-input-3-1f2e3d4c5b6a> in <module>
      1 a = 1
      2
----> 3 print(rate)

NameError: name 'rate' is not defined"""
OLD_LINE = """---------------------------------------------------------------------------
NameError                                 Traceback (most recent call last)
Input In [7], in <cell line: 2>()
      1 a = 1
----> 2 rate

NameError: name 'rate' is not defined"""
LIBRARY_FIRST = """---------------------------------------------------------------------------
KeyError                                  Traceback (most recent call last)
File /site-packages/frames/base.py:3790, in Index.get(self, key)
   3789 try:
-> 3790     return self.find(key)

KeyError: 'a'

The above exception was the direct cause of the following exception:

KeyError                                  Traceback (most recent call last)
Cell In[4], line 2
      1 import frames
----> 2 frames.load()['a']

KeyError: 'a'"""
SYNTAX = """  Cell In[3], line 2
    x = = 1
        ^
SyntaxError: invalid syntax"""
PLAIN_SYNTAX = """  File "<stdin>", line 3
    x = = 1
        ^
SyntaxError: invalid syntax"""
DOTTED = """Traceback (most recent call last):
  File "<string>", line 1, in <module>
json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)"""
UNUSUAL = """Traceback (most recent call last):
  File "<string>", line 6, in <module>
    queue.get_nowait()
  File "/usr/lib/python3.11/queue.py", line 168, in get
    raise Empty
_queue.Empty"""
SEVERAL_LINES = """Traceback (most recent call last):
  File "<string>", line 2, in <module>
ValueError: first line
second line: with a colon
third"""
NO_MESSAGE = """Traceback (most recent call last):
  File "<string>", line 2, in <module>
AssertionError"""
SMOL = (
    "Error:\nCode execution failed at line 'print(rate)' due to: InterpreterError: The variable `rate`"
    " is not defined.\nNow let's retry: take care not to repeat previous errors!"
)
SUGGESTED = "name 'rate' is not defined. Did you mean: 'rates'?"
NAME = ("NameError", "name 'rate' is not defined")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (PYTHON, ("NameError", SUGGESTED, 4)),
        (CHAINED, ("ValueError", "no 'a'", 4)),
        (IPYTHON, (*NAME, 5)),
        (IPYTHON + "\n[the kernel is still there]", (*NAME, 5)),
        (OLD_IPYTHON, (*NAME, 3)),
        (OLD_LINE, (*NAME, 2)),
        (LIBRARY_FIRST, ("KeyError", "'a'", 2)),
        (SYNTAX, ("SyntaxError", "invalid syntax", 2)),
        (PLAIN_SYNTAX, ("SyntaxError", "invalid syntax", 3)),
        (DOTTED, ("JSONDecodeError", "Expecting value: line 1 column 1 (char 0)", 1)),
        (UNUSUAL, ("Empty", "", 6)),
        (SEVERAL_LINES, ("ValueError", "first line", 2)),
        (NO_MESSAGE, ("AssertionError", "", 2)),
        (SMOL, (*NAME, None)),
        ("NameError: name 'rate' is not defined", (*NAME, None)),
        ("12\nNameError: name 'rate' is not defined\n", (*NAME, None)),
        ("NameError: name 'rate' is not defined (line 7)", (*NAME, 7)),
        (json.dumps({"output": "", "error": PYTHON}), ("NameError", SUGGESTED, 4)),
        (json.dumps({"stdout": "12", "stderr": ""}), (None, None, None)),
        ("", (None, None, None)),
        ("12", (None, None, None)),
        ("ValueError: caught\nthen it went on: 12", (None, None, None)),
        ("The Error column\nError rate: 0.3", (None, None, None)),
        ("In [3], line 4 of the poem", (None, None, None)),
    ],
)
def test_the_error_that_ended_a_block_is_found_with_its_line(text, found):
    assert outcome_of(text) == found


@pytest.mark.parametrize("escape", ["\x1b", ""])  # some logs lose the escape itself
def test_colours_are_taken_out(escape):
    red, end = f"{escape}[0;31m", f"{escape}[0m"
    text = IPYTHON.replace("NameError", f"{red}NameError{end}").replace(
        "----> 5", f"{red}----> {end}{red}5{end}"
    )
    assert plain(text) == IPYTHON
    assert outcome_of(text) == (*NAME, 5)


def test_a_real_traceback_of_this_python_is_read():
    code = "def f():\n    return here\nx = 1\nf()"
    try:
        exec(compile(code, "<string>", "exec"), {})
    except NameError:
        import traceback

        text = traceback.format_exc()
    assert outcome_of(text) == ("NameError", "name 'here' is not defined", 4)


@pytest.mark.parametrize(
    ("text", "stopped"),
    [
        ("[Execution timed out after 30 seconds]", True),
        ("Command timed out before completing.", True),
        ("Timeout: the cell took too long", True),
        ("Code execution exceeded the maximum execution time of 30 seconds", True),
        ("The kernel died while the cell was run", True),
        ("time 3.2, out 4", False),
        ("12 seconds", False),
        ("Execution timed out" + " of mind" * 200, False),  # in the middle of a long output
    ],
)
def test_a_block_that_a_limit_stopped_is_known(text, stopped):
    assert was_stopped(text) is stopped


def test_the_name_of_a_name_error():
    assert missing_name("NameError", "name 'x' is not defined. Did you mean: 'y'?") == "x"
    assert missing_name("KeyError", "name 'x' is not defined") is None
    assert missing_name("NameError", None) is None
