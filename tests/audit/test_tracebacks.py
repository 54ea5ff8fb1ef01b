"""A recorded traceback says the lines of the block as it is now."""

from knapsack_lib.audit.tracebacks import with_new_lines

OLD = "def f(x): return 1 / x\ny = 0\nprint(f(y))"
NEW = "import json\n\nimport re\nz = [\n    1\n]\n\n" + OLD
IPYTHON = """---------------------------------------------------------------------------
ZeroDivisionError                         Traceback (most recent call last)
Cell In[3], line 3
      1 def f(x): return 1 / x
      2 y = 0
----> 3 print(f(y))

Cell In[3], line 1, in f(x)
----> 1 def f(x): return 1 / x

Cell In[1], line 2, in g(x)
----> 2 other(x)

ZeroDivisionError: division by zero
You have 3 steps left"""


def test_ipythons_frames_and_the_lines_that_it_quotes_move():
    moved = with_new_lines(IPYTHON, OLD, NEW).splitlines()
    assert moved[2:6] == [
        "Cell In[3], line 10",
        "      8 def f(x): return 1 / x",
        "      9 y = 0",
        "---> 10 print(f(y))",
    ]
    assert moved[7:9] == ["Cell In[3], line 8, in f(x)", "----> 8 def f(x): return 1 / x"]
    assert moved[10:] == IPYTHON.splitlines()[10:]
    assert with_new_lines("\n".join(moved), NEW, OLD) == IPYTHON


def test_a_plain_traceback_moves_where_it_is_in_the_block():
    text = (
        'Traceback (most recent call last):\n  File "<string>", line 3, in <module>\n'
        '  File "<string>", line 7, in f\nZeroDivisionError: division by zero'
    )
    assert with_new_lines(text, OLD, NEW) == text.replace("line 3", "line 10")


def test_what_was_printed_stays_as_it_is():
    for text in ("      1 one\n      2 y = 0", "line 3", IPYTHON.replace("Error", "")):
        assert with_new_lines(text, OLD, NEW) == text
    assert with_new_lines(IPYTHON, OLD, OLD) == IPYTHON
