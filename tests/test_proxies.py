"""Every client that the library has, behind a proxy that takes down what passes through it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from knapsack_lib.errors import UserError
from knapsack_lib.policies.chat_server import ChatServerPolicy
from knapsack_lib.policies.gemini_wire import connect
from knapsack_lib.profiles import Serving, load_profile
from knapsack_lib.proxies import is_local
from knapsack_lib.serving.client import ask, is_healthy

FAR = "http://model.example"
NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
COMPLETION = {"id": "1", "object": "chat.completion", "created": 0, "model": "m"}
COMPLETION["choices"] = [
    {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hm"}}
]
CANDIDATE = {"content": {"role": "model", "parts": [{"text": "hm"}]}, "finishReason": "STOP"}


class Handler(BaseHTTPRequestHandler):
    """Answers every protocol; a proxy is asked for whole addresses, a server for paths."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.server.paths.append(self.path)
        answer = json.dumps({**COMPLETION, "candidates": [CANDIDATE]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET


@pytest.fixture
def listening():
    """Start servers: listening() -> a server with `port` and the `paths` it was asked for."""
    servers = []

    def start():
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.paths, server.port = [], server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def environment(monkeypatch):
    """environment(all_proxy="...") is all that is said about proxies."""

    def set_to(**given):
        for name in NAMES:
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        for name, value in given.items():
            monkeypatch.setenv(name, value)

    set_to()
    return set_to


def by_openai(url):
    setting = load_profile("smoke").evaluation.model_copy(
        update={
            "serving": Serving(
                dtype="float32",
                gpu_memory=0.3,
                concurrency=1,
                start_seconds=9,
                timeout_seconds=9,
                agreement=0.01,
            )
        }
    )
    client = ChatServerPolicy(f"{url}/v1", "m", setting, None)._client.with_options(max_retries=0)
    client.chat.completions.create(model="m", messages=[{"role": "user", "content": "?"}])


def by_google(url):
    client, _ = connect(9, url)
    client.models.generate_content(model="m", contents="?")


CLIENTS = {"ask": lambda url: ask(f"{url}/models", None, 9), "openai": by_openai}
CLIENTS["google-genai"] = by_google


@pytest.fixture(params=CLIENTS)
def send(request, monkeypatch):
    """One request by one of the clients."""
    monkeypatch.setenv("GEMINI_API_KEY", "a-key")
    return CLIENTS[request.param]


PROXY = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]


@pytest.mark.parametrize("name", PROXY)
def test_a_server_on_this_machine_is_never_asked_through_a_proxy(
    send, listening, environment, name
):
    proxy, server = listening(), listening()
    environment(**{name: f"http://127.0.0.1:{proxy.port}"})
    for host in ("127.0.0.1", "localhost"):
        send(f"http://{host}:{server.port}")
    assert proxy.paths == [] and len(server.paths) == 2


@pytest.mark.parametrize("name", PROXY)
def test_a_server_elsewhere_is_asked_through_the_proxy(send, listening, environment, name):
    proxy = listening()
    environment(**{name: f"http://127.0.0.1:{proxy.port}"})
    send(FAR)
    (path,) = proxy.paths
    assert path.startswith(f"{FAR}/")


def test_a_host_that_the_environment_excepts_is_asked_without_the_proxy(
    send, listening, environment
):
    proxy = listening()
    environment(http_proxy=f"http://127.0.0.1:{proxy.port}", no_proxy="model.example")
    with pytest.raises(Exception):  # noqa: B017 - there is no such host; each client says so its own way
        send(FAR)
    assert proxy.paths == []


@pytest.mark.parametrize("scheme", ["socks", "socks5"])
def test_a_proxy_that_a_client_cannot_use_matters_only_to_servers_elsewhere(
    send, listening, environment, scheme
):
    server = listening()
    environment(all_proxy=f"{scheme}://127.0.0.1:9")
    send(f"http://127.0.0.1:{server.port}")
    assert len(server.paths) == 1
    with pytest.raises(UserError, match="proxy") as caught:
        send(FAR)
    assert "\n" not in str(caught.value)


def test_health_is_asked_of_this_machine_itself(listening, environment):
    proxy, server = listening(), listening()
    environment(http_proxy=f"http://127.0.0.1:{proxy.port}")
    assert is_healthy(server.port) and server.paths == ["/health"] and proxy.paths == []


@pytest.mark.parametrize(
    "host, here",
    [
        *[(host, True) for host in ("127.0.0.1", "127.8.9.1", "localhost", "LOCALHOST", "[::1]")],
        *[("a.localhost", True), ("0.0.0.0", True)],
        *[(host, False) for host in ("10.0.0.1", "localhost.example", "[fe80::1]", "node-1")],
    ],
)
def test_what_is_this_machine_is_known_by_its_address(host, here):
    assert is_local(f"http://{host}:8000/v1") is here
