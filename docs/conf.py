"""The site of the documentation: README, docs/, CONTRIBUTING, CHANGELOG, the notebooks and what the library says of itself.

The source folder is the repository, so that a link between two files is right in the repository and on the site. Settings,
functions and commands are read from the code when the site is built: nothing here can fall behind it.
"""

from __future__ import annotations

import importlib
import re
import typing
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import click
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

import knapsack_lib
from knapsack_lib.cli import knapsack
from knapsack_lib.profiles import Profile

ROOT = Path(__file__).parents[1]

project = "Agents Learn Their Runtime"
copyright = "Apache-2.0"
release = knapsack_lib.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx_copybutton"]

root_doc = "docs/index"
include_patterns = ["CHANGELOG.md", "CONTRIBUTING.md", "docs/**.md", "notebooks/*.ipynb"]
# Folders that are not walked through.
exclude_patterns = ["**/.*", ".*", "docs/_build", "knapsack_lib", "results", "runs", "tests"]

nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True

default_role = "literal"
smartquotes = False  # -- is an option
add_module_names = False
autodoc_inherit_docstrings = False
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 130
# Links between pages are checked; names of types in signatures are not.
nitpick_ignore_regex = [("py:.*", ".*")]

html_theme = "furo"
html_title = project
html_static_path = ["static"]
html_css_files = ["site.css"]
html_extra_path = ["start"]  # index.html, which leads to the first page
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"top_of_page_buttons": [], "navigation_with_keys": True}
pygments_style = "friendly"
pygments_dark_style = "native"


# The first page is the README -----------------------------------------------------------------------------------------


def begin_with_readme(app: Any, docname: str, source: list[str]) -> None:
    if docname == root_doc:
        readme = ROOT / "README.md"
        app.env.note_dependency(str(readme))
        source[0] = re.sub(r"\]\((?!https?:|#)", "](../", readme.read_text("utf-8")) + source[0]


# What the library says of itself --------------------------------------------------------------------------------------


def as_rst(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are written as plain text with `names` and indented code. Nothing else in them is markup."""
    out: list[str] = []
    code = False
    for before, line in zip(["", *lines], lines, strict=False):
        indented = line.startswith("    ")
        if indented and not code and not before.strip():
            out += [".. code-block:: python", ""]
            code = True
        elif line.strip() and not indented:
            code = False
        out.append(line if code or not line.strip() else _plain(line))
    lines[:] = [*out, ""]


def _plain(line: str) -> str:
    """Every second part of the split is a name between backticks."""
    parts = re.split(r"`+([^`]+)`+", line.strip())
    texts = [re.sub(r"([*|`\\]|_\b)", r"\\\1", part) for part in parts]
    return "".join(f"``{parts[i]}``" if i % 2 else text for i, text in enumerate(texts))


def not_ours(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """What a class has from another package is documented there."""
    module = getattr(obj, "__module__", None) or "knapsack_lib"
    return None if module.startswith("knapsack_lib") else True


class Markdown(SphinxDirective):
    """A directive whose content is Markdown worked out when the site is built."""

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes(self.markdown(), allow_section_headings=True)

    def markdown(self) -> str:
        raise NotImplementedError


class Room(Markdown):
    """The modules of a folder of the library, or the modules that are named, with what each offers."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = False

    def markdown(self) -> str:
        names = [name for given in self.arguments[0].split() for name in _modules(given)]
        return "\n".join(_module(name) for name in names)


def _modules(given: str) -> list[str]:
    name = f"knapsack_lib.{given}"
    package = importlib.import_module(name)
    inner = [m.name for m in iter_modules(getattr(package, "__path__", [])) if m.name[0] != "_"]
    return [name, *(found for m in inner for found in _modules(f"{given}.{m}"))]


def _module(name: str) -> str:
    """A package's own names only: what it passes on is shown where it is defined."""
    module = importlib.import_module(name)
    offered = getattr(module, "__all__", ())
    if hasattr(module, "__path__"):
        offered = [n for n in offered if getattr(getattr(module, n), "__module__", name) == name]
    members = f"   :members: {', '.join(offered)}\n" if offered else ""
    return (
        f"## `{name.removeprefix('knapsack_lib.')}`\n\n"
        f"```{{eval-rst}}\n.. automodule:: {name}\n{members}```\n"
    )


class Settings(Markdown):
    """Every setting of a profile, from the fields of the classes in knapsack_lib.profiles."""

    has_content = False

    def markdown(self) -> str:
        top = {name: f for name, f in Profile.model_fields.items() if _section(f) is None}
        parts = ["## Of the whole study", "", _table(top)]
        for name, field in Profile.model_fields.items():
            parts += _sections(name, _section(field))
        return "\n".join(parts)


def _section(field: Any) -> Any:
    """The class of a field that is a section of its own."""
    kinds = [field.annotation, *typing.get_args(field.annotation)]
    return next((k for k in kinds if isinstance(k, type) and hasattr(k, "model_fields")), None)


def _sections(name: str, section: Any) -> list[str]:
    if section is None:
        return []
    about = " ".join((section.__doc__ or "").split())
    rows = {n: f for n, f in section.model_fields.items() if _section(f) is None}
    inner = [(n, _section(f)) for n, f in section.model_fields.items() if _section(f)]
    parts = [f"## `{name}`", "", about, "", _table(rows)]
    for within, kind in inner:
        parts += _sections(f"{name}.{within}", kind)
    return parts


def _table(fields: dict[str, Any]) -> str:
    """Columns in which nothing stands are left out."""
    rows = [["setting", "value", "default", "meaning"]]
    rows += [[f"`{n}`", _kind(f), _default(f), _words(f)] for n, f in fields.items()]
    kept = [c for c in range(4) if any(row[c] for row in rows[1:])]
    lines = ["| " + " | ".join(row[c] for c in kept) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(kept) + "|", *lines[1:], ""])


def _words(field: Any) -> str:
    return (field.description or "").replace("<", "&lt;")


def _kind(field: Any) -> str:
    args = typing.get_args(field.annotation)
    origin = typing.get_origin(field.annotation)
    if origin is typing.Literal:
        return " · ".join(f"`{word}`" for word in args)
    if origin is tuple:
        words = typing.get_args(args[0]) if typing.get_origin(args[0]) is typing.Literal else ()
        return "list of " + (" · ".join(f"`{w}`" for w in words) or PLAIN.get(args[0], "numbers"))
    if origin is dict:
        return "names with values"
    bounds = [
        f"{sign}\N{NO-BREAK SPACE}{getattr(limit, key)}"
        for limit in field.metadata
        for key, sign in BOUNDS.items()
        if getattr(limit, key, None) is not None
    ]
    return ", ".join([PLAIN.get(field.annotation, "text"), *bounds])


PLAIN = {bool: "`true` · `false`", int: "whole number", float: "number", str: "text"}
BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def _default(field: Any) -> str:
    if field.is_required():
        return ""
    value = field.get_default(call_default_factory=True)
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if value or value == 0 else "none"


class Commands(Markdown):
    """The help of the command `knapsack` and of everything below it, as a terminal shows it."""

    has_content = False

    def markdown(self) -> str:
        wide = {"max_content_width": 96, "terminal_width": 96}
        top = click.Context(knapsack, info_name="knapsack", **knapsack.context_settings | wide)
        names = knapsack.list_commands(top)
        parts = [f"```text\n{knapsack.get_help(top)}\n```"]
        for name, command in ((name, knapsack.get_command(top, name)) for name in names):
            inner = click.Context(command, top, info_name=name)
            parts.append(f"## `{name}`\n\n```text\n{command.get_help(inner)}\n```")
        return "\n\n".join(["## `knapsack`", *parts])


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", begin_with_readme)
    app.connect("autodoc-process-docstring", as_rst)
    app.connect("autodoc-skip-member", not_ours)
    app.add_directive("command-line", Commands)
    app.add_directive("library-room", Room)
    app.add_directive("profile-settings", Settings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
