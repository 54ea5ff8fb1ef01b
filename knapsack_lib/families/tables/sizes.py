"""How large a database is, and how much may be asked of it. `easy` and `medium` are for large models; `pocket-easy` and
`pocket-medium` keep the structure at a size in which a 0.6 M-parameter model can act."""

from __future__ import annotations

from dataclasses import dataclass

from knapsack_lib.errors import UserError
from knapsack_lib.families.ids import SYLLABLES
from knapsack_lib.families.tables.words import THEMES

__all__ = ["PAIRS", "SIZES", "Size"]

MOST_TABLES = min(len(theme.events) + len(theme.things) for theme in THEMES.values())
MOST_LABELS = min(len(theme.labels) for theme in THEMES.values())
MOST_NUMBERS = min(len(theme.numbers) for theme in THEMES.values())
PAIRS = len(SYLLABLES) ** 2  # texts that there are
# A query over the longest tables stays far below the steps that one may take
HIGHEST = {
    "linked": MOST_TABLES,
    "apart": MOST_TABLES,
    "rows": 1000,
    "thing_rows": 100,
    "labels": MOST_LABELS,
    "numbers": MOST_NUMBERS,
    "texts": 100,
    "number": 10**6,
}


@dataclass(frozen=True)
class Size:
    """Ranges of one difficulty; both ends of a pair are included. Raises UserError where no instance can exist."""

    name: str
    linked: tuple[
        int, int
    ]  # tables: the one asked about and those that it refers to, directly or not
    apart: tuple[int, int]  # tables that it does not refer to
    rows: tuple[int, int]  # of the table asked about
    thing_rows: tuple[int, int]  # of any other table
    labels: tuple[int, int]  # text columns of a table
    numbers: tuple[int, int]  # integer columns of a table
    texts: tuple[int, int]  # different texts in one column
    number: tuple[int, int]  # an integer
    queries: int  # that may be asked
    shown: int  # rows of an answer
    suffixes: tuple[str, ...] = ("",)  # of a column that refers to a table; one is drawn for a task
    redraws: int = 200

    def __post_init__(self) -> None:
        def fail(what: str) -> None:
            raise UserError(f"size {self.name!r}: {what}")

        for name, highest in HIGHEST.items():
            low, high = getattr(self, name)
            least = 0 if name == "apart" else 1
            if not least <= low <= high:
                fail(f"{name} = [{low}, {high}] is an empty range; give {least} <= low <= high")
            if high > highest:
                fail(f"{name} = [{low}, {high}] goes too high; give at most {highest:,}")
        tables = self.linked[1] + self.apart[1]
        if tables > MOST_TABLES:
            fail(f"linked and apart make up to {tables} tables; there are names for {MOST_TABLES}")
        columns = tables * self.labels[1] * self.texts[1]
        if columns > PAIRS:
            fail(f"up to {columns} different texts; there are {PAIRS}: lower labels or texts")
        if self.queries < self.linked[1] + 2:
            fail(
                f"queries = {self.queries}; to look into each linked table give {self.linked[1] + 2}"
            )
        if self.shown < self.texts[1]:
            fail(f"shown = {self.shown} rows; to see the texts of a column give {self.texts[1]}")
        if not self.suffixes:
            fail('suffixes is empty; give [""] for none')
        for suffix in self.suffixes:
            if not (suffix == "" or (suffix[0] == "_" and suffix[1:].isidentifier())):
                fail(f"suffixes: {suffix!r} is none; give an underscore and a word")


SIZES = {
    size.name: size
    for size in (
        Size(
            name="easy",
            linked=(4, 5),
            apart=(2, 3),
            rows=(60, 100),
            thing_rows=(8, 20),
            labels=(1, 2),
            numbers=(1, 2),
            texts=(3, 6),
            number=(1, 400),
            queries=12,
            shown=30,
            suffixes=("", "_id", "_no"),
        ),
        Size(
            name="medium",
            linked=(6, 7),
            apart=(4, 5),
            rows=(150, 250),
            thing_rows=(15, 40),
            labels=(1, 3),
            numbers=(1, 3),
            texts=(4, 8),
            number=(1, 4000),
            queries=12,
            shown=30,
            suffixes=("", "_id", "_no"),
        ),
        Size(
            name="pocket-easy",
            linked=(3, 3),
            apart=(0, 1),
            rows=(6, 8),
            thing_rows=(4, 5),
            labels=(1, 1),
            numbers=(1, 1),
            texts=(2, 3),
            number=(1, 40),
            queries=6,
            shown=8,
        ),
        Size(
            name="pocket-medium",
            linked=(4, 4),
            apart=(1, 1),
            rows=(8, 8),
            thing_rows=(4, 6),
            labels=(1, 1),
            numbers=(1, 1),
            texts=(2, 4),
            number=(1, 40),
            queries=7,
            shown=8,
        ),
    )
}
