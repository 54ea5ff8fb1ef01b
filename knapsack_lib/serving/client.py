"""One request to a server of the OpenAI protocol, with nothing but the standard library."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from knapsack_lib.errors import UserError
from knapsack_lib.proxies import proxies_for

__all__ = ["BASE", "ask", "is_healthy"]

BASE = "base"  # the name under which a server offers the model without an adapter


def ask(url: str, body: Mapping[str, Any] | None, seconds: float) -> Any:
    """What a server answers, as JSON values; without a body it is a GET. Raises UserError when the
    server refuses or cannot be reached within `seconds`."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with _opened(request, seconds) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        reason = " ".join(error.read().decode(errors="replace").split())[:300]
        raise UserError(
            f"the server at {url} refuses the request ({error.code}): {reason}"
        ) from None
    except (OSError, ValueError) as error:
        through = ", and meant to be asked through a proxy (NO_PROXY excepts hosts)"
        hint = f"is it running{through if proxies_for(url) else ''}?"
        raise UserError(f"no answer from the server at {url}: {error}; {hint}") from None


def is_healthy(port: int) -> bool:
    """Whether the server at this port of this machine reports that it is ready."""
    try:
        with _opened(urllib.request.Request(f"http://127.0.0.1:{port}/health"), 5) as answer:
            return bool(answer.status == 200)
    except OSError:  # refused, reset, timed out, or an HTTP status of failure
        return False


def _opened(request: urllib.request.Request, seconds: float) -> Any:
    proxies = urllib.request.ProxyHandler(proxies_for(request.full_url))
    return urllib.request.build_opener(proxies).open(request, timeout=seconds)
