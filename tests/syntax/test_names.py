"""Names that a block needs and binds, counted by hand."""

from __future__ import annotations

import ast

import pytest

from knapsack_lib.syntax.names import names_of


def read(code: str) -> tuple[set[str], set[str]]:
    names = names_of(ast.parse(code))
    return names.wanted, set(names.binds)


@pytest.mark.parametrize(
    ("code", "needed", "bound"),
    [
        ("x = 1", "", "x"),
        ("x = 1\ny = x + z", "z", "x y"),
        ("y = x\nx = 1", "x", "x y"),  # read before it is bound
        ("x = x", "x", "x"),
        ("a = b = a", "a", "a b"),
        ("x += y", "x y", "x"),
        ("x = 1\nx += 1", "", "x"),
        ("x[0] = 1\ny.a = 2\nz[k] += v", "k v x y z", ""),  # changes what is there; binds nothing
        ("(a, *b), [c] = d, b", "b d", "a b c"),
        ("if (n := len(xs)) > 3: print(n)", "xs", "n"),
        ("print(a, a := 1)", "a", "a"),
        ("x: int = y", "y", "x"),
        ("x: int", "", ""),
        ("del x", "x", ""),
        ("x = 1\ndel x", "", ""),
        ("sum = len(xs)\nprint(sum, max)", "xs", "sum"),
        ("print(f'{a!r:{w}} {1}')", "a w", ""),
        ("inspect(i)", "i inspect", ""),  # tools are names like others; no block binds them
        # branches, loops, contexts
        ("for i in i: f(i)\nelse: g(i)", "f g i", "i"),
        ("for i, (j, *k) in xs: pass\nprint(i, j, k)", "xs", "i j k"),
        ("while a: a = b", "a b", "a"),
        ("if a: b = 1\nelse: print(b)", "a b", "b"),  # every arm counts, and sees what leads to it
        ("with f as f, g(f) as (h, i): h(x)", "f g x", "f h i"),
        (
            "try:\n    a = b\nexcept E as e:\n    print(e, a)\nelse:\n    c = 1\nfinally:\n    d = c",
            "E b",
            "a c d",
        ),
        ("import a.b, c.d as e\ne.f(a)", "", "a e"),
        ("from a import b, c as d\nfrom . import f", "", "b d f"),
        # comprehensions keep their variables to themselves
        ("[i for i in xs if i > k]\nprint(i)", "i k xs", ""),
        ("x = [x for x in x]", "x", "x"),  # the first iterable is evaluated outside
        ("[x for x in xs for xs in x]", "xs", ""),
        ("[[j + n for j in i] for i in m]", "m n", ""),
        ("{k: v + w for k, v in d.items()}", "d w", ""),
        ("i = 1\ny = {i for j in range(i)}, sum(i for i in [i])", "", "i y"),
        ("[lambda: (i, never) for i in xs]", "never xs", ""),  # one without a name may run at once
        ("[(t := i) for i in xs]\nprint(t)", "xs", "t"),  # but for a walrus, which binds outside
        # functions: defaults and decorators at once, bodies when the block is done
        ("lambda x, *y, k=z: (x, y, k, w)", "w z", ""),
        ("g = lambda: k\nk = 1", "", "g k"),
        ("def f(a, *b, c=c, **d):\n    return a, b, c, d, e", "c e", "f"),
        ("def f(a=b): return a\nb = 1", "b", "b f"),
        ("@cache\ndef f(): pass", "cache", "f"),
        ("def f(): return f() + later + never\nlater = 1", "never", "f later"),
        ("f()\ndef f(): pass", "f", "f"),
        ("def f():\n    x = 1\n    x += y\n    return x", "y", "f"),
        ("def f():\n    s += 1", "", "f"),  # a name of its own, never the module's
        ("def f():\n    def g(): return x, y\n    x = 1\n    return g", "y", "f"),
        (
            "def f():\n    import a\n    try: a()\n    except E as e: print(e)\n    for i in b: i",
            "E b",
            "f",
        ),
        ("async def f():\n    async with a as b:\n        await b", "a", "f"),
        ("def f():\n    global s\n    s = 1", "", "f s"),
        ("s = 0\ndef f():\n    global s\n    s += 1", "", "f s"),
        ("def f():\n    global s\n    s = 1\ndef g(): return s", "", "f g s"),
        # classes: bodies at once, methods when the block is done and without the class's names
        ("class C(B, metaclass=M):\n    a = 1\n    b = a + c", "B M c", "C"),
        ("a = C\nclass C:\n    def m(self): return C, later, n\nlater = 1", "C n", "C a later"),
        ("class C:\n    a = 1\n    def m(self): return a", "a", "C"),
        # patterns bind what they capture
        ("match p:\n    case [x, *y]: z = x, y", "p", "x y z"),
        (
            "match p:\n    case {'k': v, **r}: print(v, r)\n    case K(q) as w if c: q",
            "K c p",
            "q r v w",
        ),
        ("def f(p):\n    match p:\n        case [x, *y]: return x, y, z", "z", "f"),
        # annotations are evaluated by Python, but for those of names within a function
        ("x: T = 1\ny: U", "T U", "x"),
        ("def f(a: A, *b: B, c: C = 1, **d: D) -> R: pass", "A B C D R", "f"),
        ("class K:\n    x: T", "T", "K"),
        ("def f():\n    x: T = 1", "", "f"),
    ],
)
def test_names_needed_and_bound_are_those_that_one_reads_in_the_block(
    code: str, needed: str, bound: str
):
    assert read(code) == (set(needed.split()), set(bound.split()))


@pytest.mark.parametrize(
    ("body", "needed"),
    [
        ("return s", "s"),
        ("s += 1", "s"),
        ("s = s + t", "s t"),
        ("print(s); s = 1", "s"),
        ("s = 1; print(s)", ""),
    ],
)
def test_a_function_needs_the_global_that_it_reads_if_the_block_itself_does_not_bind_it(
    body: str, needed: str
):
    assert read(f"def f():\n    global s\n    {body}\nf()")[0] == set(needed.split())


@pytest.mark.parametrize(
    "body",
    [
        "a = [x for x in []]",
        "a = lambda x: x",
        "def g(x): return x",
        "def g():\n        x = 1",
        "class G:\n        x = 1",
    ],
)
def test_names_of_an_inner_scope_do_not_hide_what_the_function_around_it_reads(body: str):
    assert read(f"def f():\n    {body}\n    return x")[0] == {"x"}
