"""A server that speaks Gemini's protocol, answers as the scripted expert would, and misbehaves on
purpose.

What it answers, and how it fails, follow from the request and how often it was made alone: threads
change nothing.
"""

import hashlib
import json
import random
import re
import socket
import sqlite3
import struct
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from common import comes_true

from knapsack_lib.families import family_named
from knapsack_lib.policies.gemini import GeminiPolicy
from knapsack_lib.policies.prices import load_prices
from knapsack_lib.profiles import Cell, Gemini
from knapsack_lib.rollouts import Rollouts
from knapsack_lib.store import current

FAMILY = family_named("knapsack")
KEY = "AIza-test-0123456789-secret"
REFUSED = ("No python block was found", "The reply was cut off")
# Shares of replies that are no clean answer
ODD = {
    "blocked": 0.02,
    "unsafe": 0.01,
    "empty": 0.01,
    "cut": 0.02,
}
FAULTS = ("429", "429 header", "429 body", "500", "503", "reset", "half", "half json", "nothing")


def chance(*names):
    digest = hashlib.sha256(json.dumps(names).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def expert_text(body, style, teacher):
    """The scripted expert's reply to this conversation, worked out from its beginning."""
    shown = [
        part["text"]
        for content in body["contents"]
        if content["role"] == "user"
        for part in content["parts"]
    ]
    opening = [{"role": "system", "content": body["systemInstruction"]["parts"][0]["text"]}]
    seed = int(hashlib.sha256(shown[0].encode()).hexdigest()[:12], 16)
    expert = FAMILY.expert(style, teacher, seed)
    messages = [*opening, {"role": "user", "content": shown[0]}]
    reply = expert.reply(messages)
    for text in shown[1:]:
        if not text.startswith(REFUSED):
            reply = expert.reply([*messages, {"role": "user", "content": text}])
    return reply.text


def clean_answer(body, style, teacher):
    """The response to a request: mostly a candidate, sometimes something odd. Depends on the
    request alone."""
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    text, draw, odd = expert_text(body, style, teacher), chance("odd", digest), None
    for kind, share in ODD.items():
        odd, draw = (kind if odd is None and 0 <= draw < share else odd), draw - share
    usage = {"promptTokenCount": len(json.dumps(body["contents"])) // 4, "totalTokenCount": 0}
    answer = {"responseId": digest, "modelVersion": "fake-1", "usageMetadata": usage}
    if odd == "blocked":
        return answer | {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
    usage |= {"candidatesTokenCount": len(text) // 4, "thoughtsTokenCount": 7}
    parts = [
        {"text": "I wonder what to do.", "thought": True},
        {"text": text, "thoughtSignature": "c2ln"},
    ]
    if odd == "cut":
        parts = [{"text": text[: len(text) // 2]}]
    candidate = {"content": {"role": "model", "parts": parts}, "index": 0}
    candidate["finishReason"] = {"cut": "MAX_TOKENS", "unsafe": "SAFETY"}.get(odd, "STOP")
    if odd == "empty":
        del candidate["content"]["parts"]
    return answer | {"candidates": [candidate]}


def refusal(code, word, *details):
    return {
        "error": {
            "code": code,
            "status": word,
            "message": f"{word.lower()}, says the server",
            "details": details,
        }
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together

    def log_message(self, *_):
        pass

    def do_POST(self):
        with self.server.lock:
            self.server.under_way += 1
        try:
            self.post(self.server)
        finally:
            with self.server.lock:
                self.server.under_way -= 1

    def post(self, google):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = re.fullmatch(r"/v1(beta)?/models/([\w.-]+):generateContent", self.path)
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        with google.lock:
            attempt, google.asked[digest] = google.asked[digest], google.asked[digest] + 1
            google.times.setdefault(digest, []).append(time.monotonic())
            google.bodies.append(body)
        if not path or self.headers["x-goog-api-key"] != KEY:
            return self.send(401, refusal(401, "UNAUTHENTICATED"))
        fault = google.fault(digest, attempt)
        if fault is not None:
            google.faults[fault] += 1
            return self.fail(fault)
        answer = json.dumps(google.answer(body)).encode()
        if google.slow:
            time.sleep(google.slow)
        self.send(200, answer)
        with google.lock:
            google.answered.append(digest)

    def send(self, code, data, headers=(), length=None):
        data = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(code)
        for name, value in [("Content-Type", "application/json"), *headers]:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def fail(self, fault):
        half = b'{"candidates": [{"content": {"role": "model", "parts": [{"text": "I li'
        info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.06s"}
        if fault == "hang":
            self.rfile.read(1)  # until the client gives up
        elif fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif fault == "half":
            self.send(200, half, length=len(half) + 100)
        elif fault in ("half json", "nothing"):
            return self.send(200, half if fault == "half json" else b"")
        else:
            code = int(fault[:3])
            headers = [("Retry-After", "0.06")] if fault == "429 header" else self.server.headers
            refused = refusal(code, "UNAVAILABLE", *[info] * (fault == "429 body"))
            refused["error"]["message"] = self.server.says or refused["error"]["message"]
            return self.send(code, refused, headers)
        self.close_connection = True


class Google(ThreadingHTTPServer):
    """`fault(digest, attempt)` names a fault or None. `answered`: a digest for every answer that
    left whole."""

    daemon_threads = True
    request_queue_size = 128  # more than ask at once: none is turned away before it is heard

    def __init__(self, answer, fault=lambda digest, attempt: None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer, self.fault, self.slow = answer, fault, 0.0
        self.headers, self.says = [], ""  # of every refusal
        self.lock, self.under_way = threading.Lock(), 0
        self.asked, self.faults = Counter(), Counter()
        self.answered, self.times, self.bodies = [], {}, []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def settle(self):
        """Wait until every request that came has been dealt with: a client has its answer before
        the lists above have it."""
        assert comes_true(lambda: not self.under_way)
        return self

    def handle_error(self, request, client_address):
        pass  # a client that was killed


def stormy(digest, attempt):
    """Three attempts in ten fail, a few hang; never more than three in a row for one request."""
    draw = chance("storm", digest, attempt)
    if attempt >= 3 or draw > 0.3:
        return None
    return "hang" if draw < 0.002 else random.Random(draw).choice(FAULTS)


@pytest.fixture(scope="module")
def brisk(pocket):
    """The pocket profile, but more tool calls a turn: real tasks in three or four turns."""
    limits = pocket.limits.model_copy(update={"tool_calls": 24})
    teacher = pocket.teacher.model_copy(update={"batch_sizes": (9,)})
    return pocket.model_copy(update={"limits": limits, "teacher": teacher})


@pytest.fixture(scope="module")
def google(brisk):
    """Start servers: google(style, fault=None) -> Google. All are stopped at the end."""
    servers = []

    def start(style="reset", fault=lambda digest, attempt: None, answer=None):
        answer = answer or (lambda body: clean_answer(body, style, brisk.teacher))
        servers.append(Google(answer, fault))
        threading.Thread(target=servers[-1].serve_forever, args=(0.05,), daemon=True).start()
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def storm():
    return stormy


@pytest.fixture
def key(monkeypatch):
    """A key in the environment, and nothing else that the library would read from there."""
    for name in ("GOOGLE_API_KEY", "GEMINI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    return KEY


PRICES = load_prices(Path(__file__).parents[2] / "params" / "prices" / "gemini.yaml")


def gemini_setting(**changed):
    usual = dict(
        model="gemini-3-flash-preview",
        temperature=1.0,
        max_output_tokens=512,
        context=100_000,
        concurrency=8,
        attempts=6,
        budget_usd=50.0,
        timeout_seconds=20.0,  # far more than an answer takes on a machine that others use
    )
    return Gemini(**{**usual, **changed})


@pytest.fixture
def play(tmp_path, brisk, key):
    """play(name, server) plays tasks into tmp_path/name; returns (bytes of episodes.jsonl, the
    policy)."""

    def run(name, server, count=6, *, replies=None, profile=brisk, **changed):
        folder = tmp_path / (replies or f"{name}-replies")
        policy = GeminiPolicy(
            gemini_setting(**changed), folder, PRICES, server and server.url, pause_seconds=0.005
        )
        run.policy = policy
        tasks = [
            FAMILY.make_task("pocket-easy", seed=1, split="roll", index=i) for i in range(count)
        ]
        cell = Cell("knapsack", "teacher", "reset", "easy")
        Rollouts(policy, cell, profile, seed=1, shard=100).run(tasks, tmp_path / name, "k")
        return (current(tmp_path / name) / "episodes.jsonl").read_bytes(), policy

    return run


@pytest.fixture
def no_waiting(monkeypatch):
    """The rollouts' own retries come at once; returns the pauses that were asked for."""
    pauses = []
    clock = SimpleNamespace(sleep=pauses.append, perf_counter=time.perf_counter)
    monkeypatch.setattr("knapsack_lib.rollouts.time", clock)
    return pauses


@pytest.fixture
def setting():
    return gemini_setting


@pytest.fixture
def paid():
    """The records in a folder of replies, in their order."""

    def read(folder):
        database = sqlite3.connect(folder / "replies.sqlite3")
        rows = database.execute("SELECT record FROM replies ORDER BY rowid").fetchall()
        database.close()
        return [json.loads(text) for (text,) in rows]

    return read


@pytest.fixture
def answers():
    return answer_with


def answer_with(*texts, prompt=400, completion=100):
    """A model that replies with these texts in turn. Prompts have `prompt` tokens more with each of
    the user's messages."""

    def answer(body):
        turn = sum(len(c["parts"]) for c in body["contents"] if c["role"] == "user") - 1
        parts = [{"text": texts[turn % len(texts)]}]
        usage = {"promptTokenCount": prompt * (turn + 1), "candidatesTokenCount": completion - 10}
        usage["thoughtsTokenCount"] = 10
        candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}
        return {"candidates": [candidate], "usageMetadata": usage}

    return answer
