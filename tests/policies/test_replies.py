"""Paid replies on disk: whole lines, once each, and readable after any kill."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from knapsack_lib.errors import UserError
from knapsack_lib.policies.replies import ReplyStore, reply_key

ROOT = Path(__file__).parents[2]


def test_what_was_put_is_there_again_after_opening(tmp_path):
    record = {"text": "a\n\u2028 \x85 'é' \ud800", "usd": 0.1, "stop": "end"}
    with ReplyStore(tmp_path) as store:
        assert store.get("k") is None and store.put("k", record) == record
    with ReplyStore(tmp_path) as store:
        assert store.get("k") == record and len(store) == 1 and store.total("usd") == 0.1


def test_the_first_reply_to_a_request_stays_the_only_one(tmp_path):
    with ReplyStore(tmp_path) as store:
        store.put("k", {"text": "first"})
        assert store.put("k", {"text": "second"}) == {"text": "first"}
    assert store.path.read_text().count("\n") == 1


def test_a_last_line_that_a_kill_cut_at_any_byte_is_dropped_and_the_rest_stays(tmp_path):
    with ReplyStore(tmp_path) as store:
        store.put("a", {"text": "one"})
        store.put("b", {"text": "zwei é"})
    data = store.path.read_bytes()
    whole = data.index(b"\n") + 1
    for end in range(whole, len(data)):
        store.path.write_bytes(data[:end])
        with ReplyStore(tmp_path) as again:
            assert again.get("a") == {"text": "one"} and again.get("b") is None
            again.put("b", {"text": "zwei é"})
        assert store.path.read_bytes() == data


@pytest.mark.parametrize("bad", ["{", "[]", "3", '{"text": "no key"}'])
def test_a_damaged_line_within_is_named_not_skipped(tmp_path, bad):
    (tmp_path / "replies.jsonl").write_text(f'{{"key": "a"}}\n{bad}\n{{"key": "b"}}\n')
    with (
        pytest.raises(UserError, match=r"replies.jsonl:2 is damaged") as caught,
        ReplyStore(tmp_path),
    ):
        pass
    assert "\n" not in str(caught.value)


def test_a_second_run_on_the_same_replies_is_told_so(tmp_path):
    code = (
        "import sys; from pathlib import Path; from knapsack_lib.policies.replies import ReplyStore\n"
        "with ReplyStore(Path(sys.argv[1])): print('open', flush=True); sys.stdin.read()"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert first.stdout.readline() == b"open\n"
    with pytest.raises(UserError, match="another run uses"), ReplyStore(tmp_path):
        pass
    first.kill()
    first.communicate()
    with ReplyStore(tmp_path):  # and a killed run keeps nobody out
        pass


def test_a_disk_that_is_full_leaves_whole_lines(tmp_path, monkeypatch):
    with ReplyStore(tmp_path) as store:
        store.put("a", {"text": "one"})
        real = store._file

        class Full:
            fileno, close = real.fileno, real.close
            write = staticmethod(lambda line: real.write(line[:5]))

        store._file = Full()
        with pytest.raises(UserError, match="cannot be written"):
            store.put("b", {"text": "two"})
        store._file = real
        store.put("c", {"text": "three"})
    with ReplyStore(tmp_path) as store:
        assert len(store) == 2 and store.get("b") is None


def test_threads_that_write_at_once_write_whole_lines(tmp_path):
    with ReplyStore(tmp_path) as store:
        threads = [
            threading.Thread(
                target=lambda n=n: [
                    store.put(f"{n % 4} {i}", {"text": "x" * 500}) for i in range(20)
                ]
            )
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = [json.loads(line) for line in store.path.read_text().splitlines()]
    assert len(lines) == 80 == len({line["key"] for line in lines})


def test_a_key_follows_from_the_request_alone_and_from_all_of_it():
    usual = {
        "model": "m",
        "messages": ({"role": "user", "content": "é"},),
        "seed": 1,
        "temperature": 1.0,
    }
    same = dict(reversed(list({**usual, "messages": [{"content": "é", "role": "user"}]}.items())))
    assert reply_key(**usual) == reply_key(**same) and len(reply_key(**usual)) == 64
    others = [
        {**usual, name: value}
        for name, value in (("model", "n"), ("seed", 2), ("temperature", 0.5))
    ]
    assert len({reply_key(**one) for one in [usual, *others]}) == 4
