"""A stand-in that speaks vLLM's protocol, served by the real VllmServer."""

import json
import re
from pathlib import Path

import numpy as np
from common import comes_true

from knapsack_lib.hub import base_folder
from knapsack_lib.profiles import Serving, load_profile
from knapsack_lib.serving import Reference, VllmServer

SERVING = Serving(
    dtype="float32",
    gpu_memory=0.3,
    concurrency=4,
    start_seconds=30,
    timeout_seconds=10,
    agreement=0.01,
)
PROFILE = load_profile("pocket")
BASE = base_folder(PROFILE)

# Models are names: what one answers is drawn from its name and from the ids it has read.
FAKE = """
import argparse, json, math, os, random, signal, subprocess, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

def log_probabilities(model, ids, vocabulary=40):
    draw = random.Random(f"{model} {list(ids)}")
    values = [draw.gauss(0, 3) for _ in range(vocabulary)]
    total = math.log(sum(map(math.exp, values)))
    return [value - total for value in values]

def answered(model, prompt, steps, top, named=()):
    ids, tokens, tops = list(prompt), [], []
    for _ in range(steps):
        values = log_probabilities(model, ids)
        best = sorted(range(len(values)), key=values.__getitem__)[::-1][:top]
        shown = {*named, best[0]} if named else best
        tops.append({f"token_id:{i}": values[i] for i in shown})
        tokens.append(f"token_id:{best[0]}")
        ids.append(best[0])
    return {"choices": [{"logprobs": {"tokens": tokens, "top_logprobs": tops}}]}

class Answers(BaseHTTPRequestHandler):
    under_way, lock = 0, threading.Lock()
    def do_GET(self):
        self.answer({"data": [{"id": name} for name in offered]}, 503 if mode == "never" else 200)
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if asked["model"] not in offered:
            return self.answer({"message": "no such model"}, 404)
        self.count(1)
        time.sleep(0.05)
        wrong = mode.endswith("ignored") or (mode == "batch" and Answers.under_way > 1)
        self.count(-1)
        model = (offered[-1] if mode == "batch" else "base") if wrong else asked["model"]
        named = () if mode.startswith("older") else asked.get("logprob_token_ids", ())
        # In one piece: others are answered at the same time.
        sys.stdout.write(" ".join(["named", *map(str, named)]) + chr(10))
        sys.stdout.flush()
        self.answer(answered(model, asked["prompt"], asked["max_tokens"], asked["logprobs"], named), 200)
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


def evaluation(**changed):
    """That of the pocket profile, with a server; `changed` are settings of the server."""
    serving = SERVING.model_copy(update=changed)
    return PROFILE.evaluation.model_copy(
        update={"engine": "server", "context": 512, "serving": serving}
    )


def served(
    folder: Path, mode: str, adapters=("persistent", "reset"), rank=24, **changed
) -> VllmServer:
    """A server of the stand-in, which lies in `folder`."""
    module = folder / "vllm" / "entrypoints" / "openai" / "api_server.py"
    module.parent.mkdir(parents=True, exist_ok=True)
    module.write_text(FAKE, encoding="utf-8")
    for name in adapters:
        (folder / name).mkdir(exist_ok=True)
        config = folder / name / "adapter_config.json"
        config.write_text(json.dumps({"r": rank}), encoding="utf-8")
    server = VllmServer(
        BASE,
        {name: folder / name for name in adapters},
        evaluation(**changed),
        folder / "logs",
        seed=7,
        arguments=["--enforce-eager"],
    )
    server.environment |= {"FAKE_MODE": mode, "PYTHONPATH": str(folder)}
    return server


def written(folder: Path, word: str) -> list[str]:
    """What the stand-in wrote after this word; waits until it has."""
    file = folder / "logs" / "vllm.log"

    def found():
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        return re.findall(rf"^{word} (.*)\n", text, re.MULTILINE)

    assert comes_true(found), f"the stand-in never wrote {word}"
    return found()[-1].split()


def reference(names=("base", "persistent", "reset")) -> Reference:
    """What the stand-in's models answer, as if PEFT had answered it."""
    known = Reference([[1, 2, 3], [4, 5]], {}, {})
    for name in names:
        known.ids[name], known.values[name] = [[] for _ in known.prompts], []
        for prompt, taken in zip(known.prompts, known.ids[name], strict=True):
            rows = []
            for _ in range(6):
                rows.append(_stub["log_probabilities"](name, prompt + taken))
                taken.append(int(np.argmax(rows[-1])))
            known.values[name].append(np.array(rows))
    return known
