"""Made-up episodes, stores and a project of them; an episode that holds the same text everywhere;
the committed results.

Nothing is played here: the records are written by hand, as the stages would have written them.
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from knapsack_lib.episodes import Episode, Turn
from knapsack_lib.explorer.catalogue import Catalogue, open_catalogue
from knapsack_lib.profiles import Profile, load_profile

REPOSITORY = Path(__file__).resolve().parents[2]
COMMITTED = REPOSITORY / "results" / "pocket-seeds"
TASKS = ("knapsack-easy-00000", "knapsack-easy-00001", "knapsack-medium-00000")
KEY = "0123456789abcdef"
CELLS = (("base", "persistent", 0), ("persistent", "reset", 1), ("persistent", "reset", 2))

# Episodes -----------------------------------------------------------------------------------------


def made_call(
    name: str, *args: object, result: object = None, error: str | None = None
) -> dict[str, Any]:
    return {"name": name, "args": list(args), "result": result, "error": error}


def made_turn(
    code: str | None = "x = 1", observation: str | None = "", *calls: dict, **other: object
) -> Turn:
    plain = Turn(
        reply="I look." if code is None else f"I look.\n```python\n{code}\n```",
        reply_ids=None,
        parse_status="no_code" if code is None else "code",
        code=code,
        observation=observation,
        stdout="",
        error_type=None,
        error=None,
        killed_by=None,
        state_lost=False,
        bindings=[],
        tool_calls=list(calls),
        prompt_tokens=10,
        completion_tokens=5,
        slip=False,
    )
    return replace(plain, **other)


def made_episode(
    *turns: Turn, task: str = TASKS[0], cell: tuple = CELLS[0], shown: str = "", **other: object
) -> Episode:
    result = {
        "value": 20,
        "optimal_value": 40,
        "score": 0.5,
        "solved": False,
        "weight_used": 9,
        "capacity": 20,
        "items_taken": 2,
        "items_inspected": 3,
    }
    opening = [{"role": "system", "content": "Act."}, {"role": "user", "content": shown}]
    train, runtime, seed = cell
    plain = Episode(
        task,
        task,
        "knapsack",
        task.split("-")[-2],
        train,
        runtime,
        5,
        opening,
        list(turns),
        "finish",
        result,
        seed,
    )
    return replace(plain, **other)


@pytest.fixture(scope="session")
def call() -> Callable[..., dict[str, Any]]:
    return made_call


@pytest.fixture(scope="session")
def turn() -> Callable[..., Turn]:
    return made_turn


@pytest.fixture(scope="session")
def episode() -> Callable[..., Episode]:
    return made_episode


@pytest.fixture(scope="session")
def holding() -> Callable[[str], Episode]:
    """An episode whose every text is the one given, as a reply, a block, a name, a tool's answer,
    an id and so on."""

    def make(text: str) -> Episode:
        calls = [made_call(text, text, [text], result=text), made_call(text, text, error=text)]
        texts = {
            "reply": text,
            "stdout": text,
            "error_type": text,
            "error": text,
            "killed_by": text,
        }
        first = made_turn(text, text, *calls, bindings=[text, f"{text}2"], **texts)
        quoted = made_turn(
            f"print(nowhere, {text!r})", text, made_call("inspect", text, result=text)
        )
        last = made_turn(None, None, **{**texts, "reply": f"{text}\n{text}", "parse_status": text})
        opening = [{"role": text, "content": text}]
        return made_episode(
            first,
            quoted,
            last,
            cell=(text, text, 1),
            episode_id=text,
            task_id=text,
            difficulty=text,
            finish_reason=text,
            opening=opening,
            family=text,
        )

    return make


# Stores -------------------------------------------------------------------------------------------


def write_store(folder: Path, episodes: list[Episode], after: str = "", key: str = "") -> Path:
    """A store as it is imported, or as a stage leaves it (with a key, whose folder becomes the current
    one). Returns where its files are; `after` is what stands after the last whole line."""
    if key:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "current").write_text(key + "\n", encoding="utf-8")
    folder = folder / key
    folder.mkdir(parents=True)
    (folder / "episodes.jsonl").write_text(
        "".join(e.to_line() + "\n" for e in episodes) + after, encoding="utf-8"
    )
    clock = [
        json.dumps({"episode_id": e.episode_id, "seconds": 1.5 + i}) + "\n"
        for i, e in enumerate(episodes)
    ]
    (folder / "timings.jsonl").write_text("".join(clock), encoding="utf-8")
    (folder / "provenance.json").write_text(
        json.dumps({"profile": "smoke", "seed": 1}), encoding="utf-8"
    )
    return folder


def cell_episodes(cell: tuple) -> list[Episode]:
    """Three episodes: of one, two and three turns; the base's score 0, others' rise with the turns."""
    found = []
    for count, task in enumerate(TASKS, start=1):
        score = 0.0 if cell[0] == "base" else count / 4
        turns = [made_turn(f"x = {n}", f"{cell[0]}{cell[2]} saw {n}") for n in range(count)]
        one = made_episode(*turns, task=task, cell=cell)
        found.append(replace(one, result={**one.result, "score": score}))
    return found


@pytest.fixture(scope="session")
def store() -> Callable[..., Path]:
    return write_store


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with runs/smoke of three stores of three episodes, each under KEY, and the same nine
    as results/pocket-seeds."""
    shutil.copytree(REPOSITORY / "params", tmp_path / "params")
    (tmp_path / "notebooks").mkdir()
    lines = ""
    for cell in CELLS:
        folder = write_store(
            tmp_path / "runs" / "smoke" / "cells" / f"{cell[0]}-{cell[1]}-easy-train{cell[2]}",
            cell_episodes(cell),
            key=KEY,
        )
        lines += (folder / "episodes.jsonl").read_text(encoding="utf-8")
    kept = tmp_path / "results" / "pocket-seeds"
    kept.mkdir(parents=True)
    (kept / "cells.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
    (kept / "provenance.json").write_text(
        json.dumps({"profile": "pocket-seeds", "seed": 1}), encoding="utf-8"
    )
    monkeypatch.setenv("KNAPSACK_ROOT", str(tmp_path))
    monkeypatch.delenv("KNAPSACK_PROGRESS", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def nine(project: Path) -> Catalogue:
    """The nine made-up episodes: three of base → persistent, three each of two adapters of
    persistent → reset."""
    return open_catalogue("smoke")


@pytest.fixture(scope="session")
def committed() -> Catalogue:
    return open_catalogue(COMMITTED)


@pytest.fixture(scope="session")
def study() -> Profile:
    """The profile of the committed results."""
    return load_profile(str(REPOSITORY / "params" / "pocket-seeds.yaml"))


# HTML ---------------------------------------------------------------------------------------------


@dataclass
class Parsed:
    """What a browser would make of a text: its elements, and the characters that are shown with
    their <mark>'s class."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    text: str = ""
    marks: list[str] = field(default_factory=list)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="session")
def parse() -> Callable[[str], Parsed]:
    def read(html: str) -> Parsed:
        found, inside = Parsed(), [""]

        def start(tag: str, attributes: list) -> None:
            found.tags.append((tag, dict(attributes)))
            if tag == "mark":
                inside.append(dict(attributes)["class"])

        def end(tag: str) -> None:
            if tag == "mark":
                inside.pop()

        def data(text: str) -> None:
            found.text += text
            found.marks += [inside[-1]] * len(text)

        parser = HTMLParser(convert_charrefs=True)
        parser.handle_starttag = parser.handle_startendtag = start  # type: ignore[method-assign]
        parser.handle_endtag, parser.handle_data = end, data  # type: ignore[method-assign]
        parser.feed(html)
        parser.close()
        assert inside == [""], "a <mark> was left open"
        return found

    return read


@pytest.fixture
def no_session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Sessions, with none open; what a test opened is closed after it."""
    from knapsack_lib.explorer import session

    monkeypatch.setattr(session.Session, "last", None)
    yield session.Session
    if session.Session.last is not None:
        session.Session.last.close()
