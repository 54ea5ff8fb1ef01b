"""The questions: five kinds, each a sentence and a query that answers it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["KINDS", "Question"]

KINDS = ("count", "sum", "mean", "distinct", "top")
SENTENCES = {
    "count": "How many rows of {main} have {field} '{value}'?",
    "sum": "What is the sum of {number} in {main} with {field} '{value}'?",
    "mean": "What is the mean of {number} in {main} with {field} '{value}', to 2 digits?",
    "distinct": "How many different values of {label} are in {main} with {field} '{value}'?",
    "top": "Which {field} has the largest sum of {number} in {main}?",
}
SELECTED = {
    "count": "COUNT(*)",
    "sum": "SUM({main}.{number})",
    "mean": "ROUND(AVG({main}.{number}), 2)",
    "distinct": "COUNT(DISTINCT {main}.{label})",
}


@dataclass(frozen=True)
class Question:
    """About the rows of `main`: its column `number` or `label`, and `field` of the table at the end of `path`.

    A step (table, column, target) of the path says that the column holds an id of the target. Without steps `field` is a
    column of `main` itself. Of the kind "top" a question has no `value`.
    """

    kind: str
    main: str
    path: tuple[tuple[str, str, str], ...]
    field: str
    number: str
    label: str
    value: str

    @property
    def sentence(self) -> str:
        return SENTENCES[self.kind].format(**vars(self))

    def query(self, *, condition: bool = True, most: int = 1) -> str:
        """SQL with one answer. Without its condition it is about all rows of `main`; of the kind "top" it gives the `most`
        largest, with their sums where that is more than one."""
        joins = "".join(
            f" JOIN {to} ON {table}.{column} = {to}.id" for table, column, to in self.path
        )
        field = f"{self.path[-1][2] if self.path else self.main}.{self.field}"
        if self.kind == "top":
            total = f"SUM({self.main}.{self.number})"
            shown = field if most == 1 else f"{field}, {total}"
            return (
                f"SELECT {shown} FROM {self.main}{joins} GROUP BY {field} "
                f"ORDER BY {total} DESC LIMIT {most}"
            )
        selected = SELECTED[self.kind].format(**vars(self))
        where = f" WHERE {field} = '{self.value}'" if condition else ""
        return f"SELECT {selected} FROM {self.main}{joins}{where}"
