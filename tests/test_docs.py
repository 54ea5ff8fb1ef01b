"""README, CONTRIBUTING and docs/: what they name is there."""

import re
from pathlib import Path

import click
import pytest

from knapsack_lib.analysis.verify import values_table
from knapsack_lib.cli import knapsack
from knapsack_lib.files import project_root
from knapsack_lib.study import resolve

ROOT = project_root()
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in PAGES}
by_page = pytest.mark.parametrize("page", TEXTS)


def named_paths(text: str) -> list[str]:
    """Targets of links and of pictures that are no address."""
    return [target for target in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in target]


def code(text: str) -> str:
    """Blocks and names between backticks, one a line."""
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.S)
    return "\n".join(
        [*blocks, *re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.S))]
    )


@by_page
def test_every_file_that_a_page_links_to_is_there(page):
    folder = (ROOT / page).parent
    missing = [name for name in named_paths(TEXTS[page]) if not (folder / name).exists()]
    assert not missing


@by_page
def test_every_make_target_that_a_page_names_exists(page):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    assert set(re.findall(r"^(?:\$ )?make ([a-z-]+)", code(TEXTS[page]), re.M)) <= set(targets)


@by_page
def test_every_knapsack_command_that_a_page_names_exists_with_its_options(page):
    context = click.Context(knapsack)
    for line in re.findall(r"^(?:\$ )?knapsack ([a-z].*)$", code(TEXTS[page]), re.M):
        name, _, rest = line.partition(" ")
        command = knapsack.get_command(context, name)
        assert command, line
        options = {option for one in command.params for option in one.opts}
        assert set(re.findall(r"(?<=\s)--[a-z-]+", f" {rest}")) <= options, line


@by_page
def test_every_papermill_command_that_a_page_names_is_understood(page):
    for line in re.findall(
        r"^(?:\$ )?papermill notebooks/(\w+\.ipynb.*)$", code(TEXTS[page]), re.M
    ):
        stage, _, rest = line.partition(".ipynb")
        given = dict(re.findall(r"-p (\w+) (\S+)", rest))
        given.pop("profile", None)  # some are made up
        if "$" not in rest:  # a loop of a shell script
            resolve(stage, given)


def test_the_table_of_values_in_the_docs_is_the_one_that_is_verified():
    assert values_table() in TEXTS["docs/results.md"]


def test_the_readme_is_a_front_door():
    words = len(TEXTS["README.md"].split())
    assert words < 1300, f"{words} words: what is long belongs in docs/"


def test_every_page_of_the_docs_is_in_the_table_of_contents():
    entries = set(
        re.findall(r"^([\w./-]+)$", TEXTS["docs/index.md"] + TEXTS["docs/library/index.md"], re.M)
    )
    pages = {Path(name).stem for name in TEXTS if name.startswith("docs/")} - {"index"}
    assert pages <= {Path(entry).name for entry in entries}


@pytest.mark.parametrize(
    ("page", "count"), [("docs/own-study.md", 1), ("docs/own-model.md", 2), ("README.md", 1)]
)
def test_the_profiles_that_are_shown_can_be_read(page, count, tmp_path):
    from knapsack_lib.profiles import load_profile

    shown = re.findall(r"```yaml\n(# params/mine.yaml\n.*?)```", TEXTS[page], re.S)
    assert len(shown) == count
    file = tmp_path / "mine.yaml"
    for text in shown:
        file.write_text(text, encoding="utf-8")
        assert load_profile(str(file)).name == "mine"
