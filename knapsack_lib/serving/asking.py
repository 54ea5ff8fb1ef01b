"""One request to a server of the OpenAI protocol, with nothing but the standard library."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from knapsack_lib.errors import UserError

__all__ = ["BASE", "ask", "is_healthy"]

BASE = "base"  # under this name a server offers the model without an adapter


def ask(url: str, body: Mapping[str, Any] | None, seconds: float) -> Any:
    """What a server answers, as JSON values; without a body it is a GET. Raises UserError when the
    server refuses or cannot be had within `seconds`."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with _opened(
            urllib.request.Request(url, data, {"Content-Type": "application/json"}), seconds
        ) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        said = " ".join(error.read().decode(errors="replace").split())[:300]
        raise UserError(f"the server at {url} refuses the request ({error.code}): {said}") from None
    except (OSError, ValueError) as error:
        raise UserError(f"no answer from the server at {url}: {error}; is it running?") from None


def is_healthy(port: int) -> bool:
    """Whether the server on this machine says that it is ready."""
    try:
        with _opened(urllib.request.Request(f"http://127.0.0.1:{port}/health"), 5) as answer:
            return bool(answer.status == 200)
    except OSError:  # refused, reset, timed out, or an HTTP status that says no
        return False


def _opened(request: urllib.request.Request, seconds: float) -> Any:
    near = request.host.split(":")[0] in (
        "127.0.0.1",
        "localhost",
    )  # no business of the environment's proxy
    handlers = [urllib.request.ProxyHandler({})] if near else []
    return urllib.request.build_opener(*handlers).open(request, timeout=seconds)
