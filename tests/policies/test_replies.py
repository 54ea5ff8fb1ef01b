"""Paid replies on disk: once each, and there again after any kill."""

import json
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from common import one_line

from knapsack_lib.errors import UserError
from knapsack_lib.policies.replies import ReplyStore, reply_key

ROOT = Path(__file__).parents[2]


def start(code, folder):
    """A process that runs `code` with the store open as `store`; its output can be read."""
    code = (
        "import sys; from pathlib import Path; from knapsack_lib.policies.replies import ReplyStore\n"
        f"with ReplyStore(Path(sys.argv[1])) as store:\n    {code}"
    )
    command = [sys.executable, "-c", code, str(folder)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


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
        assert len(store) == 1


@pytest.mark.parametrize("delay", [0.0, 0.003, 0.01, 0.03, 0.1])
def test_after_a_kill_at_any_moment_every_reply_that_was_acted_on_is_there(tmp_path, delay):
    code = 'for i in range(10**6): store.put(str(i), {"text": "x" * 5000}); print(i, flush=True)'
    writer = start(code, tmp_path)
    seen = [writer.stdout.readline()]
    time.sleep(delay)
    writer.kill()
    seen += (
        writer.stdout.read().splitlines()
    )  # not communicate(), which forgets what was read ahead
    writer.wait()
    with ReplyStore(tmp_path) as store:
        assert len(store) - len(seen) in (
            0,
            1,
        )  # one more where the kill came before it was printed
        assert all(store.get(str(i)) == {"text": "x" * 5000} for i in range(len(seen)))


DAMAGES = {
    "no database": lambda data: b"hello" * 100,
    "cut short": lambda data: data[: len(data) // 2],
    "a page overwritten": lambda data: data[:4096] + b"\xff" * 4096 + data[8192:],
    "a record that is no JSON": lambda data: data.replace(b'{"text": "one"}', b'{"text": "one",'),
    "another schema": lambda data: data.replace(b"CREATE TABLE", b"CREATE TABLX"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_database_is_one_line(tmp_path, damage):
    with ReplyStore(tmp_path) as store:
        store.put("a", {"text": "one"})
    data = store.path.read_bytes()
    assert damage(data) != data
    store.path.write_bytes(damage(data))
    with pytest.raises(UserError, match=r"replies.sqlite3 is damaged \(.*paid for again") as caught:
        ReplyStore(tmp_path)
    one_line(caught)


def test_a_second_run_on_the_same_replies_is_refused_and_a_killed_one_keeps_nobody_out(tmp_path):
    first = start("print('open', flush=True); sys.stdin.read()", tmp_path)
    assert first.stdout.readline() == b"open\n"
    with pytest.raises(UserError, match="another run uses"):
        ReplyStore(tmp_path)
    first.kill()
    first.communicate()
    with ReplyStore(tmp_path):
        pass


def test_a_disk_that_is_full_is_one_line_and_loses_nothing(tmp_path):
    with ReplyStore(tmp_path) as store:
        store.put("a", {"text": "one"})
        pages = store._database.execute("PRAGMA page_count").fetchone()[0]
        store._database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(UserError, match="cannot be read or written .*full") as caught:
            store.put("b", {"text": "x" * 10_000})
        one_line(caught)
        store.put("c", {"text": "three"})
    with ReplyStore(tmp_path) as store:
        assert len(store) == 2 and store.get("b") is None and store.get("c") == {"text": "three"}


def test_a_folder_that_cannot_hold_it_is_one_line(tmp_path):
    (tmp_path / "replies.sqlite3").mkdir()
    with pytest.raises(UserError, match="cannot be read or written"):
        ReplyStore(tmp_path)


def test_threads_that_write_the_same_replies_keep_each_once(tmp_path):
    with ReplyStore(tmp_path) as store:

        def write(name):
            for i in range(20):
                store.put(f"{name} {i}", {"text": "x" * 500})

        threads = [threading.Thread(target=write, args=(n % 4,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    rows = sqlite3.connect(store.path).execute("SELECT key, record FROM replies").fetchall()
    assert len(rows) == 80 == len({key for key, _ in rows})
    assert all(json.loads(record) == {"text": "x" * 500} for _, record in rows)


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


def test_without_locks_a_store_opens_when_the_user_sees_to_it_that_one_run_writes(
    tmp_path, monkeypatch
):
    with ReplyStore(tmp_path):
        monkeypatch.setenv("KNAPSACK_NO_LOCK", "1")
        with ReplyStore(tmp_path) as second:
            second.put("k", {"text": "é"})
            assert second.get("k") == {"text": "é"}
