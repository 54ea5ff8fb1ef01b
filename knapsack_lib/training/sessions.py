"""What the pocket base is trained on: made-up bookkeeping sessions, in both styles alike, and never
the knapsack task.

A session is a short talk in which an assistant keeps records in Python. Half of the sessions reuse
names and helpers that earlier blocks defined, the other half write what they need out again, so the
base leans to neither. A queue is worked off in steps, much as an agent inspects items in batches;
but nothing is chosen, refused, weighed or scored, and none of the study's tools, prompts or
episodes occur.

In the knapsack's sessions all is told by ids. Wide ones, for a base that serves other families too, tell things by
numbers, words and phrases as well, and ask for words of the task at the end.

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
Keys = list[str] | list[int]  # what things are told by

NOUNS = (
    "rows marks pairs queue notes depot stock names pool spare log table index rest seen budget left taken bad open "
    "parcels guests shelf batch ledger labels sheet counts parts orders tickets unseen known tries room bag banned "
    "store slots cards pages keys links spots items things"
).split()
# What wide documents speak of beside these: plain words, so that none of a task is new to the base
WORDS = (
    "sale item store depot shelf room bag buyer town kind color state cost tax paid price units visit test exam ward bed "
    "drug lab team unit doctor nurse shift side fee days age dose hours log reading alarm sensor site rack zone hub gate "
    "crew pole station maker mode heat level volts rain speed city guest street river field wall door roof train ship "
    "bird tree stone lamp glass paper cloth bread milk salt metal paint clock phone radio chair table bridge tower farm "
    "garden market school office bank hotel port mine mill road lane park lake hill island coast north south east west "
    "spring summer winter month week hour year name place owner size length width depth mass volume pressure power "
    "energy current signal noise error score points rank grade class group family member leader driver pilot cook "
    "baker tailor farmer miner sailor teacher student author artist singer dancer player winner total sum mean count"
).split()
VERBS = "look grab scan pack move sort add read step work next load fill pass mark list check put keep log".split()
ASKS = ("Keep the {a} in order.", "Work through the {a}.", "Write the {a} down.", "Sort the {a}.")
WIDE = (*NOUNS, *WORDS)
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


def _numbers(rng: np.random.Generator, count: int) -> list[int]:
    """Different numbers below 50."""
    return [int(number) for number in rng.permutation(50)[:count]]


def _phrase(rng: np.random.Generator) -> str:
    """Words with signs between them, as in a formula, a path or a query."""
    marks = (" ", ".", " = ", ",", " on ", "/", "(", " > ")
    found = _pick(rng, WIDE, int(rng.integers(2, 8)))
    return "".join(word + marks[int(rng.integers(len(marks)))] for word in found[:-1]) + str(
        found[-1]
    )


def _wide_value(rng: np.random.Generator, size: int) -> object:
    """Of things told by numbers, words and phrases."""
    count, kind = int(rng.integers(1, size + 1)), int(rng.integers(6))
    if kind == 0:
        return {number: _value(rng, int(rng.integers(4))) for number in _numbers(rng, count)}
    if kind == 1:
        return [tuple(_numbers(rng, 3)) for _ in range(count)]
    if kind == 2:
        return _phrase(rng)
    if kind == 3:
        return [[word, _phrase(rng)] for word in _pick(rng, WIDE, min(count, 4))]
    if kind == 4:
        return {
            word: {
                inner: _phrase(rng) if rng.integers(2) else ""
                for inner in _pick(rng, WIDE, int(rng.integers(1, 4)))
            }
            for word in _pick(rng, WIDE, min(count, 5))
        }
    return {id: _pick(rng, WIDE, int(rng.integers(1, 4))) for id in _ids(rng, count)}


def _value(rng: np.random.Generator, kind: int) -> object:
    letter = "ABCDEF"[int(rng.integers(6))]
    a, b = int(rng.integers(1, 21)), int(rng.integers(1, 41))
    return ((letter, b, a), (b, letter), (a, b), b)[kind]


def _pick(rng: np.random.Generator, words: Sequence[str], count: int) -> list[str]:
    return [words[i] for i in rng.permutation(len(words))[:count]]


def _restating(rng: np.random.Generator, size: int, wide: bool = False) -> list[Part]:
    """Somebody shows named values; the assistant writes them out as Python literals. Everything
    after is a copy."""
    ids, names = _ids(rng, 25), _pick(rng, NOUNS, int(rng.integers(1, 5)))
    values: list[object] = []
    for _ in names:
        shape, count = rng.random(), int(rng.integers(1, size + 1))
        some, ids = ids[:count], ids[count:] or _ids(rng, 25)
        kind = int(rng.integers(4))
        if wide and shape < 0.8:
            values.append(_wide_value(rng, size))
        elif shape < 0.4:
            values.append({i: _value(rng, kind) for i in some})
        elif shape < 0.7:
            values.append(some)
        elif shape < 0.8:
            values.append(_pick(rng, "ABCDEF", int(rng.integers(0, 4))))
        else:
            values.append(int(rng.integers(0, 61)))
    named = [
        (name, repr(value) if isinstance(value, str) else value)
        for name, value in zip(names, values, strict=True)
    ]
    text = f"```python\n{_lines(named, ' = ')}\n```"
    return [("user", _lines(named, " "), []), ("assistant", text, [(10, len(text) - 4)])]


def session(rng: np.random.Generator, size: int, wide: bool = False) -> list[Part]:
    """A queue is worked off in steps of k: `queue` shrinks, `ledger` grows, `spare` falls; then a
    few more numbers."""
    queue, ledger, spare, total = _pick(rng, NOUNS, 4)
    helper, fetch, read = _pick(rng, VERBS, 3)
    count = int(rng.integers(2, size + 1))
    by_number = wide and bool(rng.integers(2))
    left: Keys = (_numbers if by_number else _ids)(rng, count)
    kind, step = int(rng.integers(4)), int(rng.integers(1, 5))
    handed = ",".join(_pick(rng, WIDE, 2)) if wide else ""
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
    asked += f" Hand in {handed}." if wide else ""
    parts: list[Part] = [("system", system, []), ("user", f"{asked} {facts}", [])]
    parts.append(_said(rng, start, first))
    written: dict[str | int, object] = {}
    while left:
        now = left[-step:] if from_end else left[:step]
        written |= {x: _value(rng, kind) for x in now}
        left = left[: -len(now)] if from_end else left[len(now) :]
        numbers[spare] -= len(now)
        state = [(queue, left), (ledger, written), (spare, numbers[spare])]
        printed = [(total, numbers[total])] if len(parts) == 3 else []
        parts.append(("user", _lines([*state, *printed], " "), []))
        restated = (_lines(state, " = "), f"\n{loop.format(step)}")
        if left:
            parts.append(_said(rng, *((call, "") if reuse else restated)))
    last = f"print({f'{handed!r}, ' if wide else ''}len({ledger}), {total})"
    restated = (f"{ledger} = {written}\n{total} = {numbers[total]}\n", last)
    if wide:
        restated = ("".join(restated), "")
    return [*parts, _said(rng, *((last, "") if reuse else restated))]


def _lines(named: Iterable[tuple[str, object]], between: str) -> str:
    return "\n".join(f"{name}{between}{value}" for name, value in named)


def _said(rng: np.random.Generator, copied: str, rest: str) -> Part:
    head = f"{SAYS[int(rng.integers(len(SAYS)))]}\n```python\n"
    return "assistant", f"{head}{copied}{rest}\n```", [(len(head), len(head) + len(copied))]


def document(
    rng: np.random.Generator, size: int, share_of_sessions: float, wide: float = 0.0
) -> list[Part]:
    """One training document; `size` bounds how many things it is about. `wide`: how often it is a wide one."""
    whole = rng.random() < share_of_sessions
    widens = wide > 0 and bool(rng.random() < wide)
    if whole:
        return session(rng, max(2, size), widens)
    return _restating(rng, min(size, 10), widens)


def words() -> set[str]:
    """Every word the knapsack's sessions are made of (for the tokenizer)."""
    return set(re.findall(r"\w+", " ".join([*NOUNS, *VERBS, *ASKS, *SAYS, *SYSTEMS])))
