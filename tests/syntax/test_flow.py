"""What is read from the syntax of a block, held against what the interpreter raises."""

from __future__ import annotations

import ast
import re
import symtable
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from knapsack_lib.interpreter import Interpreter, Observation, Pool, persistence_named
from knapsack_lib.syntax.names import BUILTINS, names_of
from tests.audit.programs import episodes

NOT_DEFINED = re.compile(r"name '(\w+)' is not defined")


class Case(NamedTuple):
    code: str
    before: frozenset[str]  # what the persistent runtime holds
    needs: set[str]
    perhaps: set[str]
    seen: Observation  # in the reset runtime

    @property
    def missed(self) -> str:
        found = NOT_DEFINED.fullmatch(self.seen.error or "")
        return found.group(1) if self.seen.error_type == "NameError" and found else ""


def cases(pool: Pool, seed: int, n: int, straight: bool = False) -> Iterator[Case]:
    """Blocks that a persistent runtime plays without a missing name."""
    for blocks in episodes(seed, n, straight=straight):
        before: frozenset[str] = frozenset()
        with (
            Interpreter(pool, persistence_named("persistent"), {}, seed=1) as persistent,
            Interpreter(pool, persistence_named("reset"), {}, seed=1) as reset,
        ):
            for code in blocks:
                kept, lost = persistent.run(code), reset.run(code)
                names = names_of(ast.parse(code))
                if before and kept.error_type not in ("NameError", "UnboundLocalError"):
                    needs, perhaps = set(names.needs) & before, set(names.perhaps) & before
                    yield Case(code, before, needs, perhaps, lost)
                before = frozenset(kept.bindings)


@pytest.fixture(scope="module")
def pool(make_limits):
    with Pool(make_limits()) as pool:
        yield pool


@pytest.mark.timeout(600)
def test_what_a_reset_runtime_would_miss_is_what_it_misses(pool):
    """Every name that is missed was expected. What was expected and not missed lies where the block
    did not come: in a branch, in a loop of no rounds, after another error."""
    count = {"missed": 0, "expected too": 0, "not reached": 0}
    for case in cases(pool, seed=1, n=450):
        if case.missed and case.missed in case.before:
            count["missed"] += 1
            assert case.missed in case.needs | case.perhaps, case.code
            count["expected too"] += case.missed in case.needs
        elif case.needs and not case.missed:
            count["not reached"] += 1
            assert branches(case.code) or case.seen.error_type, case.code
    assert count["missed"] > 1000
    assert count["expected too"] / count["missed"] > 0.9
    assert count["not reached"] / (count["missed"] + count["not reached"]) < 0.12


@pytest.mark.timeout(600)
def test_in_a_block_without_branches_exactly_the_expected_name_is_missed(pool):
    for case in cases(pool, seed=2, n=60, straight=True):
        failed = case.seen.error_type not in (None, "NameError")
        assert bool(case.needs) == bool(case.missed) or failed, case.code
        assert not case.missed or case.missed in case.needs | case.perhaps, case.code


def branches(code: str) -> bool:
    kinds = (ast.If, ast.IfExp, ast.For, ast.While, ast.Match, ast.Try, ast.BoolOp, ast.FunctionDef)
    return any(isinstance(node, kinds) for node in ast.walk(ast.parse(code)))


def test_what_functions_take_from_the_module_is_what_the_compiler_says():
    """symtable is Python's own table of scopes; it knows no order, so only functions are compared."""
    compared = 0
    for blocks in episodes(seed=3, n=150):
        for code in blocks:
            ours = {name: one.reads for name, one in names_of(ast.parse(code)).helpers.items()}
            table = symtable.symtable(code, "<block>", "exec")
            last = {one.get_name(): one for one in table.get_children()}
            for name, one in last.items():
                if name in ours and isinstance(one, symtable.Function):
                    taken = set(globals_of(one)) - BUILTINS
                    declared = {s.get_name() for s in one.get_symbols() if s.is_declared_global()}
                    assert ours[name] - BUILTINS - declared == taken - declared, (name, code)
                    compared += 1
    assert compared > 300


def globals_of(scope: symtable.SymbolTable) -> Iterator[str]:
    yield from (s.get_name() for s in scope.get_symbols() if s.is_global() and s.is_referenced())
    for inner in scope.get_children():
        yield from globals_of(inner)


@pytest.mark.parametrize(
    ("code", "needs", "perhaps", "later", "guarded"),
    [
        ("if 'x' not in globals():\n    x = 1\nprint(x)", "", "", "", "x"),
        ("if 'x' in dir():\n    print(x)\nelse:\n    x = y", "y", "", "", "x"),
        ("if not 'x' in vars(): x = 1\nx", "", "", "", "x"),
        ("try:\n    x\nexcept NameError:\n    x = 1\nx", "", "", "", "x"),
        ("try:\n    x\nexcept (KeyError, NameError):\n    x = 1", "", "", "", "x"),
        ("try:\n    x\nexcept:\n    pass\nx", "x", "", "", "x"),
        ("try:\n    x\nexcept KeyError:\n    x = 1", "x", "", "", ""),
        ("if a:\n    x = 1\nprint(x)", "a", "x", "", ""),
        ("for i in a:\n    x = 1\nprint(x, i)", "a", "i x", "", ""),
        ("for i in [1, 2]:\n    x = 1\nprint(x, i)", "", "", "", ""),
        ("while True:\n    x = 1\n    break\nprint(x)", "", "", "", ""),
        ("def f(): return x", "", "", "x", ""),
        ("def f(): return x\nf()", "x", "", "", ""),
        ("def f(): return x\nprint(map(f, []))", "x", "", "", ""),
        ("def f(): return g()\ndef g(): return x\nf()", "x", "", "", ""),
        ("f = lambda: x", "", "", "x", ""),
        ("class C:\n    def m(self): return x", "", "", "x", ""),
        ("class C:\n    def m(self): return x\nC()", "x", "", "", ""),
        ("def f(): return x\nx = 1\nf()", "", "", "", ""),
        ("raise ValueError(a)\nprint(b)", "a", "", "", ""),
        ("if a:\n    raise ValueError\nelse:\n    x = 1\nx", "a", "", "", ""),
        ("x = 1\ndel x\nx", "x", "", "", ""),
        ("from a import *\nx", "x", "", "", ""),
    ],
)
def test_now_perhaps_later_or_with_a_way_out(code, needs, perhaps, later, guarded):
    names = names_of(ast.parse(code))
    found = (set(names.needs), set(names.perhaps), names.later, names.guarded)
    assert found == tuple(set(words.split()) for words in (needs, perhaps, later, guarded))
