"""A model behind any server of the OpenAI protocol: vLLM, `transformers serve`, or another.

    policy = ChatServerPolicy("http://127.0.0.1:8000/v1", "persistent", evaluation, chat_tokenizer)
    for rollout, episode in policy.play(rollouts): ...

There are two ways to ask (`serving.prompts`). With `tokens` the prompt is sent as token ids, encoded
by training's own ChatTokenizer, and the sampled ids of a reply stay as they are in the next prompt:
the model reads token for token what it was trained on. With `messages` the server renders its chat
template, which notebook 04 compares with ours first, and its counts of prompt tokens are held against
ours on the first two turns of each episode. History only grows, so a server that caches
prefixes computes each token once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from knapsack_lib.chat import ChatTokenizer
from knapsack_lib.errors import UserError, installs
from knapsack_lib.messages import Reply
from knapsack_lib.policies import PolicyError, Rollout
from knapsack_lib.policies.concurrent import Ask, run_concurrently
from knapsack_lib.profiles import Evaluation
from knapsack_lib.proxies import is_local, one_line_for_proxies

__all__ = ["ChatServerPolicy"]

ATTEMPTS = 6  # of one request, with the client's own back-off, before the run stops
REFUSALS = (400, 401, 403, 404, 422)  # statuses for which asking again is no use


class ChatServerPolicy:
    """Policy for one model of a server. `model` is the name under which it is served."""

    independent = True

    def __init__(self, url: str, model: str, setting: Evaluation, chat: ChatTokenizer):
        if setting.serving is None:
            raise UserError(
                "this profile has no section evaluation.serving; choose one whose engine is server"
            )
        self._url, self._client = url, _client(url, setting.serving.timeout_seconds)
        self.model, self.setting, self.serving, self.chat = model, setting, setting.serving, chat
        self._sampled: dict[str, list[tuple[int, ...]]] = {}  # ids of each episode's replies
        self._uncounted = False  # whether the server was found to report no usage

    def __reduce__(self) -> tuple[Any, ...]:
        """A worker of a cluster makes a client of its own."""
        return ChatServerPolicy, (self._url, self.model, self.setting, self.chat)

    def play(self, rollouts: Iterable[Rollout]) -> Iterator[tuple[Rollout, Any]]:
        """Yields each rollout with its Episode as it ends. Raises PolicyError when the server cannot
        be reached, UserError when it refuses a request."""
        for rollout, episode in run_concurrently(rollouts, self.reply, self.serving.concurrency):
            self._sampled.pop(rollout.key, None)
            yield rollout, episode

    def reply(self, ask: Ask) -> Reply:
        """One answer. The length of its prompt is counted with the model's own tokenizer."""
        from openai import OpenAIError

        if ask.turn == 0:
            self._sampled[ask.key] = []
        prompt = self.prompt(ask)
        room = self.setting.context - len(prompt)
        if room < 1:
            return Reply("", len(prompt), 0, "context")
        request = {
            "model": self.model,
            "max_tokens": min(self.setting.max_new_tokens, room),
            "temperature": self.setting.temperature,
            "seed": ask.seed,
        }
        try:
            if self.serving.prompts == "tokens":
                return self._complete(ask, prompt, request)
            return self._chat(ask, len(prompt), request)
        except (OpenAIError, json.JSONDecodeError) as error:
            raise self._failure(error) from None

    def prompt(self, ask: Ask) -> list[int]:
        """The conversation's ids up to where the model continues, with earlier replies as they were
        sampled."""
        return self.chat.prompt(ask.messages, self._sampled.get(ask.key, ()))

    def _complete(self, ask: Ask, prompt: list[int], request: dict[str, Any]) -> Reply:
        extra = {
            "return_token_ids": True,
            "stop_token_ids": [self.chat.end],
            "skip_special_tokens": False,
        }
        found = self._client.completions.create(prompt=prompt, extra_body=extra, **request)
        choice = self._first(found)
        ids = tuple(getattr(choice, "token_ids", None) or ())
        if not ids or not all(isinstance(one, int) for one in ids):
            raise UserError(
                f"the server of {self.model} gives no token ids; set evaluation.serving.prompts to messages"
            )
        stop = self._stop(choice.finish_reason, request["max_tokens"])
        if stop == "end" and ids[-1] != self.chat.end:
            ids += (self.chat.end,)
        self._sampled[ask.key].append(ids)
        return Reply(self.chat.text(ids), len(prompt), len(ids), stop, ids)

    def _chat(self, ask: Ask, prompt_tokens: int, request: dict[str, Any]) -> Reply:
        found = self._client.chat.completions.create(
            messages=self.chat.sent(ask.messages),
            extra_body={"chat_template_kwargs": {"enable_thinking": False}},
            **request,
        )
        choice, usage = self._first(found), _counts(found)
        message = getattr(choice, "message", None)
        if message is None or not isinstance(message.content, str | None):
            raise self._no_answer(choice)
        text = (
            (message.content or "").encode("utf-8", "replace").decode()
        )  # half characters are no text
        completion_tokens = len(self.chat.content(text))
        self._check_count(ask, prompt_tokens, usage)
        if usage:
            prompt_tokens, completion_tokens = usage
        stop = self._stop(choice.finish_reason, request["max_tokens"])
        return Reply(text, prompt_tokens, completion_tokens, stop)

    def _first(self, found: Any) -> Any:
        """The first choice of an answer. Raises PolicyError for one that has none, whatever its
        status says: the page of a proxy, an error, an empty list."""
        choices = getattr(found, "choices", None)
        if not choices or not isinstance(choices, list) or choices[0] is None:
            raise self._no_answer(found)
        return choices[0]

    def _no_answer(self, found: Any) -> PolicyError:
        said = " ".join(str(found).split())[:200]
        return PolicyError(
            f"the server of {self.model} answers what is no completion ({said}); is {self._url} the address of its API?"
        )

    def _check_count(self, ask: Ask, ours: int, usage: tuple[int, int] | None) -> None:
        """Raise UserError where the server's template makes of the first turn, or of the second (the
        first to show a reply), another number of tokens than training does. Replies with blanks at
        their ends are passed over: a server may trim what it did not trim when it gave it."""
        if usage is None:
            if not self._uncounted:
                self._uncounted = True
                line = f"the server of {self.model} reports no usage: whether it renders as training does was not checked"
                print(line, file=sys.stderr)
            return
        said = [one["content"] for one in ask.messages if one["role"] == "assistant"]
        if ask.turn > 1 or said != [text.strip() for text in said]:
            return
        if (theirs := usage[0]) != ours:
            by_one = ", perhaps a beginning-of-text token more" if theirs == ours + 1 else ""
            raise UserError(
                f"the server of {self.model} makes {theirs} prompt tokens of turn {ask.turn + 1} of {ask.key}, and there "
                f"are {ours} in training{by_one}: it renders another chat template; start it with training's "
                "(chat_template.jinja beside the adapter, or in knapsack_lib/assets), or set evaluation.serving.prompts: tokens"
            )

    def _stop(self, reason: str | None, max_tokens: int) -> str:
        """How a reply ended; one that the end of the context cut differs from one that was too long
        for a turn. Raises PolicyError where neither the model nor its length ended it."""
        if reason not in ("stop", "length"):
            raise PolicyError(
                f"the server of {self.model} broke a reply off (finish_reason {reason})"
            )
        cut = "cut_off" if max_tokens == self.setting.max_new_tokens else "context"
        return "end" if reason == "stop" else cut

    def _failure(self, error: Exception) -> Exception:
        """A request that the server refuses as UserError, any other failure as PolicyError: the
        episode is played again."""
        text, status = " ".join(str(error).split())[:300], getattr(error, "status_code", None)
        if status in REFUSALS:
            return UserError(f"the server of {self.model} refuses the request ({status}): {text}")
        return PolicyError(f"the server of {self.model}: {type(error).__name__}: {text}")


def _counts(found: Any) -> tuple[int, int] | None:
    """(prompt tokens, completion tokens) as the server counts them; None where it does not."""
    usage = getattr(found, "usage", None)
    prompt, completion = (getattr(usage, f"{of}_tokens", None) for of in ("prompt", "completion"))
    if isinstance(prompt, int) and isinstance(completion, int):
        return prompt, completion
    return None


def _client(url: str, seconds: float) -> Any:
    try:
        import openai
    except ImportError:
        raise UserError(f"the openai client is not installed; run: {installs('serve')}") from None
    with one_line_for_proxies():
        http = openai.DefaultHttpxClient(trust_env=not is_local(url))
    return openai.OpenAI(
        base_url=url,
        api_key="none",
        timeout=seconds,
        max_retries=ATTEMPTS - 1,
        http_client=http,
    )
