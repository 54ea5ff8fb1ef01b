"""What a block is."""

import pytest

from knapsack_lib.audit.formats.common import code_in, code_of_call

CALL = "<function=execute_ipython_cell>\n<parameter=code>\nx = 1\ny = 2\n</parameter>\n</function>"


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("I look.\n```python\nx = 1\n```", "x = 1"),
        ("One\n```python\nx = 1\n```\ntwo\n```py\ny = x\n```", "x = 1\ny = x"),
        ("```bash\nls\n```\n```python\nx = 1\n```\n```\nshown\n```", "x = 1"),
        ("```\nx = 1\n```", "x = 1"),
        ("```bash\nls\n```", None),
        ("<think>\n```python\nno = 1\n```\n</think>\n```python\nx = 1\n```", "x = 1"),
        ("<thought> t </thought><execute> print(1) </execute>", "print(1)"),
        ("<execute>\nx = 1\n</execute> then <execute>\nx\n</execute>", "x = 1\nx"),
        ("<execute>\n    x = 1\n    y = 2\n", "x = 1\ny = 2"),  # the stop word is often cut off
        ("<execute_ipython>\nx = 1\n</execute_ipython>", "x = 1"),
        ("Thought: t\n<code>\nx = 1\n</code>", "x = 1"),
        ("Call <code>f()</code> to see it.", None),
        (CALL, "x = 1\ny = 2"),
        ("a < b and `c`", None),
        ("", None),
    ],
)
def test_the_code_of_a_reply(reply, code):
    assert code_in(reply) == code


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ({"function": {"name": "python", "arguments": '{"code": "x = 1"}'}}, "x = 1"),
        ({"function": {"name": "run", "arguments": {"script": "x = 1"}}}, "x = 1"),
        ({"function": "python", "arguments": {"code": "x = 1"}}, "x = 1"),
        ({"name": "code_interpreter", "arguments": "x = 1"}, "x = 1"),
        ({"type": "tool_use", "name": "execute", "input": {"source": "x = 1"}}, "x = 1"),
        ({"function": {"name": "lookup", "arguments": "x = 1"}}, None),
        ({"function": {"name": "bash", "arguments": {"script": "ls"}}}, None),
        ({"function": {"name": "run", "arguments": {"code": "ls", "language": "bash"}}}, None),
        ({"function": {"name": "save", "arguments": {"code": "x", "path": "a.py"}}}, None),
        ({"function": {"name": "python", "arguments": '{"code": '}}, '{"code": '),
        ({"function": {"name": "python", "arguments": {"code": ["x"]}}}, None),
        ({"function": {"name": "python"}}, None),
        ("python", None),
    ],
)
def test_the_code_of_a_tool_call(call, code):
    assert code_of_call(call) == code
