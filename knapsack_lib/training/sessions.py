"""What the pocket base is trained on: made-up bookkeeping sessions, in both styles alike, and never
the knapsack task.

A session is a short talk in which an assistant keeps records in Python. Half of the sessions reuse
names and helpers that earlier blocks defined, the other half write what they need out again, so the
base leans to neither. A queue is worked off in steps, much as an agent inspects items in batches;
but nothing is chosen, refused, weighed or scored, and none of the study's tools, prompts or
episodes occur.

    document = session(rng, size)      # -> list of (role, text, copied spans)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from textwrap import indent

import numpy as np

from knapsack_lib.families.ids import draw_ids, id_names

__all__ = ["Part", "document", "session", "words"]

# Role, text, and the character spans of it that restate something shown before.
Part = tuple[str, str, list[tuple[int, int]]]

NOUNS = (
    "rows marks pairs queue notes depot stock names pool spare log table index rest seen budget left taken bad open "
    "parcels guests shelf batch ledger labels sheet counts parts orders tickets unseen known tries room bag banned "
    "store slots cards pages keys links spots items things"
).split()
VERBS = "look grab scan pack move sort add read step work next load fill pass mark list check put keep log".split()
ASKS = ("Keep the {a} in order.", "Work through the {a}.", "Write the {a} down.", "Sort the {a}.")
SAYS = (
    "I go on.",
    "Now the next ones.",
    "I start.",
    "More of them.",
    "I keep going.",
    "That was one step.",
)
SYSTEMS = (
    "You keep records in Python.",
    "You solve a task by writing Python.",
    "Each turn: one sentence, one python block.",
)


def _ids(rng: np.random.Generator, count: int) -> list[str]:
    """Two-syllable ids, as pocket tasks have them; all syllables differ (25 ids at most)."""
    return id_names("syllables", draw_ids(rng, "syllables", count))


def _value(rng: np.random.Generator, kind: int) -> object:
    letter = "ABCDEF"[int(rng.integers(6))]
    a, b = int(rng.integers(1, 21)), int(rng.integers(1, 41))
    return ((letter, b, a), (b, letter), (a, b), b)[kind]


def _pick(rng: np.random.Generator, words: Sequence[str], count: int) -> list[str]:
    return [words[i] for i in rng.permutation(len(words))[:count]]


def _restating(rng: np.random.Generator, size: int) -> list[Part]:
    """Somebody shows named values; the assistant writes them out as Python literals. Everything
    after is a copy."""
    ids, names = _ids(rng, 25), _pick(rng, NOUNS, int(rng.integers(1, 5)))
    values: list[object] = []
    for _ in names:
        shape, count = rng.random(), int(rng.integers(1, size + 1))
        some, ids = ids[:count], ids[count:] or _ids(rng, 25)
        kind = int(rng.integers(4))
        if shape < 0.4:
            values.append({i: _value(rng, kind) for i in some})
        elif shape < 0.7:
            values.append(some)
        elif shape < 0.8:
            values.append(_pick(rng, "ABCDEF", int(rng.integers(0, 4))))
        else:
            values.append(int(rng.integers(0, 61)))
    named = list(zip(names, values, strict=True))
    text = f"```python\n{_lines(named, ' = ')}\n```"
    return [("user", _lines(named, " "), []), ("assistant", text, [(10, len(text) - 4)])]


def session(rng: np.random.Generator, size: int) -> list[Part]:
    """A queue is worked off in steps of k: `queue` shrinks, `ledger` grows, `spare` falls; then a
    few more numbers."""
    queue, ledger, spare, total = _pick(rng, NOUNS, 4)
    helper, fetch, read = _pick(rng, VERBS, 3)
    count = int(rng.integers(2, size + 1))
    left, kind, step = _ids(rng, count), int(rng.integers(4)), int(rng.integers(1, 5))
    numbers = {spare: int(rng.integers(count, 61)), total: int(rng.integers(1, 61))}
    reuse, from_end = bool(rng.integers(2)), bool(rng.integers(2))
    loop = (
        f"for x in {queue}[{'-{}:' if from_end else ':{}'}]:\n    {ledger}[x] = {read}(x)\n    {spare} -= 1\n"
        f"{queue} = [x for x in {queue} if x not in {ledger}]\n"
        f"print('{queue}', {queue})\nprint('{ledger}', {ledger})\nprint('{spare}', {spare})"
    )
    define = f"def {helper}(n):\n    global {queue}, {spare}\n{indent(loop.format('n'), '    ')}"
    call = f"{helper}({step})"
    order = list(numbers) if rng.integers(2) else list(numbers)[::-1]
    asked = ASKS[int(rng.integers(len(ASKS)))].format(a=queue)
    facts = " ".join(f"{name.capitalize()} {numbers[name]}." for name in order)
    system = SYSTEMS[int(rng.integers(len(SYSTEMS)))]
    start = _lines([(name, numbers[name]) for name in order], " = ")
    body = f"{define}\n{call}" if reuse else loop.format(step)
    first = f"\n{queue} = {fetch}()\n{ledger} = {{}}\n{body}\nprint('{total}', {total})"
    parts: list[Part] = [("system", system, []), ("user", f"{asked} {facts}", [])]
    parts.append(_said(rng, start, first))
    written: dict[str, object] = {}
    while left:
        now = left[-step:] if from_end else left[:step]
        written |= {x: _value(rng, kind) for x in now}
        left = [x for x in left if x not in written]
        numbers[spare] -= len(now)
        state = [(queue, left), (ledger, written), (spare, numbers[spare])]
        printed = [(total, numbers[total])] if len(parts) == 3 else []
        parts.append(("user", _lines([*state, *printed], " "), []))
        restated = (_lines(state, " = "), f"\n{loop.format(step)}")
        if left:
            parts.append(_said(rng, *((call, "") if reuse else restated)))
    last = f"print(len({ledger}), {total})"
    restated = (f"{ledger} = {written}\n{total} = {numbers[total]}\n", last)
    return [*parts, _said(rng, *((last, "") if reuse else restated))]


def _lines(named: Iterable[tuple[str, object]], between: str) -> str:
    return "\n".join(f"{name}{between}{value}" for name, value in named)


def _said(rng: np.random.Generator, copied: str, rest: str) -> Part:
    head = f"{SAYS[int(rng.integers(len(SAYS)))]}\n```python\n"
    return "assistant", f"{head}{copied}{rest}\n```", [(len(head), len(head) + len(copied))]


def document(rng: np.random.Generator, size: int, share_of_sessions: float) -> list[Part]:
    """One training document; `size` bounds how many things it is about."""
    if rng.random() < share_of_sessions:
        return session(rng, max(2, size))
    return _restating(rng, min(size, 10))


def words() -> set[str]:
    """Every word the sessions are made of (for the tokenizer)."""
    return set(re.findall(r"\w+", " ".join([*NOUNS, *VERBS, *ASKS, *SAYS, *SYSTEMS])))
