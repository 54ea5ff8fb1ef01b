"""The vLLM server as a context, on a stand-in that speaks its protocol (vLLM itself: make check-vllm):
one-line errors, a log that grows, nothing left behind."""

import re
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from common import gone
from fake_vllm import BASE, served, written

from knapsack_lib.chat import CHAT_TEMPLATE
from knapsack_lib.errors import UserError, installs

STARTS_AND_WAITS = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background of a shell
sys.path[:0] = sys.argv[3:]
from pathlib import Path
from fake_vllm import served
with served(Path(sys.argv[1]), sys.argv[2]) as server:
    print("ready", flush=True)
    time.sleep(300)
"""


def test_a_server_gets_its_models_and_no_keys_and_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "secret")
    monkeypatch.setenv("HF_TOKEN", "secret")
    with served(tmp_path, "good") as server:
        pids = written(tmp_path, "pids")
        assert all(Path(f"/proc/{pid}").exists() for pid in pids) and server.seconds_to_start > 0
    assert gone(pids)
    environment, given = set(written(tmp_path, "environment")), written(tmp_path, "arguments")
    assert not {"SOME_API_KEY", "HF_TOKEN"} & environment
    assert environment >= {"PATH", "TOKENIZERS_PARALLELISM"}
    line, template = " ".join(given), tmp_path / "logs" / "chat_template.jinja"
    for words in (
        "--max-loras 3 --max-lora-rank 32",
        f"--model {BASE} --served-model-name base",
        "--dtype float32",
        "--max-model-len 512",
        "--seed 7",
        f"--chat-template {template}",
    ):
        assert words in line
    assert line.endswith("--enforce-eager")
    assert template.read_text(encoding="utf-8") == CHAT_TEMPLATE


def test_why_a_server_died_is_one_line(tmp_path):
    with pytest.raises(UserError) as error, served(tmp_path, "dies"):
        pass
    line = r"vLLM has ended: ValueError: 1 fault rank 64 > 8 \| RuntimeError: see above \(log: .*vllm\.log\)"
    assert re.fullmatch(line, str(error.value))
    assert gone(written(tmp_path, "pids"))


@pytest.mark.parametrize(
    "mode, message",
    [
        ("never", r"not ready after 4 s \(evaluation.serving.start_seconds\)"),
        ("unloaded", "does not offer persistent, reset"),
    ],
)
def test_a_start_that_comes_to_nothing_is_ended(tmp_path, mode, message):
    with pytest.raises(UserError, match=message):
        served(tmp_path, mode, start_seconds=4 if mode == "never" else 30).__enter__()
    assert gone(written(tmp_path, "pids"))


def test_a_wrong_name_or_rank_is_refused_before_anything_starts(tmp_path):
    with pytest.raises(UserError, match="'base'"):
        served(tmp_path, "good", adapters=("base",))
    with pytest.raises(UserError, match="= 1024"):
        served(tmp_path, "good", rank=1024)


def test_an_exception_inside_the_block_ends_a_server_that_does_not_listen(tmp_path, monkeypatch):
    monkeypatch.setattr("knapsack_lib.serving.vllm.GRACE_SECONDS", 0.5)
    with pytest.raises(ZeroDivisionError), served(tmp_path, "stubborn") as server:
        server.check()
        raise ZeroDivisionError
    assert gone(written(tmp_path, "pids"))


def test_nothing_is_left_when_somebody_kills_the_watcher(tmp_path):
    with served(tmp_path, "good") as server:
        pids = written(tmp_path, "pids")
        server._watcher.kill()
        server._watcher.wait()
        with pytest.raises(UserError, match="has ended"):
            server.check()
    assert gone(pids)


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed here")
def test_without_vllm_the_error_shows_what_to_install(tmp_path):
    server = served(tmp_path, "good")
    server.environment["PYTHONPATH"] = ""
    with pytest.raises(UserError, match=re.escape(f"run: {installs('gpu')}")):
        server.__enter__()


@pytest.mark.parametrize(
    "mode, number", [("good", "SIGKILL"), ("never", "SIGINT"), ("never", "SIGTERM")]
)
def test_the_server_does_not_outlive_who_started_it(tmp_path, mode, number):
    here = Path(__file__).parent
    words = [sys.executable, "-c", STARTS_AND_WAITS, tmp_path, mode, here, here.parent]
    starter = subprocess.Popen(
        list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, process_group=0
    )
    try:
        pids = written(tmp_path, "pids")
        if mode == "good":
            assert starter.stdout.readline() == b"ready\n"
        starter.send_signal(getattr(signal, number))
        starter.wait(60)
        assert gone(pids)
    finally:
        starter.kill()
        starter.communicate()


def test_a_server_in_a_folder_with_spaces_and_behind_a_proxy_is_reached(tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    folder = tmp_path / "mein Ordner ü"
    with served(folder, "good") as server:
        assert server.offered == ("base", "persistent", "reset")
        line = " ".join(written(folder, "arguments"))
    assert f"--chat-template {folder}/logs/" in line
