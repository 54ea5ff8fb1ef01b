"""What every name of a block's module holds, asked inside the child that runs the blocks. Standard
library only: the text of this file is run there, in a namespace of its own, and binds nothing that a
block could find.

    print(looked(globals()))      # {"x": ["data", "list [int 1]", "[1]", 140...]}, as JSON in hex
"""

import hashlib
import json
import pickle
import types
from typing import Any

ATOMS = (type(None), bool, int, float, complex, str, bytes)
CONTAINERS = (list, tuple, set, dict)
MOST_PARTS = 100_000
MOST_LETTERS = 20_000  # of a value that is written down


def looked(names: dict[Any, Any]) -> str:
    """Name -> [kind, what is the same as long as the value is, the value as a literal or None, its
    id], in hex, so that nothing of it is taken for a place on a machine and masked."""
    found = {}
    for name, value in dict(names).items():
        if isinstance(name, str) and not name.startswith("__"):
            found[name] = [kind_of(value), print_of(value), literal_of(value), id(value)]
    return json.dumps(found).encode().hex()


def kind_of(value: Any) -> str:
    if isinstance(value, types.ModuleType):
        return "import"
    if type(value) in ATOMS or type(value) in CONTAINERS:
        return "data"
    home = getattr(value, "__module__", None)
    if isinstance(value, type):
        return "class" if home == "__main__" else "import"
    if isinstance(value, types.FunctionType):
        return "function" if home == "__main__" else "import"
    return "import" if isinstance(value, types.BuiltinFunctionType) else "object"


def literal_of(value: Any) -> str | None:
    """None for what Python's own literals do not give back, type for type."""
    try:
        if not is_plain(value, ()):
            return None
        text = repr(value)
    except RecursionError:
        return None
    return text if len(text) <= MOST_LETTERS and "nan" not in text and "inf" not in text else None


def is_plain(value: Any, around: tuple[int, ...]) -> bool:
    kind = type(value)
    if kind in ATOMS:
        return True
    if kind not in CONTAINERS or id(value) in around:
        return False
    parts = [part for pair in value.items() for part in pair] if kind is dict else list(value)
    return all(is_plain(part, (*around, id(value))) for part in parts)


class Printer:
    """Writes a value down part by part. Objects that cannot be looked into are told by their id."""

    def __init__(self) -> None:
        self.seen: dict[int, int] = {}
        self.parts = 0

    def of(self, value: Any) -> str:
        self.parts += 1
        kind = type(value)
        if self.parts > MOST_PARTS:
            raise OverflowError
        if kind in ATOMS:
            return f"{kind.__name__} {value!r}"
        if id(value) in self.seen:
            return f"again {self.seen[id(value)]}"
        self.seen[id(value)] = len(self.seen)
        if kind is dict:
            return "dict {" + ", ".join(f"{self.of(k)}: {self.of(value[k])}" for k in value) + "}"
        if kind is set:
            return "set {" + ", ".join(sorted(self.of(part) for part in value)) + "}"
        if kind in (list, tuple):
            return f"{kind.__name__} [" + ", ".join(map(self.of, value)) + "]"
        if kind is types.ModuleType:
            return f"module {value.__name__}"
        return self.of_object(value)

    def of_object(self, value: Any) -> str:
        kind = type(value)
        home = getattr(value, "__module__", None)
        if kind is types.FunctionType and home == "__main__":
            cells = [cell.cell_contents for cell in value.__closure__ or ()]
            parts = [value.__defaults__, value.__kwdefaults__, cells, value.__dict__]
            return f"function {self.code(value.__code__)} {' '.join(map(self.of, parts))}"
        if isinstance(value, type) and home == "__main__":
            own = {k: v for k, v in vars(value).items() if k not in ("__dict__", "__weakref__")}
            own.pop("__firstlineno__", None)
            return f"class {value.__name__} {self.of(list(value.__bases__))} {self.of(own)}"
        if isinstance(value, (staticmethod, classmethod)):
            return f"{kind.__name__} {self.of(value.__func__)}"
        if isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)):
            return f"{home}.{value.__qualname__} {id(value)}"
        if kind.__module__ == "__main__":
            ours = all(one.__module__ == "__main__" for one in kind.__mro__[:-1])
            if ours and hasattr(value, "__dict__"):
                return f"instance {self.of(kind)} {self.of(vars(value))}"
            return self.only(value)
        try:
            text = pickle.dumps(value)
        except Exception:  # noqa: BLE001 - it may refuse in any way
            return self.only(value)
        return f"{kind.__module__}.{kind.__qualname__} {hashlib.sha256(text).hexdigest()}"

    def only(self, value: Any) -> str:
        return f"object {type(value).__name__} {id(value)}"

    def code(self, code: types.CodeType) -> str:
        """Of a function's body, without the place where it stands."""
        constants = [
            self.code(one) if type(one) is types.CodeType else repr(one) for one in code.co_consts
        ]
        parts = (code.co_name, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
        names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        return repr((*parts, *names, code.co_flags, code.co_code, constants))


def print_of(value: Any) -> str:
    try:
        text = Printer().of(value)
    except Exception:  # noqa: BLE001 - too large, too deep, or changed by a thread meanwhile
        return f"object {type(value).__name__} {id(value)}"
    return text if len(text) < 100 else hashlib.sha256(text.encode()).hexdigest()
