"""What goes to Google's API and what comes back, for policies/gemini.py: the key, the client,
requests, replies, refusals.

google.genai is imported here alone, and only when a request is to be sent.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from knapsack_lib.errors import UserError, installs
from knapsack_lib.files import project_root
from knapsack_lib.messages import Message
from knapsack_lib.profiles import Gemini

__all__ = [
    "KEY_NAMES",
    "asked_pause",
    "connect",
    "has_key",
    "record_of",
    "request_of",
    "wire_errors",
]

KEY_NAMES = ("GEMINI_API_KEY", "GOOGLE_API_KEY")


def connect(timeout_seconds: float, base_url: str | None) -> tuple[Any, Callable[[str], str]]:
    """(client, a function that hides the key in a text). Raises UserError when the package or the
    key is missing."""
    try:
        from google import genai
        from google.genai.types import HttpOptions, HttpRetryOptions
    except ImportError:
        raise UserError(f"policy gemini needs google-genai; run: {installs('gemini')}") from None
    key = _key()
    options = HttpOptions(
        base_url=base_url,
        timeout=math.ceil(1000 * timeout_seconds),
        retry_options=HttpRetryOptions(
            attempts=1
        ),  # the policy's own retries know what may be spent
    )
    return genai.Client(
        api_key=key, vertexai=False, http_options=options
    ), lambda text: text.replace(key, "[key]")


def request_of(setting: Gemini, messages: Iterable[Message], seed: int) -> dict[str, Any]:
    """The arguments of generate_content. Thinking is left as the model has it."""
    messages = list(messages)
    config: dict[str, Any] = {
        "temperature": setting.temperature,
        "seed": seed,
        "max_output_tokens": setting.max_output_tokens,
        # One call is one request, which is what is counted and paid for.
        "automatic_function_calling": {"disable": True},
        "automatic_continuation": False,
    }
    system = "\n\n".join(message["content"] for message in messages if message["role"] == "system")
    if system:
        config["system_instruction"] = system
    return {"model": setting.model, "contents": _contents(messages), "config": config}


def wire_errors() -> tuple[type[Exception], ...]:
    """What the library raises for a refusal, a broken connection and an answer that is cut short."""
    from google.genai import errors

    clients = [
        importlib.import_module(name)
        for name in ("httpx2", "httpx")
        if importlib.util.find_spec(name)
    ]
    broken = [client.RequestError for client in clients]
    half = (errors.UnknownApiResponseError, json.JSONDecodeError, ValidationError)
    return (errors.APIError, *half, OSError, *broken)


def asked_pause(error: Any) -> float:
    """Seconds that a refusal asks to wait: its header Retry-After or the RetryInfo in its body; 0
    when it does not say."""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    texts = [str(headers.get("retry-after", ""))]
    details = getattr(error, "details", None)
    inner = details.get("error", details) if isinstance(details, dict) else {}
    listed = inner.get("details") if isinstance(inner, dict) else None
    for detail in listed if isinstance(listed, list) else []:
        if isinstance(detail, dict) and str(detail.get("@type", "")).endswith(
            "google.rpc.RetryInfo"
        ):
            texts.append(str(detail.get("retryDelay", "")).removesuffix("s"))
    return max(float(text) if re.fullmatch(r"\s*\d+(\.\d*)?\s*", text) else 0.0 for text in texts)


def _contents(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """The conversation as Gemini wants it. An empty reply cannot be sent back: the user's messages
    around it join."""
    out: list[dict[str, Any]] = []
    for message in messages:
        role = "model" if message["role"] == "assistant" else "user"
        if message["role"] == "system" or not message["content"]:
            continue
        if not out or out[-1]["role"] != role:
            out.append({"role": role, "parts": []})
        out[-1]["parts"].append({"text": message["content"]})
    return out


def record_of(response: Any) -> dict[str, Any]:
    """What is kept of a reply. `reason`: Gemini's word for its end; a blocked reply has no text,
    whatever came with it."""
    usage, feedback = response.usage_metadata, response.prompt_feedback
    first = response.candidates[0] if response.candidates else None
    reason = (
        _word(first.finish_reason)
        if first
        else f"prompt {_word(feedback and feedback.block_reason)}"
    )
    parts = (first.content.parts if first and first.content else None) or []
    text = "".join(part.text or "" for part in parts if not part.thought)
    cut = reason in ("MAX_TOKENS", "CONTINUATION")
    thoughts = (usage and usage.thoughts_token_count) or 0
    return {
        "text": text if cut or reason in ("STOP", "FINISH_REASON_UNSPECIFIED", "none") else "",
        "stop": "cut_off" if cut else "end",
        "reason": reason,
        "prompt_tokens": (usage and usage.prompt_token_count) or 0,
        "completion_tokens": ((usage and usage.candidates_token_count) or 0) + thoughts,
        "thought_tokens": thoughts,
        "cached_tokens": (usage and usage.cached_content_token_count) or 0,
        "response_id": response.response_id,
        "model_version": response.model_version,
    }


def _word(value: Any) -> str:
    return "none" if value is None else str(getattr(value, "value", value))


# The key ------------------------------------------------------------------------------------------


def has_key() -> bool:
    """Whether there is a key that `connect` would use."""
    try:
        return bool(_key())
    except UserError:
        return False


def _key() -> str:
    """The API key. Raises UserError when there is none, or when it cannot be one; the text never
    shows it."""
    for source in (os.environ, _dotenv()):
        for name in KEY_NAMES:
            value = source.get(name, "").strip()
            if value and not re.fullmatch(r"[!-~]+", value):
                raise UserError(
                    f"{name} holds a space or a letter that no key has; mend it in the environment or in .env"
                )
            if value:
                return value
    raise UserError(
        f"policy gemini needs a key: set {KEY_NAMES[0]} in the environment, or write {KEY_NAMES[0]}=... into the file .env "
        "in the project's folder"
    )


def _dotenv() -> Mapping[str, str]:
    """NAME=value lines of the project's .env (quotes, `export` and comments are understood); empty
    without one."""
    try:
        text = (project_root() / ".env").read_text(encoding="utf-8", errors="replace")
    except (OSError, UserError):
        return {}
    line = re.compile(
        r"""^[ \t]*(?:export[ \t]+)?(\w+)[ \t]*=[ \t]*(?:"([^"\n]*)"|'([^'\n]*)'|([^\s#]*))""", re.M
    )
    return {name: double or single or bare for name, double, single, bare in line.findall(text)}
