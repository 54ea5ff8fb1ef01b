"""Random blocks of every kind of Python that binds or reads a name of the module.

for blocks in episodes(seed=1, n=500): ...      # the first block binds every name
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

DATA = ("a", "b", "c", "d")
FUNCTIONS = ("f", "g", "h")
CLASSES = ("K", "L")
MODULES = ("math", "json", "re")
FIRST = """import math, json, re
a, b, c, d = 1, 2, 3, 4
def f(x): return x
def g(x): return x + a
def h(x): return g(x)
class K:
    def m(self, p): return p
class L(K): v = 1"""


def episodes(seed: int, n: int, blocks: int = 5, straight: bool = False) -> Iterator[list[str]]:
    """`straight`: without branches, loops, and lines that fail, so that every part is run."""
    for number in range(n):
        maker = Maker(random.Random(f"{seed}/{number}"), straight)
        found = [FIRST]
        while len(found) <= blocks:
            block = maker.block()
            try:
                compile(block, "<block>", "exec")
            except SyntaxError:  # a name that is a parameter and global, say
                continue
            found.append(block)
        yield found


def indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]


class Maker:
    """Names are read mostly where the block has bound them, so that most blocks come to their
    end."""

    def __init__(self, chance: random.Random, straight: bool):
        self.chance, self.straight = chance, straight
        self.mine: set[str] = set()  # what this block may have bound so far

    def block(self) -> str:
        self.mine = set()
        lines = [line for _ in range(self.chance.randrange(1, 6)) for line in self.statement()]
        if self.chance.random() < 0.03:
            lines.insert(0, "from math import *")
        return "\n".join(lines)

    def pick(self, names: Sequence[str]) -> str:
        return self.chance.choice(list(names))

    def new(self, names: Sequence[str] = DATA) -> str:
        name = self.pick(names)
        self.mine.add(name)
        return name

    def old(self, names: Sequence[str] = DATA, otherwise: str = "") -> str:
        mine = [name for name in names if name in self.mine]
        if mine and self.chance.random() < 0.85:
            return self.pick(mine)
        return otherwise if otherwise and self.chance.random() < 0.7 else self.pick(names)

    def small(self, own: Sequence[str] = ()) -> str:
        if own and self.chance.random() < 0.6:
            return self.pick(own)
        return self.old(DATA, "3") if self.chance.random() < 0.7 else str(self.chance.randrange(9))

    def value(self, own: Sequence[str] = (), depth: int = 2) -> str:
        """An expression that gives an integer."""
        small, kind = self.small, self.chance.randrange(12) if depth else 0
        if kind < 3:
            return small(own)
        if kind == 3:
            return f"({self.value(own, depth - 1)} + {self.value(own, depth - 1)})"
        if kind == 4:
            return f"{self.old(FUNCTIONS, 'abs')}({self.value(own, depth - 1)})"
        if kind == 5:
            name = self.pick(["i", "a", "b"])
            return f"sum([{name} + {small(own)} for {name} in range(1, 3)])"
        if kind == 6:
            return f"(lambda {self.pick(['p', 'a'])}: {small(own)})({small(own)})"
        if kind == 7:
            return f"max({{{small(own)}: j for j in [{small(own)}]}})"
        if kind == 8:
            return f"({self.new()} := {small(own)})"
        if kind == 9:
            return f"len(f'{{{small(own)}}}')"
        if kind == 10 and not self.straight:
            return f"({small(own)} if {small(own)} > 3 else {small(own)})"
        return f"next(q for q in ({small(own)}, 1))"

    def body(self, own: Sequence[str] = (), depth: int = 1) -> list[str]:
        count = self.chance.randrange(1, 3)
        return indented([line for _ in range(count) for line in self.statement(own, depth)])

    def statement(self, own: Sequence[str] = (), depth: int = 1) -> list[str]:
        plain = [
            self.assign,
            self.assign,
            self.assign,
            self.show,
            self.update,
            self.load,
            self.unpack,
        ]
        plain += [self.use_module, self.forget, self.note, self.method, self.mapped]
        deep = [self.function, self.function, self.kind, self.context]
        if not self.straight:
            plain += [self.guard, self.ready, self.fail]
            deep += [self.attempt, self.loop, self.loop, self.branch, self.match, self.repeat]
        make = self.chance.choice(plain + deep if depth else plain)
        return make(own, depth - 1)

    # Plain statements

    def assign(self, own: Sequence[str], depth: int) -> list[str]:
        value = self.value(own)
        return [f"{self.new()} = {value}"]

    def show(self, own: Sequence[str], depth: int) -> list[str]:
        return [f"print({self.value(own)})"]

    def update(self, own: Sequence[str], depth: int) -> list[str]:
        return [f"{self.old()} += {self.value(own, 1)}"]

    def unpack(self, own: Sequence[str], depth: int) -> list[str]:
        values = f"{self.value(own, 1)}, {self.value(own, 1)}"
        return [f"{self.new()}, {self.new()} = {values}"]

    def note(self, own: Sequence[str], depth: int) -> list[str]:
        value = self.value(own, 1)
        return [f"{self.new()}: int = {value}"]

    def load(self, own: Sequence[str], depth: int) -> list[str]:
        other = ["from math import floor", "from math import floor as f", "import os.path"]
        return [self.pick([f"import {self.new(MODULES)}", f"import {self.new(MODULES)}", *other])]

    def use_module(self, own: Sequence[str], depth: int) -> list[str]:
        return [f"print({self.old(MODULES, 'int')}.__name__)"]

    def forget(self, own: Sequence[str], depth: int) -> list[str]:
        name = self.old()
        self.mine.discard(name)
        return [f"del {name}"]

    def method(self, own: Sequence[str], depth: int) -> list[str]:
        return [f"print({self.old(CLASSES, 'K')}().m({self.small(own)}))"]

    def mapped(self, own: Sequence[str], depth: int) -> list[str]:
        return [f"print(list(map({self.old(FUNCTIONS, 'abs')}, [{self.small(own)}])))"]

    # Ways out

    def guard(self, own: Sequence[str], depth: int) -> list[str]:
        name = self.new()
        space = self.pick(["globals()", "dir()"])
        return [f"if {name!r} not in {space}:", f"    {name} = 7", f"print({name})"]

    def ready(self, own: Sequence[str], depth: int) -> list[str]:
        name = self.new()
        return ["try:", f"    {name}", "except NameError:", f"    {name} = 5"]

    def fail(self, own: Sequence[str], depth: int) -> list[str]:
        return ["1 / 0"] if self.chance.random() < 0.3 else [f"assert str({self.value(own, 1)})"]

    # Statements that hold others

    def function(self, own: Sequence[str], depth: int) -> list[str]:
        name, given = self.new(FUNCTIONS), self.pick(["p", "a"])
        body, head = self.body([given], depth), list[str]()
        chance = self.chance.random()
        if chance < 0.2 and not any("global" in line for line in body):
            shared = self.pick([one for one in DATA if one != given])
            head = indented([f"global {shared}", f"{shared} = {self.value([given], 1)}"])
        elif chance < 0.4:
            inner = ["nonlocal z", f"z = z + {self.small([given])}", "return z"]
            body = indented(["z = 1", "def inner():", *indented(inner), "inner()"])
        default = f"={self.small(own)}" if self.chance.random() < 0.2 else ""
        wrapped = ["@(lambda function: function)"] if self.chance.random() < 0.1 else []
        end = f"    return {self.value([given], 1)}"
        return [*wrapped, f"def {name}({given}{default}):", *head, *body, end]

    def kind(self, own: Sequence[str], depth: int) -> list[str]:
        base = f"({self.old(CLASSES)})" if self.chance.random() < 0.15 else ""
        value, result = self.value(own, 1), self.value(["p", "self.v"], 1)
        head = f"class {self.new(CLASSES)}{base}:"
        return [head, f"    v = {value}", "    def m(self, p):", f"        return {result}"]

    def context(self, own: Sequence[str], depth: int) -> list[str]:
        value = self.value(own, 1)
        head = f"with contextlib.nullcontext({value}) as {self.new()}:"
        return ["import contextlib", head, *self.body(own, depth)]

    def attempt(self, own: Sequence[str], depth: int) -> list[str]:
        lines = ["try:", *self.body(own, depth)]
        kind = self.pick(["ValueError", "ZeroDivisionError"])
        lines += [f"except {kind} as {self.pick(DATA)}:", *self.body(own, 0)]
        return lines + (["finally:", *self.body(own, 0)] if self.chance.random() < 0.4 else [])

    def loop(self, own: Sequence[str], depth: int) -> list[str]:
        times = self.chance.randrange(3)
        return [f"for {self.new()} in range({times}):", *self.body(own, depth)]

    def repeat(self, own: Sequence[str], depth: int) -> list[str]:
        return ["w = 0", f"while w < {self.chance.randrange(3)}:", "    w += 1", *self.body(own, 0)]

    def branch(self, own: Sequence[str], depth: int) -> list[str]:
        test = f"if {self.value(own, 1)} > {self.chance.randrange(6)}:"
        lines = [test, *self.body(own, depth)]
        return lines + (["else:", *self.body(own, depth)] if self.chance.random() < 0.6 else [])

    def match(self, own: Sequence[str], depth: int) -> list[str]:
        head = f"match {self.value(own, 1)}:"
        some = indented(self.body(own, 0))
        return [
            head,
            "    case 0 | 1:",
            *some,
            f"    case {self.new()}:",
            *indented(self.body(own, 0)),
        ]
