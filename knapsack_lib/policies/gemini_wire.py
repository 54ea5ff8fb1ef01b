"""What goes to Google's API and what comes back, for policies/gemini.py: the key, the client,
requests, replies, refusals.

google.genai is imported only here, and only when a request is to be sent.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import groupby
from typing import Any

from pydantic import ValidationError

from knapsack_lib.errors import UserError, installs
from knapsack_lib.files import project_root
from knapsack_lib.messages import Message
from knapsack_lib.profiles import Gemini
from knapsack_lib.proxies import is_local, one_line_for_proxies

__all__ = [
    "KEY_NAMES",
    "asked_pause",
    "connect",
    "has_key",
    "is_reply",
    "kind_of",
    "record_of",
    "request_of",
    "wire_errors",
]

KEY_NAMES = ("GEMINI_API_KEY", "GOOGLE_API_KEY")

# Who ended a reply: the model itself (end), its length (cut), a filter (blocked: the model's turn, without its text), or
# a fault on the way (broken: no reply at all, asked for again). No tool and no picture is asked for, so a reply that is
# one is a fault.
KINDS: Mapping[str, tuple[str, ...]] = {
    "end": ("STOP",),
    "cut": ("MAX_TOKENS", "CONTINUATION"),
    "blocked": (
        *("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"),
        *("ESCALATION", "JAILBREAK", "MODEL_ARMOR"),
        *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
        "prompt OTHER",  # of a whole prompt: a filter that says no more; of a reply, a fault
    ),
    "broken": (
        *("FINISH_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED", "none", "OTHER"),
        *("MALFORMED_RESPONSE", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"),
        *("TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE", "NO_IMAGE", "IMAGE_OTHER"),
        "PUP_LIMITED_DISABLED",
    ),
}
UNNAMED = ("FINISH_REASON_UNSPECIFIED", "none")  # with text: a proxy that leaves the reason out


def connect(timeout_seconds: float, base_url: str | None) -> tuple[Any, Callable[[str], str]]:
    """(client, a function that hides the key in a text). Raises UserError when the package or the
    key is missing."""
    try:
        from google import genai
        from google.genai.types import HttpOptions, HttpRetryOptions

        key = _key()
    except ImportError as error:
        raise UserError(
            f"policy gemini needs the package {error.name}; run: {installs('gemini')}"
        ) from None
    own = {"trust_env": False} if base_url and is_local(base_url) else {}
    options = HttpOptions(
        client_args=own,
        async_client_args=own,
        base_url=base_url,
        timeout=math.ceil(1000 * timeout_seconds),
        # The policy's own retries know what may be spent.
        retry_options=HttpRetryOptions(attempts=1),
    )
    with one_line_for_proxies():
        client = genai.Client(api_key=key, vertexai=False, http_options=options)
    return client, lambda text: text.replace(key, "[key]")


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
    """Seconds that a refusal asks to wait, by its header Retry-After or the RetryInfo in its body;
    0 when it names none."""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    body = str(getattr(error, "details", ""))
    asked = [str(headers.get("retry-after", "")), *re.findall(r"'retryDelay': '([^']*)s'", body)]
    return max(float(text) if re.fullmatch(r"\s*\d+(\.\d*)?\s*", text) else 0.0 for text in asked)


def _contents(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """The conversation in Gemini's shape. An empty reply cannot be sent back: the user's messages
    around it are joined."""
    shown = [one for one in messages if one["role"] != "system" and one["content"]]
    by_role = groupby(shown, lambda one: "model" if one["role"] == "assistant" else "user")
    return [
        {"role": role, "parts": [{"text": one["content"]} for one in group]}
        for role, group in by_role
    ]


def kind_of(reason: str, text: str = "") -> str:
    """Who ended a reply, by Gemini's word for its end: a key of KINDS. A word that is not known is a
    fault, never the model's turn."""
    if text and reason in UNNAMED:
        return "end"
    for word in (reason, reason.removeprefix("prompt ")):
        for kind, words in KINDS.items():
            if word in words:
                return kind
    return "broken"


def is_reply(record: Mapping[str, Any]) -> bool:
    """Whether what is kept of an answer is a turn of the model's, if only one without a text."""
    return kind_of(record["reason"], record["text"]) != "broken"


def record_of(response: Any) -> dict[str, Any]:
    """What is kept of an answer. `reason` is Gemini's word for its end, after "prompt" where it is
    about the prompt. A reply that was blocked has no text, whatever came with it."""
    feedback, text = response.prompt_feedback, ""
    if response.candidates:
        first = response.candidates[0]
        reason = _word(first.finish_reason)
        parts = (first.content and first.content.parts) or []
        text = "".join(part.text or "" for part in parts if not part.thought)
    else:
        reason = f"prompt {_word(feedback and feedback.block_reason)}"
    kind = kind_of(reason, text)

    def tokens(kind: str) -> int:
        return getattr(response.usage_metadata, f"{kind}_token_count", None) or 0

    return {
        "text": text if kind in ("end", "cut") else "",
        "stop": "cut_off" if kind == "cut" else "end",
        "reason": reason,
        "prompt_tokens": tokens("prompt"),
        "completion_tokens": tokens("candidates") + tokens("thoughts"),
        "thought_tokens": tokens("thoughts"),
        "cached_tokens": tokens("cached_content"),
        "response_id": response.response_id,
        "model_version": response.model_version,
    }


def _word(value: Any) -> str:
    return "none" if value is None else str(getattr(value, "value", value))


# The key ------------------------------------------------------------------------------------------


def has_key() -> bool:
    """Whether there is a key that `connect` would use."""
    with suppress(UserError, ImportError):
        return bool(_key())
    return False


def _key() -> str:
    """The API key, from the environment or else from .env. Raises UserError when there is none, or
    when it cannot be one; the message never shows it."""
    for source in (lambda: os.environ, _dotenv):
        found = source()
        for name in KEY_NAMES:
            value = (found.get(name) or "").strip()
            if value and not re.fullmatch(r"[!-~]+", value):
                raise UserError(
                    f"{name} holds a space or a letter that no key has; fix it in the environment or in .env"
                )
            if value:
                return value
    raise UserError(
        f"policy gemini needs a key: set {KEY_NAMES[0]} in the environment, or write {KEY_NAMES[0]}=... into the file .env "
        "in the project's folder"
    )


def _dotenv() -> Mapping[str, str | None]:
    """The settings in the project's .env; empty without that file."""
    from dotenv import dotenv_values

    try:
        text = (project_root() / ".env").read_text(encoding="utf-8", errors="replace")
    except (OSError, UserError):
        return {}
    return dotenv_values(stream=io.StringIO(text), interpolate=False)
