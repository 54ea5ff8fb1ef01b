"""Ways to hold what a tool tells about a thing: dicts, tuples, rows, columns, objects. One is drawn for an episode, and all
code of it reads and keeps records in that way.

A record is told by its id and has the family's fields, in order. In the texts `$word` stands for a name of the episode's
hand; `$<field>` is the variable for a field.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Literal", "Records", "Row", "WAYS"]

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """A loop over all records, `for {target} in {source}`, in which `id` and `fields` are expressions."""

    target: str
    source: str
    id: str
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Literal:
    """A value written out: what opens it, its parts, what closes it."""

    opens: str
    parts: Sequence[str] = ()
    closes: str = ""

    @property
    def line(self) -> str:
        """In one line."""
        return f"{self.opens}{', '.join(self.parts)}{self.closes}"


class Records(ABC):
    """One way. `words`: the names that hold it; `definitions`: what else has to be defined for it, name -> text."""

    words: Sequence[str] = ("known",)

    def __init__(self, fields: Sequence[str]):
        self.fields = tuple(fields)

    @property
    def definitions(self) -> Mapping[str, str]:
        return {}

    @abstractmethod
    def literal(self, records: Mapping[str, Record], word: str) -> Literal:
        """All records as the value of `word`."""

    @abstractmethod
    def keep(self, id: str, values: Mapping[str, str]) -> list[str]:
        """Statements that add a record: expressions of its id and of its fields."""

    @abstractmethod
    def get(self, id: str, field: str) -> str:
        """The field of the record with that id."""

    @abstractmethod
    def row(self) -> Row:
        """A loop over all of them."""

    @property
    def ids(self) -> str:
        """What `in` finds an id in."""
        return "$known"

    def _place(self, field: str) -> int:
        return self.fields.index(field)

    def _variables(self) -> str:
        return ", ".join(f"${field}" for field in self.fields)


class Dicts(Records):
    """$known["KuTo"]["value"]"""

    def literal(self, records: Mapping[str, Record], word: str) -> Literal:
        return Literal("{", [f"{id!r}: {dict(one)!r}" for id, one in records.items()], "}")

    def keep(self, id: str, values: Mapping[str, str]) -> list[str]:
        pairs = ", ".join(f"'{field}': {value}" for field, value in values.items())
        return [f"$known[{id}] = {{{pairs}}}"]

    def get(self, id: str, field: str) -> str:
        return f"$known[{id}]['{field}']"

    def row(self) -> Row:
        fields = {field: f"$record['{field}']" for field in self.fields}
        return Row("$id, $record", "$known.items()", "$id", fields)


class Tuples(Records):
    """$known["KuTo"][1]"""

    def literal(self, records: Mapping[str, Record], word: str) -> Literal:
        return Literal(
            "{", [f"{id!r}: {tuple(one.values())!r}" for id, one in records.items()], "}"
        )

    def keep(self, id: str, values: Mapping[str, str]) -> list[str]:
        return [f"$known[{id}] = ({', '.join(values.values())})"]

    def get(self, id: str, field: str) -> str:
        return f"$known[{id}][{self._place(field)}]"

    def row(self) -> Row:
        fields = {field: f"${field}" for field in self.fields}
        return Row(f"$id, ({self._variables()})", "$known.items()", "$id", fields)


class Rows(Records):
    """A list of dicts, each with its id."""

    def literal(self, records: Mapping[str, Record], word: str) -> Literal:
        return Literal("[", [repr({"id": id, **one}) for id, one in records.items()], "]")

    def keep(self, id: str, values: Mapping[str, str]) -> list[str]:
        pairs = ", ".join(f"'{field}': {value}" for field, value in values.items())
        return [f"$known.append({{'id': {id}, {pairs}}})"]

    def get(self, id: str, field: str) -> str:
        return f"next($one['{field}'] for $one in $known if $one['id'] == {id})"

    def row(self) -> Row:
        fields = {field: f"$record['{field}']" for field in self.fields}
        return Row("$record", "$known", "$record['id']", fields)

    @property
    def ids(self) -> str:
        return "[$one['id'] for $one in $known]"


class Lists(Records):
    """A list of tuples, each beginning with its id."""

    def literal(self, records: Mapping[str, Record], word: str) -> Literal:
        return Literal("[", [repr((id, *one.values())) for id, one in records.items()], "]")

    def keep(self, id: str, values: Mapping[str, str]) -> list[str]:
        return [f"$known.append(({id}, {', '.join(values.values())}))"]

    def get(self, id: str, field: str) -> str:
        return f"next($one[{self._place(field) + 1}] for $one in $known if $one[0] == {id})"

    def row(self) -> Row:
        fields = {field: f"${field}" for field in self.fields}
        return Row(f"$id, {self._variables()}", "$known", "$id", fields)

    @property
    def ids(self) -> str:
        return "[$one[0] for $one in $known]"


class Columns(Records):
    """A dict for each field."""

    @property
    def words(self) -> Sequence[str]:  # type: ignore[override]
        return [f"all_{field}" for field in self.fields]

    def literal(self, records: Mapping[str, Record], word: str) -> Literal:
        field = word.removeprefix("all_")
        return Literal("{", [f"{id!r}: {one[field]!r}" for id, one in records.items()], "}")

    def keep(self, id: str, values: Mapping[str, str]) -> list[str]:
        return [f"$all_{field}[{id}] = {value}" for field, value in values.items()]

    def get(self, id: str, field: str) -> str:
        return f"$all_{field}[{id}]"

    def row(self) -> Row:
        fields = {field: self.get("$id", field) for field in self.fields}
        return Row("$id", f"$all_{self.fields[0]}", "$id", fields)

    @property
    def ids(self) -> str:
        return f"$all_{self.fields[0]}"


class Objects(Records):
    """$known["KuTo"].value, of a class of its own. `form` says how the class is written."""

    def __init__(self, fields: Sequence[str], form: str):
        super().__init__(fields)
        self._form = form

    @property
    def definitions(self) -> Mapping[str, str]:
        names = [_attribute(field) for field in self.fields]
        if self._form == "namedtuple":
            return {"$Record": f"$Record = namedtuple('$Record', {' '.join(names)!r})"}
        if self._form == "dataclass":
            lines = "\n".join(f"    {name}: object" for name in names)
            return {"$Record": f"@dataclass\nclass $Record:\n{lines}"}
        lines = "\n".join(f"        self.{name} = {name}" for name in names)
        return {"$Record": f"class $Record:\n    def __init__(self, {', '.join(names)}):\n{lines}"}

    def literal(self, records: Mapping[str, Record], word: str) -> Literal:
        parts = [
            f"{id!r}: $Record({', '.join(map(repr, one.values()))})" for id, one in records.items()
        ]
        return Literal("{", parts, "}")

    def keep(self, id: str, values: Mapping[str, str]) -> list[str]:
        return [f"$known[{id}] = $Record({', '.join(values.values())})"]

    def get(self, id: str, field: str) -> str:
        return f"$known[{id}].{_attribute(field)}"

    def row(self) -> Row:
        fields = {field: f"$record.{_attribute(field)}" for field in self.fields}
        return Row("$id, $record", "$known.items()", "$id", fields)


def _attribute(field: str) -> str:
    return "kind" if field == "class" else field


# Way -> the records of a family with these fields; the plainest first
WAYS = {
    "dicts": Dicts,
    "tuples": Tuples,
    "columns": Columns,
    "rows": Rows,
    "lists": Lists,
    "named tuples": lambda fields: Objects(fields, "namedtuple"),
    "data class": lambda fields: Objects(fields, "dataclass"),
    "class": lambda fields: Objects(fields, "class"),
}
