"""The client of OpenAI-compatible servers: against `transformers serve` on the pocket base, and
against one that misbehaves."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer

from knapsack_lib.chat import ChatTokenizer
from knapsack_lib.errors import UserError
from knapsack_lib.families import family_named
from knapsack_lib.hub import base_folder
from knapsack_lib.policies import PolicyError
from knapsack_lib.policies.chat_server import ChatServerPolicy
from knapsack_lib.policies.concurrent import Ask
from knapsack_lib.policies.pocket import PocketEngine
from knapsack_lib.policy_factory import load_policy, served
from knapsack_lib.profiles import Cell, Serving, load_profile
from knapsack_lib.rollouts import Rollouts
from knapsack_lib.store import read_episodes
from knapsack_lib.training.examples import encode_episode

SMOKE = load_profile("smoke")
BASE = base_folder(SMOKE)
CELL = Cell("knapsack", "base", "reset", "easy")


def played(folder, policy, count, profile=SMOKE):
    """The episodes of `count` tasks."""
    make = family_named("knapsack").make_task
    tasks = [make("pocket-easy", seed=5, split="easy", index=i) for i in range(count)]
    Rollouts(policy, CELL, profile, seed=1, shard=9).run(tasks, folder, "key")
    return read_episodes(folder, "")


def evaluation(prompts="messages", **changed):
    serving = Serving(
        dtype="float32",
        gpu_memory=0.3,
        concurrency=3,
        start_seconds=60,
        timeout_seconds=60,
        agreement=0.01,
        prompts=prompts,
    )
    plain = {
        "temperature": 0.0,
        "max_new_tokens": 24,
        "context": 1200,
        "engine": "server",
        "serving": serving,
    }
    return SMOKE.evaluation.model_copy(update={**plain, **changed})


@pytest.fixture(scope="session")
def chat():
    return ChatTokenizer(Tokenizer.from_file(str(BASE / "tokenizer.json")))


# A real server ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """`transformers serve` on the shipped base; its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "log"
    command = [
        str(Path(sys.executable).with_name("transformers")),
        "serve",
        str(BASE),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--device",
        "cpu",
        "--dtype",
        "float32",
    ]
    with open(log, "w", encoding="utf-8") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env={**os.environ, "HF_HUB_OFFLINE": "1"}
        )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2)
                break
            except OSError:
                assert process.poll() is None, log.read_text(encoding="utf-8")[-3000:]
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


def test_a_real_server_gives_the_replies_of_the_engine_in_this_process(server, chat, tmp_path):
    limits = SMOKE.limits.model_copy(update={"turns": 3})
    profile, setting = SMOKE.model_copy(update={"limits": limits}), evaluation()
    by_server = ChatServerPolicy(server, str(BASE), setting, chat)
    found = played(tmp_path / "server", by_server, 4, profile)
    expected = played(tmp_path / "engine", PocketEngine(BASE, setting), 4, profile)
    for theirs, ours in zip(found, expected, strict=True):
        assert theirs.opening == ours.opening and len(theirs.turns) == len(ours.turns) == 3
        one, other = theirs.turns[0], ours.turns[0]
        assert (one.reply, one.parse_status) == (other.reply, other.parse_status)
        counted = chat.count(theirs.opening) + len(chat.ask)
        assert one.prompt_tokens == other.prompt_tokens == counted
        ended = one.parse_status != "cut_off"  # a server may count the end mark or not
        assert other.completion_tokens - one.completion_tokens in ((0, 1) if ended else (0,))


def test_a_profile_may_name_a_server_that_runs(server, tmp_path):
    setting = evaluation()
    serving = setting.serving.model_copy(update={"url": server, "names": {"base": str(BASE)}})
    profile = SMOKE.model_copy(
        update={
            "evaluation": setting.model_copy(update={"serving": serving}),
            "limits": SMOKE.limits.model_copy(update={"turns": 2}),
        }
    )
    with load_policy(profile.run(), CELL) as loaded:
        assert set(loaded.files) == {"base"} and "not proved" in loaded.description
        episodes = played(tmp_path / "s", loaded.policy, 2, profile)
    assert [len(episode.turns) for episode in episodes] == [2, 2]


def test_cells_that_start_servers_of_their_own_at_the_same_time_do_not_share_files(
    tmp_path, monkeypatch
):
    folders = []

    @contextmanager
    def started(base, adapters, evaluation, folder, **others):
        folders.append(folder)
        yield SimpleNamespace(url="http://127.0.0.1:9/v1")

    monkeypatch.setattr("knapsack_lib.serving.VllmServer", started)
    monkeypatch.setenv("KNAPSACK_ROOT", str(tmp_path))
    for name in ("params", "notebooks"):
        (tmp_path / name).mkdir()
    run = SMOKE.model_copy(update={"evaluation": evaluation()}).run()
    with ExitStack() as stack:
        for runtime in ("persistent", "reset"):
            cell = Cell("knapsack", "base", runtime, "easy")
            loaded = stack.enter_context(load_policy(run, cell))
            assert "nothing to prove" in loaded.description
        with (
            monkeypatch.context() as one,
            served(run) as (url, _),
        ):  # that of `knapsack run`: all cells ask the one server
            one.setenv("KNAPSACK_SERVER", url)
            stack.enter_context(load_policy(run, Cell("knapsack", "base", "reset", "medium")))
    assert len(folders) == 3 == len(set(folders))


# A server that misbehaves -------------------------------------------------------------------------


@pytest.fixture
def stub(chat):
    """stub(answers): a server that gives these in turn, then the last one for ever. Each is a
    status, a dict of a choice, or the bytes of a whole body."""
    servers = []

    def make(*answers):
        asked = []

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                asked.append(
                    (self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                )
                answer = answers[min(len(asked), len(answers)) - 1]
                if answer == "reset":
                    return self.connection.close()
                status = answer if isinstance(answer, int) else 200
                choice = {
                    "index": 0,
                    "text": "",
                    "finish_reason": "stop",
                    **(answer if isinstance(answer, dict) else {}),
                }
                body = json.dumps(
                    {
                        "id": "x",
                        "object": "text_completion",
                        "created": 0,
                        "model": "m",
                        "choices": [choice],
                        "usage": choice.pop("usage", None),
                        "error": {"message": "no such\nmodel"},
                    }
                ).encode()
                body = answer if isinstance(answer, bytes) else body
                page = body.startswith(b"<")
                self.send_response(status)
                self.send_header("Content-Type", "text/html" if page else "application/json")
                self.send_header("Retry-After-Ms", "5")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/v1", asked

    yield make
    for server in servers:
        server.shutdown()


def ask(*texts, turn=0):
    roles = ["system", "user", *["assistant", "user"] * 9]
    return Ask(
        "t", turn, 7, tuple({"role": r, "content": t} for r, t in zip(roles, texts, strict=False))
    )


def test_with_tokens_the_prompt_is_what_training_encodes_and_sampled_ids_stay_as_they_are(
    stub, chat
):
    # Two pieces where the tokenizer may join them
    odd = (*chat._ids("x"), *chat._ids("x"), chat.end)
    url, asked = stub({"token_ids": list(odd)})
    policy = ChatServerPolicy(url, "m", evaluation("tokens"), chat)
    first = policy.reply(ask("Act.", "Fill it."))
    assert first.ids == odd and first.stop == "end" and first.text == chat.text(odd)
    policy.reply(ask("Act.", "Fill it.", first.text, "Seen.", turn=1))
    one, two = (body["prompt"] for _, body in asked)
    assert two[: len(one)] == one and two[len(one) : len(one) + len(odd)] == list(
        odd
    )  # history only grows
    assert [body["seed"] for _, body in asked] == [7, 7] and asked[0][1]["stop_token_ids"] == [
        chat.end
    ]
    assert one == [
        *chat.message({"role": "system", "content": "Act."}),
        *chat.message({"role": "user", "content": "Fill it."}),
        *chat.ask,
    ]


def test_an_episode_by_tokens_trains_on_the_very_ids_that_were_served(stub, chat, tmp_path):
    block = chat.content("I end.\n```python\nfinish()\n```")
    url, asked = stub({"token_ids": [*chat._ids("no block"), chat.end]}, {"token_ids": list(block)})
    policy = ChatServerPolicy(url, "m", evaluation("tokens"), chat)
    (episode,) = played(tmp_path / "s", policy, 1)
    example = encode_episode(chat, episode)
    last = asked[-1][1]["prompt"]
    assert (
        example.input_ids[: len(last)] == last
        and episode.finish_reason == "finish"
        and len(episode.turns) == 2
    )
    assert [i for i, m in zip(example.input_ids, example.mask, strict=True) if m][
        -len(block) :
    ] == list(block)


@pytest.mark.parametrize(
    ("changed", "choice", "stop"),
    [
        ({}, {"finish_reason": "length", "token_ids": [5] * 24}, "cut_off"),
        ({"context": 60}, {"finish_reason": "length", "token_ids": [5] * 9}, "context"),
    ],
)
def test_a_reply_cut_by_the_turn_differs_from_one_cut_by_the_context(
    stub, chat, changed, choice, stop
):
    url, asked = stub(choice)
    policy = ChatServerPolicy(url, "m", evaluation("tokens", **changed), chat)
    assert policy.reply(ask("Act.", "Fill it. " * 6)).stop == stop
    assert asked[0][1]["max_tokens"] <= 24
    assert policy.reply(ask("Act.", "Fill it. " * 90)).stop == ("context" if changed else stop)


def test_a_reply_that_the_server_broke_off_is_no_answer_of_the_model(stub, chat):
    url, _ = stub(
        {"finish_reason": "abort", "token_ids": [5]}, {"finish_reason": "abort", "token_ids": [5]}
    )
    with pytest.raises(PolicyError, match="broke a reply off .finish_reason abort."):
        ChatServerPolicy(url, "m", evaluation("tokens"), chat).reply(ask("Act.", "Fill it."))


@pytest.mark.parametrize("prompts", ["messages", "tokens"])
@pytest.mark.parametrize(
    "body",
    [
        b"<html>sign in</html>",
        b'{"choices": [',
        b"",
        b"null",
        b"[]",
        b'{"choices": []}',
        b'{"choices": null, "error": {"message": "overloaded"}}',
        b'{"choices": [null]}',
    ],
)
def test_what_is_no_answer_of_the_protocol_is_no_fault_of_the_model(stub, chat, prompts, body):
    url, _ = stub(body)
    with pytest.raises(PolicyError) as error:
        ChatServerPolicy(url, "m", evaluation(prompts), chat).reply(ask("Act.", "Fill it."))
    assert "the server of m" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("message", [None, {"role": "assistant", "content": [{"text": "I"}]}])
def test_a_message_without_a_text_is_no_fault_of_the_model(stub, chat, message):
    url, _ = stub({"message": message})
    with pytest.raises(PolicyError, match="no completion"):
        ChatServerPolicy(url, "m", evaluation(), chat).reply(ask("Act.", "Fill it."))


def test_half_characters_of_a_server_become_question_marks(stub, chat):
    url, _ = stub({"message": {"role": "assistant", "content": "I \ud83d look."}})
    reply = ChatServerPolicy(url, "m", evaluation(), chat).reply(ask("Act.", "Fill it."))
    assert reply.text == "I ? look."


def test_a_server_that_fails_is_asked_again_and_one_that_is_gone_is_no_fault_of_the_model(
    stub, chat
):
    url, asked = stub(500, 429, "reset", 503, {"token_ids": [5, chat.end]})
    policy = ChatServerPolicy(url, "m", evaluation("tokens"), chat)
    assert policy.reply(ask("Act.", "Fill it.")).completion_tokens == 2 and len(asked) == 5
    assert len({json.dumps(body) for _, body in asked}) == 1
    gone = ChatServerPolicy("http://127.0.0.1:9/v1", "m", evaluation("tokens"), chat)
    gone._client = gone._client.with_options(max_retries=0)
    with pytest.raises(PolicyError, match="APIConnectionError"):
        gone.reply(ask("Act.", "Fill it."))


@pytest.mark.parametrize("status", [400, 401, 404])
def test_what_a_server_refuses_is_one_line_and_is_not_asked_again(stub, chat, status):
    url, asked = stub(status)
    with pytest.raises(UserError, match=f"refuses the request .{status}.") as error:
        ChatServerPolicy(url, "m", evaluation("tokens"), chat).reply(ask("Act.", "Fill it."))
    assert len(asked) == 1 and "\n" not in str(error.value)


@pytest.mark.parametrize("ids", [None, ["token_id:5"]])
def test_a_server_without_token_ids_is_one_line_with_the_setting_to_change(stub, chat, ids):
    url, _ = stub({"text": "hello", "token_ids": ids})
    with pytest.raises(UserError, match="serving.prompts to messages"):
        ChatServerPolicy(url, "m", evaluation("tokens"), chat).reply(ask("Act.", "Fill it."))


# A server that renders with another template ---------------------------------------------------------


def answer(prompt_tokens, text="I look."):
    message = {"role": "assistant", "content": text}
    counts = {"prompt_tokens": prompt_tokens, "completion_tokens": 4, "total_tokens": 0}
    return {"message": message, "usage": counts}


def test_a_server_that_counts_as_training_does_is_asked_on(stub, chat):
    first, second = ask("Act.", "Fill it."), ask("Act.", "Fill it.", "I look.", "7", turn=1)
    counts = [len(chat.prompt(one.messages)) for one in (first, second)]
    url, asked = stub(*map(answer, counts))
    policy = ChatServerPolicy(url, "m", evaluation(), chat)
    assert [policy.reply(one).prompt_tokens for one in (first, second)] == counts
    assert len(asked) == 2


@pytest.mark.parametrize("turn", [0, 1])
@pytest.mark.parametrize("more, hint", [(1, "beginning-of-text token"), (-1, ""), (7, "")])
def test_another_count_than_training_s_stops_the_run_and_shows_both(stub, chat, turn, more, hint):
    """Also on the second turn, which is the first to hold a reply: a template may drop part of it."""
    texts = ["Act.", "Fill it.", "I look.", "7"][: 2 + 2 * turn]
    ours = len(chat.prompt(ask(*texts).messages))
    url, asked = stub(answer(ours + more))
    with pytest.raises(UserError) as error:
        ChatServerPolicy(url, "m", evaluation(), chat).reply(ask(*texts, turn=turn))
    line = str(error.value)
    assert "\n" not in line and f"{ours + more} prompt tokens" in line and f"are {ours} in" in line
    assert "chat_template.jinja" in line and "serving.prompts: tokens" in line
    assert ("beginning-of-text token" in line) == bool(hint) and len(asked) == 1


def test_later_turns_and_replies_with_blanks_at_their_ends_are_not_held_to_a_count(stub, chat):
    """A server may trim what it is told that the model said: docs/own-model.md."""
    url, _ = stub(answer(5))
    policy = ChatServerPolicy(url, "m", evaluation(), chat)
    assert policy.reply(ask("Act.", "Fill it.", "I look.\n", "7", turn=1)).prompt_tokens == 5
    assert policy.reply(ask("Act.", "Fill it.", "I", "7", "I", "8", turn=2)).prompt_tokens == 5


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None, "completion_tokens": None}])
def test_a_server_that_counts_nothing_is_warned_of_once(stub, chat, capsys, usage):
    said = {"message": {"role": "assistant", "content": "I look."}, "usage": usage}
    url, _ = stub(said)
    policy = ChatServerPolicy(url, "m", evaluation(), chat)
    counted = [policy.reply(ask("Act.", "Fill it.")).prompt_tokens for _ in range(3)]
    assert counted == [len(chat.prompt(ask("Act.", "Fill it.").messages))] * 3
    (line,) = capsys.readouterr().err.splitlines()
    assert "the server of m reports no usage" in line


def test_a_real_server_with_another_template_is_found_out_before_an_episode_is_kept(
    server, tmp_path
):
    """The server renders the base's own template; training is said to have another one."""

    class Other(ChatTokenizer):
        def shown(self, messages, since=0):
            return (*super().shown(messages, since), *self._ids("<think>\n\n</think>\n\n"))

    other = Other(Tokenizer.from_file(str(BASE / "tokenizer.json")))
    policy = ChatServerPolicy(server, str(BASE), evaluation(), other)
    with pytest.raises(UserError, match="prompt tokens"):
        played(tmp_path / "s", policy, 2)
    with pytest.raises(UserError, match="no episodes"):
        read_episodes(tmp_path / "s", "")
