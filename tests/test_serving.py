"""The vLLM server as a context and the proof of its adapters, on a stand-in that speaks its
protocol (vLLM itself: make check-vllm): one-line errors, a log that grows, nothing left behind, and
each way of serving a wrong model found out."""

import re
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from common import comes_true, gone

from knapsack_lib.chat import CHAT_TEMPLATE, ChatTokenizer
from knapsack_lib.errors import UserError
from knapsack_lib.files import project_root
from knapsack_lib.hub import base_folder
from knapsack_lib.profiles import Serving, load_profile
from knapsack_lib.serving import (
    Reference,
    VllmServer,
    check_template,
    peft_reference,
    proof,
    prove_adapters,
)

SETTING = Serving(
    dtype="float32",
    gpu_memory=0.3,
    concurrency=4,
    start_seconds=30,
    timeout_seconds=10,
    agreement=0.01,
)
BASE = base_folder(load_profile("pocket"))
PROBES = [
    [{"role": "system", "content": "You pack."}, {"role": "user", "content": text}]
    for text in ("one", "two")
]

# Models are names: what one says is drawn from its name and from the ids it has read.
FAKE = """
import argparse, json, math, os, random, signal, subprocess, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

def log_probabilities(model, ids, vocabulary=40):
    draw = random.Random(f"{model} {list(ids)}")
    values = [draw.gauss(0, 3) for _ in range(vocabulary)]
    total = math.log(sum(map(math.exp, values)))
    return [value - total for value in values]

def said(model, prompt, steps, top):
    ids, tokens, tops = list(prompt), [], []
    for _ in range(steps):
        values = log_probabilities(model, ids)
        best = sorted(range(len(values)), key=values.__getitem__)[::-1][:top]
        tops.append({f"token_id:{i}": values[i] for i in best})
        tokens.append(f"token_id:{best[0]}")
        ids.append(best[0])
    return {"choices": [{"logprobs": {"tokens": tokens, "top_logprobs": tops}}]}

class Answers(BaseHTTPRequestHandler):
    under_way, lock = 0, threading.Lock()
    def do_GET(self):
        self.answer({"data": [{"id": name} for name in offered]}, 503 if mode == "never" else 200)
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/tokenize"):
            return self.answer({"tokens": [1, 2, 3]}, 200)
        if asked["model"] not in offered:
            return self.answer({"message": "no such model"}, 404)
        self.count(1)
        time.sleep(0.05)
        wrong = mode == "ignored" or (mode == "batch" and Answers.under_way > 1)
        self.count(-1)
        model = {"ignored": "base", "batch": offered[-1]}[mode] if wrong else asked["model"]
        self.answer(said(model, asked["prompt"], asked["max_tokens"], asked["logprobs"]), 200)
    def count(self, change):
        with self.lock:
            Answers.under_way += change
    def answer(self, value, status):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    log_message = lambda *words: None

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--lora-modules", nargs="*", default=[])
    given, rest = parser.parse_known_args()
    mode = os.environ["FAKE_MODE"]
    offered = ["base", *(pair.split("=")[0] for pair in given.lora_modules)]
    offered = offered[:1] if mode == "unloaded" else offered
    print("arguments", *rest, flush=True)
    print("environment", *os.environ, flush=True)
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    print("pids", os.getpid(), worker.pid, flush=True)
    if mode == "dies":
        print("(API pid=1) WARNING [a.py:1] this can cause `OSError: [Errno 24]`", flush=True)
        print("(Worker pid=2) ERROR 11-21 [b.py:2] ValueError: 1 fault\\n  rank 64 > 8\\nRuntimeError: see above", flush=True)
        sys.exit(1)
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ThreadingHTTPServer(("127.0.0.1", given.port), Answers).serve_forever()
"""
_stub: dict = {"__name__": "stub"}
exec(FAKE, _stub)

STARTS_AND_WAITS = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background of a shell
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from test_serving import served
with served(Path(sys.argv[2]), sys.argv[3]) as server:
    print("ready", flush=True)
    time.sleep(300)
"""


def served(folder: Path, mode: str, adapters=("persistent", "reset"), **changed) -> VllmServer:
    """A server of the stand-in, which lies in `folder`."""
    module = folder / "vllm" / "entrypoints" / "openai" / "api_server.py"
    module.parent.mkdir(parents=True, exist_ok=True)
    module.write_text(FAKE)
    return VllmServer(
        BASE,
        {name: folder / name for name in adapters},
        SETTING.model_copy(update=changed),
        context=512,
        rank=24,
        seed=7,
        template=BASE / "chat_template.jinja",
        log=folder / "logs" / "server.log",
        arguments=["--enforce-eager"],
        environment={"FAKE_MODE": mode, "PYTHONPATH": str(folder)},
    )


def written(folder: Path, word: str) -> list[str]:
    """What the stand-in wrote after this word; waits until it has."""
    file = folder / "logs" / "server.log"
    found = lambda: (
        re.findall(rf"^{word} (.*)\n", file.read_text(), re.MULTILINE) if file.exists() else []
    )
    assert comes_true(found), f"the stand-in never wrote {word}"
    return found()[-1].split()


@pytest.fixture
def reference():
    """What the stand-in's models say, as if PEFT had said it."""
    prompts, ids, values = [[1, 2, 3], [4, 5]], {}, {}
    for name in ("base", "persistent", "reset"):
        ids[name], values[name] = [[] for _ in prompts], []
        for prompt, taken in zip(prompts, ids[name], strict=True):
            rows = []
            for _ in range(6):
                rows.append(_stub["log_probabilities"](name, prompt + taken))
                taken.append(int(np.argmax(rows[-1])))
            values[name].append(np.array(rows))
    return Reference(prompts, ids, values)


def prove(server, reference, tolerance=0.01):
    adapters = dict.fromkeys(name for name in server.offered if name != "base")
    return prove_adapters(server.url, BASE, adapters, [], tolerance, reference=reference)


def test_a_good_server_is_proved_live_and_leaves_nothing_behind(tmp_path, reference, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "secret")
    monkeypatch.setenv("HF_TOKEN", "secret")
    with served(tmp_path, "good") as server:
        pids = written(tmp_path, "pids")
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
        proof = prove(server, reference)
    assert gone(pids)
    assert (
        max(*proof.alone.values(), *proof.batch.values()) < 1e-6 and min(proof.apart.values()) > 0.1
    )
    assert [row["model"] for row in proof.rows()] == ["base", "persistent", "reset"]
    environment, given = written(tmp_path, "environment"), " ".join(written(tmp_path, "arguments"))
    assert not {"SOME_API_KEY", "HF_TOKEN"} & set(environment) and {
        "PATH",
        "TOKENIZERS_PARALLELISM",
    } <= set(environment)
    assert (
        "--max-loras 3 --max-lora-rank 32" in given
        and "--dtype float32" in given
        and "--seed 7" in given
    )
    assert f"--model {BASE} --served-model-name base" in given and given.endswith("--enforce-eager")


@pytest.mark.parametrize(
    "mode, said",
    [
        ("ignored", "persistent answers as base does"),
        ("batch", "right alone and wrong among 12 requests"),
    ],
)
def test_a_server_that_serves_another_model_than_was_asked_for_is_found_out(
    tmp_path, reference, mode, said
):
    with served(tmp_path, mode) as server, pytest.raises(UserError, match=said) as error:
        prove(server, reference)
    assert "\n" not in str(error.value)


def test_models_that_are_too_alike_prove_nothing(tmp_path, reference):
    with (
        served(tmp_path, "good") as server,
        pytest.raises(UserError, match="base and persistent are too alike"),
    ):
        prove(server, reference, tolerance=100)


def learned(share: float) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities of a base, and of an adapter that gives one token more this share of all."""
    likely = np.array([0.5, 0.2, 0.12, 0.1, 0.05, 0.029, *[1e-6] * 6])
    more = likely.copy()
    more[7] = share / (1 - share)
    return np.log(likely / likely.sum()), np.log(more / more.sum())


@pytest.mark.parametrize(
    "share, error, said",
    [
        (
            0.06,
            0.0,
            "base and reset are too alike: what one answers to the 1 probes is within 0.062 nats of the other",
        ),
        (
            0.14,
            0.06,
            "the server's base answers as reset does too, within the tolerance of 0.1 nats",
        ),
    ],
)
def test_an_ignored_adapter_is_found_out_though_it_adds_to_the_base_and_takes_nothing_away(
    monkeypatch, share, error, said
):
    """The base's likeliest tokens are nearly as likely to the adapter; the other way round the two
    are far apart."""
    base, adapter = learned(share)
    says = {"base": base, "reset": adapter}
    taken = {name: [[0] * proof.STEPS] for name in says}
    known = Reference(
        [[1, 2, 3]], taken, {name: [np.stack([row] * proof.STEPS)] for name, row in says.items()}
    )

    def ignores(url, model, prompt, seconds, salt="alone"):
        top = {int(token): float(base[token]) - error for token in np.argsort(base)[-proof.TOP :]}
        return [(0, top)] * proof.STEPS

    monkeypatch.setattr(proof, "_answer", ignores)
    with pytest.raises(UserError, match=re.escape(said)) as refused:
        prove_adapters("http://nowhere", BASE, {"reset": BASE}, [], 0.1, reference=known)
    assert "\n" not in str(refused.value)


def test_a_template_that_spells_a_conversation_otherwise_is_found_out(tmp_path):
    with (
        served(tmp_path, "good") as server,
        pytest.raises(UserError, match="renders probe 0 in 3 tokens"),
    ):
        check_template(server.url, BASE, PROBES)


def test_a_server_that_dies_says_why_in_one_line(tmp_path):
    with pytest.raises(UserError) as error, served(tmp_path, "dies"):
        pass
    said = r"vLLM has ended: ValueError: 1 fault rank 64 > 8 \| RuntimeError: see above \(log: .*server\.log\)"
    assert re.fullmatch(said, str(error.value))
    assert gone(written(tmp_path, "pids"))


@pytest.mark.parametrize(
    "mode, said",
    [
        ("never", r"not ready after 4 s \(evaluation.serving.start_seconds\)"),
        ("unloaded", "does not offer persistent, reset"),
    ],
)
def test_a_start_that_comes_to_nothing_is_ended(tmp_path, mode, said):
    with pytest.raises(UserError, match=said):
        served(tmp_path, mode, start_seconds=4 if mode == "never" else 30).__enter__()
    assert gone(written(tmp_path, "pids"))


def test_a_mistake_in_the_words_is_told_before_anything_starts(tmp_path):
    with pytest.raises(UserError, match="'base'"):
        served(tmp_path, "good", adapters=("base",))
    with pytest.raises(UserError, match="= 1024"):
        VllmServer(
            BASE, {}, SETTING, context=1, rank=1024, seed=1, template=BASE, log=tmp_path / "log"
        )


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
def test_an_environment_without_vllm_is_told_what_to_install(tmp_path):
    server = served(tmp_path, "good")
    server._environment["PYTHONPATH"] = ""
    with pytest.raises(UserError, match=r"run: make env PROFILE=paper"):
        server.__enter__()


@pytest.mark.parametrize(
    "mode, number", [("good", "SIGKILL"), ("never", "SIGINT"), ("never", "SIGTERM")]
)
def test_the_server_does_not_outlive_who_started_it(tmp_path, mode, number):
    words = [
        sys.executable,
        "-c",
        STARTS_AND_WAITS,
        str(project_root() / "tests"),
        str(tmp_path),
        mode,
    ]
    starter = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, process_group=0
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


def test_no_server_and_a_refusal_are_one_line_each(tmp_path, reference):
    with served(tmp_path, "good", adapters=()) as server:
        url = server.url
        assert [row["model"] for row in prove(server, reference).rows()] == ["base"]
        with pytest.raises(UserError, match=r"refuses the request \(404\).*no such model"):
            prove_adapters(url, BASE, {"reset": tmp_path}, [], 0.01, reference=reference)
    with pytest.raises(UserError, match="is it running"):
        prove_adapters(url, BASE, {"reset": tmp_path}, [], 0.01, reference=reference)


def test_the_reference_is_peft_s_and_its_prompts_are_training_s(tmp_path):
    """An adapter drawn here, against the same model with the adapter merged into its weights."""
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM, AutoTokenizer

    load = lambda: AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)  # noqa: E731
    torch.manual_seed(1)
    config = LoraConfig(
        r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False, task_type="CAUSAL_LM"
    )
    get_peft_model(load(), config).save_pretrained(tmp_path / "drawn")
    found = peft_reference(BASE, {"drawn": tmp_path / "drawn"}, PROBES, device="cpu")
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    for probe, prompt in zip(PROBES, found.prompts, strict=True):
        text = tokenizer.apply_chat_template(
            probe, chat_template=CHAT_TEMPLATE, tokenize=False, add_generation_prompt=True
        )
        assert ChatTokenizer(Tokenizer.from_file(str(BASE / "tokenizer.json")))._ids(text) == tuple(
            prompt
        )
    merged = PeftModel.from_pretrained(load(), str(tmp_path / "drawn")).merge_and_unload()
    for name, model in (("base", load()), ("drawn", merged)):
        for at, prompt in enumerate(found.prompts):
            whole = torch.tensor([prompt + found.ids[name][at][:-1]])
            with torch.inference_mode():
                values = torch.log_softmax(model(whole).logits[0, len(prompt) - 1 :], -1).numpy()
            assert np.abs(values - found.values[name][at]).max() < 1e-3
            assert (values.argmax(-1) == found.ids[name][at]).all()
    assert np.abs(found.values["base"][0] - found.values["drawn"][0]).max() > 0.1
