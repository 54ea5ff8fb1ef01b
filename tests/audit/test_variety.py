"""How varied blocks are: shapes, packed size, failures and mends, from hand-made sources."""

import math

import pytest

from knapsack_lib.analysis.output import read_csv
from knapsack_lib.audit.transcripts import Step, Transcript
from knapsack_lib.audit.variety import compression, shape_of, shapes, variety_of, variety_table
from knapsack_lib.files import project_root


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("x = 1", "total = 250", True),
        ("x = [1, 2]", "y = {'a': [1], 'b': (2, 3)}", True),
        ("x = [1, y]", "x = [1, 2]", False),
        ("def f(a):\n    return a.b", "def g(thing):\n    return thing.weight", True),
        ("import json", "import math", True),
        ("from a import b as c", "from d import e as f", True),
        ("global x", "global y", True),
        ("x = y + 1", "x = y - 1", False),
        ("print(x)", "print(x, y)", False),
        ("f(key=1)", "f(word=2)", True),
        (
            "match x:\n    case {'a': b, **c}:\n        d",
            "match y:\n    case {'q': r, **s}:\n        t",
            True,
        ),
        ("try:\n    f()\nexcept E as e:\n    g()", "try:\n    h()\nexcept K as k:\n    i()", True),
        ("-1", "5", True),
    ],
)
def test_a_shape_is_the_syntax_without_names_and_literals(one, other, same):
    assert (shape_of(one) == shape_of(other)) is same


def test_what_is_no_python_has_no_shape():
    assert shape_of("for in") is None and shape_of("x = '\0'") is None
    assert shapes(["for in"] * 200, 100) != shapes(["for in"] * 200, 100)  # nan


def test_shapes_and_packed_size_are_those_of_samples():
    same, two = ["x = 1"] * 200, ["x = 1", "f(x)"] * 200
    assert shapes(same, 100) == 1 and shapes(two, 100) == 2
    assert math.isnan(shapes(same, 1000)) and math.isnan(compression(same))
    assert compression(["x = 1"] * 400) < 0.02
    mixed = [f"value_{k * 7919 % 1000} = {k * 104729 % 99991}" for k in range(400)]
    assert compression(mixed) > 0.3
    assert compression(mixed) == compression(mixed) != compression(mixed, seed=1)


def test_failures_and_mends_are_counted():
    fine, bad = (
        Step("x = 1\ny = 2"),
        Step("z", error_type="NameError", error="name 'z' is not defined"),
    )
    other = Step("1 / 0", error_type="ZeroDivisionError", error="division by zero")
    found = variety_of(
        [
            Transcript("a", (fine, bad, fine)),
            Transcript("b", (bad, other, fine)),
            Transcript("c", (bad,)),
        ]
    )
    assert (found.episodes, found.blocks) == (3, 7)
    assert found.failing == 4 / 7 and found.missing == 3 / 7
    assert found.mended == 2 / 3  # of three that are followed by a block
    assert found.turns == (2, 3, 3) and found.lines == (1, 1, 2)


def test_a_source_without_blocks_has_no_measures():
    found = variety_of([Transcript("a", ())])
    assert found.blocks == 0 and math.isnan(found.compression) and math.isnan(found.failing)


def test_the_committed_real_models_are_varied():
    table = read_csv(project_root() / "results" / "in-the-wild" / "variety.csv")
    assert len(table) == 5 and table["shapes_100"].between(80, 100).all()
    assert table["compression"].between(0.17, 0.28).all()
    ours = variety_table({"one": [Transcript("a", (Step("x = 1"),))]})
    assert list(ours) == list(table)
