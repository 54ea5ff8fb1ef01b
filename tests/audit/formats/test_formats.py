"""Which reader takes what, and what is said where none does; formats of a project's own."""

import io
import json
import sys
import tarfile
import zipfile

import pytest

from knapsack_lib.audit import formats as registry
from knapsack_lib.audit.formats import Problems, format_named, formats, read_transcripts
from knapsack_lib.errors import UserError
from knapsack_lib.files import project_root

CHAT = {"messages": [{"role": "assistant", "content": "```python\nx = 1\n```"}]}
MINT = {
    "state": {"history": [{"role": "assistant", "content": "<execute>y = 2</execute>"}]},
    "task": {"task_name": "math", "task_id": 3},
}


def line(*values):
    return "".join(json.dumps(value) + "\n" for value in values)


def codes(source, **more):
    return [step.code for one in read_transcripts(source, **more) for step in one.steps]


def test_a_folder_may_hold_several_formats_and_litter(tmp_path):
    (tmp_path / "a.jsonl").write_text(line(CHAT), encoding="utf-8")
    (tmp_path / "b.jsonl").write_text(line(MINT), encoding="utf-8")
    (tmp_path / "README.md").write_text("# what this is\n", encoding="utf-8")
    (tmp_path / "._a.jsonl").write_bytes(b"\0\5\26\7")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints" / "a.jsonl").write_text(line(CHAT), encoding="utf-8")
    problems = Problems()
    assert codes(tmp_path, problems=problems) == ["x = 1", "y = 2"]
    assert problems.lines == []


def test_archives_alone_and_in_a_folder_are_read_as_their_files_are(tmp_path):
    with tarfile.open(tmp_path / "a.tar.xz", "w:xz") as archive:
        data = line(CHAT).encode()
        info = tarfile.TarInfo("in/a.jsonl")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("b.jsonl", line(MINT))
    assert codes(tmp_path) == ["x = 1", "y = 2"]
    assert codes(tmp_path / "b.zip") == ["y = 2"]
    (tmp_path / "b.zip").write_bytes((tmp_path / "b.zip").read_bytes()[:40])
    problems = Problems()
    assert codes(tmp_path, problems=problems) == ["x = 1"]
    assert problems.count == 1 and problems.lines[0].startswith("b.zip: the archive is damaged")


def test_lines_on_stdin_are_read(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(line(CHAT, CHAT).encode())))
    assert codes("-") == ["x = 1", "x = 1"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"mesages": [], "id": 1}, "the nearest reader is chat, and messages is missing"),
        ({"episode_id": 1, "turns": []}, "the nearest reader is episodes, and opening is missing"),
        ({"qqq": 1}, "which no reader knows; name one with --format"),
    ],
)
def test_an_unknown_shape_gets_one_line_with_what_was_found_and_what_is_near(tmp_path, names, said):
    path = tmp_path / "x.jsonl"
    path.write_text(line(names, names), encoding="utf-8")
    with pytest.raises(UserError) as found:
        list(read_transcripts(path))
    text = str(found.value)
    assert text.startswith(f"x.jsonl: lines of JSON whose first object has {sorted(names)[0]}")
    assert said in text and "\n" not in text and "--format: " in text


def test_what_is_no_data_gets_one_line_too(tmp_path):
    (tmp_path / "x.bin").write_bytes(bytes(range(256)))
    for source, said in [
        (tmp_path / "x.bin", "x.bin: no JSON, Parquet, Arrow or zip file, which no reader knows"),
        (tmp_path / "none.jsonl", "none.jsonl: no such folder, archive or file"),
    ]:
        with pytest.raises(UserError) as found:
            list(read_transcripts(source))
        assert said in str(found.value)


def test_a_damaged_line_is_counted_and_the_others_are_read(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text("{broken\n" + line(CHAT) + '{"messages": [{"role": "assi', encoding="utf-8")
    problems = Problems()
    assert codes(path, problems=problems) == ["x = 1"]
    assert problems.count == 2
    assert [one.split(" ")[0] for one in problems.lines] == ["x.jsonl:1:", "x.jsonl:3:"]


def test_no_more_than_one_line_is_read_before_an_episode_is_given(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(line(CHAT) + "x" * 300_000 + "\n" + line(CHAT), encoding="utf-8")
    problems = Problems()
    reading = read_transcripts(path, problems=problems)
    next(reading)
    assert problems.count == 0  # the damaged line comes after it
    assert len(list(reading)) == 1 and problems.count == 1


def test_a_named_format_is_used_and_an_unknown_one_listed(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(line(MINT), encoding="utf-8")
    with pytest.raises(UserError, match=r"x\.jsonl:1: has no messages"):
        list(read_transcripts(path, "chat"))
    with pytest.raises(UserError, match="choose one of: .*chat.*mint"):
        format_named("chats")


def test_the_readers_do_not_take_each_others_files():
    assert [one.name for one in formats()][-1] == "chat"
    assert len({one.name for one in formats()}) == len(formats())


def test_a_project_may_have_formats_of_its_own(tmp_path, monkeypatch):
    for name in ("params", "notebooks", "formats"):
        (tmp_path / name).mkdir()
    (tmp_path / "formats" / "plain.py").write_text(
        "from knapsack_lib.audit.formats.base import Format\n"
        "from knapsack_lib.audit.transcripts import Step, Transcript\n"
        "def read(file, problems):\n"
        "    for place, value in file.values(problems.add):\n"
        "        yield Transcript(place, tuple(map(Step, value['cells'])))\n"
        "FORMAT = Format('plain', 'cells', read, keys=(frozenset({'cells'}),))\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("KNAPSACK_ROOT", str(tmp_path))
    registry.formats.cache_clear()
    try:
        (tmp_path / "x.jsonl").write_text(line({"cells": ["a = 1", "a"]}), encoding="utf-8")
        assert codes(tmp_path / "x.jsonl") == ["a = 1", "a"]
    finally:
        registry.formats.cache_clear()
        sys.modules.pop("knapsack_lib.audit.formats.plain", None)


def test_the_audits_page_has_a_row_for_each_format():
    page = (project_root() / "docs" / "audit.md").read_text(encoding="utf-8")
    rows = {f"| `{one.name}` | {one.about} |" for one in formats()}
    assert rows <= set(page.splitlines())
