"""Replies as real models write them: who writes so, the reply, what parsing says of it, and the code
that is run."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["REPLIES"]


class Written(NamedTuple):
    by: str
    reply: str
    status: str
    code: str | None = None


def runs(by: str, reply: str, code: str) -> Written:
    return Written(by, reply, "code", code)


def none(by: str, reply: str) -> Written:
    return Written(by, reply, "no_code")


def several(by: str, reply: str) -> Written:
    return Written(by, reply, "several_blocks")


LOOK = "for item in list_items():\n    print(item, inspect(item))"

REPLIES = (
    # Gemini: a sentence, a block, now and then a remark, its own tool tags
    runs("gemini", f"I begin by looking at the items.\n\n```python\n{LOOK}\n```", LOOK),
    runs(
        "gemini",
        f"**Plan**\n\n1. Look.\n2. Take.\n\n```python\n{LOOK}\n```\n\nThis prints all items.",
        LOOK,
    ),
    runs("gemini", f"```python\n{LOOK}\n```\n", LOOK),
    runs("gemini", "```python\nfinish()\n```\n\n\n", "finish()"),
    none("gemini", "```tool_code\nprint(list_items())\n```"),
    runs(
        "gemini",
        "```python\ntake('a')\n```\n\nExpected:\n\n```text\nok\n```",
        "take('a')",
    ),
    runs("gemini", "```python\ntake('a')\n```\n```output\nTrue\n```", "take('a')"),
    several("gemini", "First:\n```python\nx = 1\n```\nThen:\n```python\nprint(x)\n```"),
    none("gemini", ""),
    none("gemini", "The knapsack is full, so the task is done."),
    runs("gemini", "```Python\nfinish()\n```", "finish()"),
    runs("gemini", "```py\nfinish()\n```", "finish()"),
    # Qwen without thinking: an empty thought first, or none
    runs("qwen", f"<think>\n\n</think>\n\n```python\n{LOOK}\n```", LOOK),
    runs("qwen", f"<think></think>```python\n{LOOK}\n```", LOOK),
    runs("qwen", "Let's take it:\n\n```python\ntake('b')\n```", "take('b')"),
    runs("qwen", "```python\r\na = 1\r\nprint(a)\r\n```\r\n", "a = 1\nprint(a)"),
    runs("qwen", "看一下。\n```python\nprint('重量')\n```", "print('重量')"),
    runs("qwen", "<answer>\n```python\nfinish()\n```\n</answer>", "finish()"),
    none("qwen", '<tool_call>\n{"name": "inspect", "arguments": {}}\n</tool_call>'),
    # Qwen with thinking: drafts in its thoughts are no blocks
    runs(
        "qwen thinking",
        "<think>\nMaybe\n```python\nguess()\n```\nNo.\n</think>\n\n```python\nlook()\n```",
        "look()",
    ),
    runs(
        "qwen thinking",
        "Maybe\n```python\nguess()\n```\nNo.\n</think>\n\n```python\nlook()\n```",
        "look()",
    ),
    runs(
        "qwen thinking",
        "<think>\none\n</think>\n<think>\ntwo\n```python\nx\n```\n</think>\n```python\ny\n```",
        "y",
    ),
    runs("qwen thinking", "\n\n<think>\nhm\n</think>\n```python\ny\n```", "y"),
    runs("qwen thinking", "hm\r\n</think>\r\n\r\n```python\r\ny\r\n```", "y"),
    none("qwen thinking", "<think>\nI could run\n```python\nx\n```\nbut then"),
    none("qwen thinking", "<think>\n```python\nx\n```\n</think>\n\nThe answer is 3."),
    runs(
        "qwen thinking",
        "<think>\nAn open fence:\n```python\nx = 1\n</think>\n```python\ny\n```",
        "y",
    ),
    runs("qwen thinking", "<thinking>\n```\nx\n```\n</thinking>\n```python\ny\n```", "y"),
    runs(
        "qwen thinking",
        "```python\nprint('<think>')\n```",
        "print('<think>')",
    ),
    runs(
        "qwen thinking",
        "I say </think> in a sentence.\n```python\ny\n```",
        "y",
    ),
    runs(
        "qwen thinking",
        "```python\ntag = '</think>'\nprint(tag)\n```",
        "tag = '</think>'\nprint(tag)",
    ),
    # Llama: no tag, lists, quotes, its own tag for code
    runs("llama", f"Here is the code:\n```\n{LOOK}\n```\nLet me know!", LOOK),
    runs("llama", "1. Look:\n   ```python\n   look()\n   ```\n2. Wait.", "look()"),
    runs("llama", "* step\n\n  ```python\n  if a:\n      look()\n  ```", "if a:\n    look()"),
    runs("llama", "> ```python\n> look()\n> ```", "look()"),
    none("llama", "<|python_tag|>print(list_items())"),
    runs("llama", "```\nx = 1\n```\n\n```python\nlook()\n```", "look()"),
    several("llama", "```\nx = 1\n```\n\n```\nlook()\n```"),
    none("llama", '```json\n{"name": "take", "item": "a"}\n```'),
    runs("llama", "```bash\npip install numpy\n```\n```python\nlook()\n```", "look()"),
    runs("llama", "```bash\nls\n```\n```\nlook()\n```", "look()"),
    runs("llama", "  ```python\n  a = 1\n  if a:\n      b = 2\n  ```", "a = 1\nif a:\n    b = 2"),
    runs("llama", "   ```python\n   a = 1\n```", "a = 1"),
    none("llama", "    a = 1\n    print(a)"),
    # GPT style: tags with attributes, longer fences, tildes, code that prints Markdown
    runs("gpt", '```python title="look.py"\nlook()\n```', "look()"),
    runs("gpt", "```{.python .numberLines}\nlook()\n```", "look()"),
    runs("gpt", "``` python\nlook()\n```", "look()"),
    runs("gpt", "```python3\nlook()\n```", "look()"),
    runs("gpt", "```py3\nlook()\n```", "look()"),
    runs("gpt", "```PYTHON\nlook()\n```", "look()"),
    runs("gpt", "```ipython\nlook()\n```", "look()"),
    runs("gpt", "~~~python\nlook()\n~~~", "look()"),
    runs("gpt", "~~~\nprint('```')\n~~~", "print('```')"),
    runs("gpt", "````python\ns = '''\n```\n'''\n````", "s = '''\n```\n'''"),
    runs("gpt", '```python\ns = "```"\nprint(s)\n```', 's = "```"\nprint(s)'),
    runs(
        "gpt",
        '```python\nprint("""use ```python here""")\n```',
        'print("""use ```python here""")',
    ),
    runs("gpt", "```python\nx = 1\n   ```\nDone.", "x = 1"),
    runs("gpt", "```python\nx = 1\n``` \t\nDone.", "x = 1"),
    runs("gpt", "```python\n\nx = 1\n\n\n```", "\nx = 1\n\n"),
    runs("gpt", "```python\n\tx = 1\n```", "\tx = 1"),
    runs("gpt", "<div>\n```python\nlook()\n```\n</div>", "look()"),
    none("gpt", "I would call `look()` and then `finish()`."),
    none("gpt", "```js\nconsole.log(1)\n```"),
    several("gpt", "~~~python\nx\n~~~\n```python\ny\n```"),
    # Small models gone wrong
    runs("small", "```python\nlook()", "look()"),
    runs("small", "```python\nlook()\n", "look()"),
    runs("small", "```python\nlook()\n``", "look()\n``"),
    runs("small", "```python\nlook()```", "look()```"),
    runs("small", "```python\nlook()\n```python", "look()\n```python"),
    runs("small", "```python\nlook()\n```\n```", "look()"),
    runs("small", "```python\n```", ""),
    runs("small", "~~~python\nlook()\n```", "look()\n```"),
    none("small", "```python"),
    none("small", "Look: ```python\nlook()\n```"),
    none("small", "```python look()```"),
    none("small", "look()\nfinish()"),
    none("small", "python\nlook()\n"),
    none("small", "'''python\nlook()\n'''"),
    several("small", "```python\nlook()\n```\n" * 3),
    none("small", "``python\nlook()\n``"),
    runs("small", "```python\x00\nlook()\n```", "look()"),
    runs("small", "```python\nlook()\r```", "look()"),
)
