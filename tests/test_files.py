"""Where the project is, files that are written whole or not at all, and digests of contents."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from common import one_line

from knapsack_lib.errors import UserError
from knapsack_lib.files import digest_of, only_one, path_digest, project_root, shown, write_whole

# The project --------------------------------------------------------------------------------------


def test_the_project_is_found_from_any_folder_in_it(project, monkeypatch):
    monkeypatch.delenv("KNAPSACK_ROOT")
    inner = project / "runs" / "pocket"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert project_root() == project and shown(inner / "tasks") == "runs/pocket/tasks"


def test_outside_any_project_the_error_says_how_to_name_one(tmp_path, monkeypatch):
    monkeypatch.setenv("KNAPSACK_ROOT", str(tmp_path))
    with pytest.raises(UserError, match="KNAPSACK_ROOT") as caught:
        project_root()
    one_line(caught)


# Whole or not at all ------------------------------------------------------------------------------


def test_text_bytes_and_parts_are_written_as_they_are(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    for content in ("é\n", "é\n".encode(), iter(["é".encode(), b"\n"])):
        assert write_whole(path, content).read_bytes() == b"\xc3\xa9\n"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_what_cannot_be_made_whole_leaves_the_old_content(tmp_path):
    path = write_whole(tmp_path / "file", "old")

    def parts():
        yield b"half"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_whole(path, parts())
    assert path.read_text(encoding="utf-8") == "old"


WRITER = """
import sys
from pathlib import Path
from knapsack_lib.files import write_whole
print("ready", flush=True)
while True:
    for letter in "ab":
        write_whole(Path(sys.argv[1]), (letter * 1000 for letter in [letter.encode()] * 500))
"""


def test_a_kill_at_any_moment_leaves_the_old_content_or_the_new(tmp_path):
    path = tmp_path / "file"
    for pause in range(8):
        command = [sys.executable, "-c", WRITER, str(path)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8")
        assert writer.stdout.readline() == "ready\n"
        while not path.exists():
            time.sleep(0.001)
        time.sleep(0.007 * pause)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        assert path.read_bytes() in (b"a" * 500_000, b"b" * 500_000)


SHORT_AND_LONG = """
import sys
from pathlib import Path
from knapsack_lib.files import write_whole
for _ in range(200):
    write_whole(Path(sys.argv[1]), [sys.argv[2].encode() * 1000] * int(sys.argv[3]))
"""


def test_of_two_writers_at_once_one_wins_whole(tmp_path):
    path, whole = tmp_path / "file", {b"a" * 50_000, b"b" * 90_000}
    writers = [
        subprocess.Popen([sys.executable, "-c", SHORT_AND_LONG, str(path), letter, count])
        for letter, count in (("a", "50"), ("b", "90"))
    ]
    while any(writer.poll() is None for writer in writers):
        assert not path.exists() or path.read_bytes() in whole
    assert [writer.returncode for writer in writers] == [0, 0]
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


# Digests ------------------------------------------------------------------------------------------


def test_the_digest_of_values_does_not_depend_on_the_order_of_keys():
    assert digest_of({"a": 1, "b": [1, 2]}) == digest_of({"b": [1, 2], "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})


def test_the_digest_of_a_folder_ignores_clocks_halves_and_locks(tmp_path):
    (tmp_path / "key").mkdir()
    (tmp_path / "key" / "episodes.jsonl").write_text("{}\n", encoding="utf-8")
    before = path_digest(tmp_path)
    for name in ("timings.jsonl", "turns.jsonl", "provenance.json", ".lock", "episodes.jsonl.part"):
        (tmp_path / "key" / name).write_text("another", encoding="utf-8")
    assert path_digest(tmp_path) == before
    (tmp_path / "key" / "episodes.jsonl").write_text("{ }\n", encoding="utf-8")
    assert path_digest(tmp_path) != before


def test_the_digest_of_a_folder_knows_names_and_contents(tmp_path):
    def made(**files):
        folder = tmp_path / "-".join(files)
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        return path_digest(folder)

    assert len({made(a="1", b="2"), made(a="1"), made(b="1"), made(c="12")}) == 4


def test_a_missing_input_is_one_line(tmp_path):
    with pytest.raises(UserError, match="input absent of this output is not there") as caught:
        path_digest(tmp_path / "absent")
    one_line(caught)


def test_a_digest_does_not_depend_on_where_the_folder_lies(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner" / "file").write_text("same", encoding="utf-8")
    assert path_digest(tmp_path / "one") == path_digest(tmp_path / "two")
    os.utime(tmp_path / "two" / "inner" / "file", (1, 1))
    assert path_digest(tmp_path / "one") == path_digest(tmp_path / "two")


def test_nothing_is_shown_with_a_folder_of_this_machine(project):
    assert not Path(shown(project / "runs")).is_absolute()


# Who may write ------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
def test_a_file_system_without_locks_is_one_line_that_names_the_way_out(
    tmp_path, monkeypatch, number
):
    def refuse(*_):
        raise OSError(getattr(errno, number), os.strerror(getattr(errno, number)))

    monkeypatch.setattr(fcntl, "flock", refuse)
    refused = pytest.raises(UserError, match="has no locks.*KNAPSACK_NO_LOCK=1")
    with refused as caught, only_one(tmp_path / "lock", "busy"):
        raise AssertionError("nothing may be written")
    one_line(caught)
    monkeypatch.setenv("KNAPSACK_NO_LOCK", "1")
    with only_one(tmp_path / "lock", "busy"), only_one(tmp_path / "lock", "busy"):
        pass


def test_a_lock_that_another_process_holds_is_said_to_be(tmp_path):
    code = "import fcntl, sys; f = open(sys.argv[1], 'wb'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); input()"
    command = [sys.executable, "-c", code, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(UserError, match="^busy$"), only_one(tmp_path / "lock", "busy"):
            pass
        other.communicate(b"\n")
    with only_one(tmp_path / "lock", "busy"):
        pass
