"""Logs of Inspect."""

import json
import struct
import zipfile
import zlib

import pytest
from odd_transcripts import check_odd_values

from knapsack_lib.audit.formats import Problems, read_transcripts

ABOUT = {"task": "sums", "model": "openai/gpt-4o", "task_id": "abc"}
RAISED = "Traceback (most recent call last):\n  File \"<stdin>\", line 2, in <module>\nNameError: name 'z' is not defined"


def called(number, code, content="", error=None, function="python"):
    call = {
        "id": f"c{number}",
        "function": function,
        "arguments": {"code": code},
        "type": "function",
    }
    return [
        {"role": "assistant", "content": "I run it.", "source": "generate", "tool_calls": [call]},
        {
            "role": "tool",
            "content": content,
            "tool_call_id": f"c{number}",
            "function": function,
            "error": error,
        },
    ]


SAMPLE = {
    "id": 1,
    "epoch": 1,
    "input": "Add.",
    "target": "3",
    "messages": [
        {"role": "system", "content": "Use Python."},
        {"role": "user", "content": "Add.", "source": "input"},
        *called(1, "attachment://0f", content="3"),
        *called(2, "x = 1\nprint(z)", error={"type": "unknown", "message": RAISED}),
        *called(3, "wait()", error={"type": "timeout", "message": "Command timed out."}),
        *called(4, "ls", function="bash"),
        {"role": "assistant", "content": [{"type": "text", "text": "So:\n```python\nx\n```"}]},
    ],
    "attachments": {"0f": "print(1 + 2)"},
}
RAN = [
    ("print(1 + 2)", "3", None, None, False),
    ("x = 1\nprint(z)", RAISED, "NameError", 2, False),
    ("wait()", "Command timed out.", None, None, True),
]


def check(path):
    (found,) = read_transcripts(path)
    assert [
        (one.code, one.observation, one.error_type, one.line, one.stopped) for one in found.steps
    ] == RAN
    assert found.labels == {"task": "sums", "model": "openai/gpt-4o"}
    assert found.transcript_id.endswith("1 epoch 1")


def test_a_log_in_json(tmp_path):
    path = tmp_path / "log.json"
    path.write_text(
        json.dumps({"version": 2, "eval": ABOUT, "plan": {}, "samples": [SAMPLE]}), encoding="utf-8"
    )
    check(path)


MEMBERS = {
    "_journal/start.json": {"version": 2, "eval": ABOUT, "plan": {}},
    "samples/1_epoch_1.json": SAMPLE,
    "summaries.json": [],
    "header.json": {"version": 2, "eval": ABOUT, "plan": {}},
}


@pytest.mark.parametrize("name", ["log.eval", "log.zip"])
def test_a_log_in_a_zip_file(tmp_path, name):
    with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, value in MEMBERS.items():
            archive.writestr(member, json.dumps(value))
    check(tmp_path / name)
    check(tmp_path)  # in a folder, where other zip files are archives


def test_a_log_that_is_packed_with_zstandard_as_inspect_does_today(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    local, central = b"", b""
    for member, value in MEMBERS.items():
        data = json.dumps(value).encode()
        packed = arrow.compress(data, codec="zstd", asbytes=True)
        name = member.encode()
        sizes = struct.pack("<LLLHH", zlib.crc32(data), len(packed), len(data), len(name), 0)
        head = struct.pack("<HHHHH", 63, 0, 93, 0, 0)
        central += b"PK\1\2" + struct.pack("<H", 63) + head + sizes
        central += struct.pack("<HHHLL", 0, 0, 0, 0, len(local)) + name
        local += b"PK\3\4" + head + sizes + name + packed
    end = struct.pack("<HHHHLLH", 0, 0, len(MEMBERS), len(MEMBERS), len(central), len(local), 0)
    (tmp_path / "log.eval").write_bytes(local + central + b"PK\5\6" + end)
    check(tmp_path / "log.eval")


def test_what_is_damaged_is_counted_and_the_rest_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.eval", "w") as archive:
        for member, value in MEMBERS.items():
            archive.writestr(member, json.dumps(value))
        archive.writestr("samples/2_epoch_1.json", "{")
        archive.writestr("samples/3_epoch_1.json", "{}")
    whole = (tmp_path / "a.eval").read_bytes()
    (tmp_path / "b.eval").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "c.json").write_text(json.dumps({"eval": ABOUT, "plan": {}}), encoding="utf-8")
    problems = Problems()
    assert len(list(read_transcripts(tmp_path, problems=problems))) == 1
    assert problems.count == 4
    assert any(one.startswith("c.json: a log without its samples") for one in problems.lines)


def test_odd_values_are_told_or_passed_over(tmp_path):
    check_odd_values(tmp_path, "inspect", {"eval": ABOUT, "plan": {}, "samples": [SAMPLE]})
