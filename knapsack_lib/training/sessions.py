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
from collections.abc import Sequence

import numpy as np

from knapsack_lib.families.ids import SYLLABLES

__all__ = ["Part", "document", "restating", "session", "spelled"]

Part = tuple[
    str, str, list[tuple[int, int]]
]  # role, text, character spans that restate something shown before

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


def spelled(rng: np.random.Generator, count: int) -> list[str]:
    """`count` two-syllable ids; all syllables differ while they last (25 ids)."""
    order = rng.permutation(len(SYLLABLES))
    return [SYLLABLES[order[2 * i]] + SYLLABLES[order[2 * i + 1]] for i in range(count)]


def _value(rng: np.random.Generator, kind: int) -> object:
    letter = "ABCDEF"[int(rng.integers(6))]
    a, b = int(rng.integers(1, 21)), int(rng.integers(1, 41))
    return ((letter, b, a), (b, letter), (a, b), b)[kind]


def _pick(rng: np.random.Generator, words: Sequence[str], count: int) -> list[str]:
    return [words[i] for i in rng.permutation(len(words))[:count]]


def restating(rng: np.random.Generator, size: int) -> list[Part]:
    """Somebody shows named values; the assistant writes them out as Python literals. Everything
    after is a copy."""
    ids, names = spelled(rng, 25), _pick(rng, NOUNS, int(rng.integers(1, 5)))
    values = []
    for _ in names:
        shape, count = rng.random(), int(rng.integers(1, size + 1))
        some, ids = ids[:count], ids[count:] or spelled(rng, 25)
        kind = int(rng.integers(4))
        if shape < 0.4:
            values.append(repr({i: _value(rng, kind) for i in some}))
        elif shape < 0.7:
            values.append(repr(some))
        elif shape < 0.8:
            values.append(repr(_pick(rng, "ABCDEF", int(rng.integers(0, 4)))))
        else:
            values.append(str(int(rng.integers(0, 61))))
    shown = "\n".join(f"{n} {v}" for n, v in zip(names, values, strict=True))
    code = "\n".join(f"{n} = {v}" for n, v in zip(names, values, strict=True))
    text = f"```python\n{code}\n```"
    return [("user", shown, []), ("assistant", text, [(10, len(text) - 4)])]


def session(rng: np.random.Generator, size: int) -> list[Part]:
    """A queue is worked off in steps of k: `queue` shrinks, `ledger` grows, `spare` falls; then a
    few more numbers."""
    queue, ledger, spare, total, helper, fetch, read = (
        *_pick(rng, NOUNS, 4),
        *_pick(rng, VERBS, 3),
    )
    count = int(rng.integers(2, size + 1))
    ids, kind, step = spelled(rng, count), int(rng.integers(4)), int(rng.integers(1, 5))
    numbers = {spare: int(rng.integers(count, 61)), total: int(rng.integers(1, 61))}
    reuse, from_end = bool(rng.integers(2)), bool(rng.integers(2))
    taken = "-{}:" if from_end else ":{}"
    loop = (
        f"for x in {queue}[{taken}]:\n    {ledger}[x] = {read}(x)\n    {spare} -= 1\n"
        f"{queue} = [x for x in {queue} if x not in {ledger}]\n"
        f"print('{queue}', {queue})\nprint('{ledger}', {ledger})\nprint('{spare}', {spare})"
    )
    indented = "\n".join("    " + line for line in loop.format("n").split("\n"))
    define = f"def {helper}(n):\n    global {queue}, {spare}\n{indented}"
    order = list(numbers) if rng.integers(2) else list(numbers)[::-1]
    asked = ASKS[int(rng.integers(len(ASKS)))].format(a=queue)
    facts = " ".join(f"{name.capitalize()} {numbers[name]}." for name in order)
    parts: list[Part] = [
        ("system", SYSTEMS[int(rng.integers(len(SYSTEMS)))], []),
        ("user", f"{asked} {facts}", []),
    ]
    start = "\n".join(f"{name} = {numbers[name]}" for name in order)
    first = f"{queue} = {fetch}()\n{ledger} = {{}}"
    body = f"{define}\n{helper}({step})" if reuse else loop.format(step)
    parts.append(_said(rng, f"{start}\n{first}\n{body}\nprint('{total}', {total})", start))
    left, written = list(ids), {}
    while True:
        now = left[-step:] if from_end else left[:step]
        written.update({x: _value(rng, kind) for x in now})
        left = [x for x in left if x not in written]
        numbers[spare] -= len(now)
        lines = [f"{queue} {left}", f"{ledger} {written}", f"{spare} {numbers[spare]}"]
        parts.append(
            (
                "user",
                "\n".join(lines + ([f"{total} {numbers[total]}"] if len(parts) == 3 else [])),
                [],
            )
        )
        if not left:
            break
        state = f"{queue} = {left}\n{ledger} = {written}\n{spare} = {numbers[spare]}"
        parts.append(
            _said(rng, f"{helper}({step})", f"{helper}({step})")
            if reuse
            else _said(rng, f"{state}\n{loop.format(step)}", state)
        )
    closing = f"{ledger} = {written}\n{total} = {numbers[total]}\n"
    last = f"print(len({ledger}), {total})"
    parts.append(_said(rng, last if reuse else closing + last, last if reuse else closing))
    return parts


def _said(rng: np.random.Generator, code: str, copied: str) -> Part:
    text = f"{SAYS[int(rng.integers(len(SAYS)))]}\n```python\n{code}\n```"
    at = text.index(copied)
    return ("assistant", text, [(at, at + len(copied))])


def document(rng: np.random.Generator, size: int, share_of_sessions: float) -> list[Part]:
    """One training document; `size` bounds how many things it is about."""
    return (
        session(rng, max(2, size))
        if rng.random() < share_of_sessions
        else restating(rng, min(size, 10))
    )


def words() -> set[str]:
    """Every word the sessions are made of (for the tokenizer)."""
    return set(re.findall(r"\w+", " ".join([*NOUNS, *VERBS, *ASKS, *SAYS, *SYSTEMS])))
