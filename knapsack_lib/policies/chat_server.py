"""A model behind any server of the OpenAI protocol: vLLM, `transformers serve`, or whatever else
speaks it.

    policy = ChatServerPolicy("http://127.0.0.1:8000/v1", "persistent", evaluation, wording)
    for rollout, episode in policy.play(rollouts): ...

Two ways to ask (`serving.prompts`). With `tokens` the prompt goes as token ids, spelled by
training's own Wording, and a reply's sampled ids stay as they are in the next prompt: what the
model reads is token for token what it was trained on. With `messages` the server renders its chat
template, which notebook 04 first holds against ours. History only grows, so a server that keeps
prefixes computes each token once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from knapsack_lib.chat import ChatTokenizer
from knapsack_lib.errors import UserError, installs
from knapsack_lib.messages import Reply
from knapsack_lib.policies import PolicyError, Rollout
from knapsack_lib.policies.concurrent import Ask, run_concurrently
from knapsack_lib.profiles import Evaluation

__all__ = ["ChatServerPolicy"]

ATTEMPTS = 6  # of one request, with the client's own back-off, before the run stops


class ChatServerPolicy:
    """Policy for one model of a server. `model` is the name under which it is served."""

    independent = True

    def __init__(self, url: str, model: str, setting: Evaluation, chat: ChatTokenizer):
        if setting.serving is None:
            raise UserError(
                "this profile has no section evaluation.serving; choose one whose engine is server"
            )
        self._url = url
        self.model, self.setting, self.serving, self.chat = model, setting, setting.serving, chat
        self._client = _client(url, self.serving.timeout_seconds)
        self._said: dict[
            str, list[tuple[int, ...]]
        ] = {}  # the sampled ids of each episode's replies

    def __reduce__(self) -> tuple[Any, ...]:
        """A worker of a cluster makes a client of its own."""
        return ChatServerPolicy, (self._url, self.model, self.setting, self.chat)

    def play(self, rollouts: Iterable[Rollout]) -> Iterator[tuple[Rollout, Any]]:
        """Yields each rollout with its Episode as it ends. Raises PolicyError when the server
        cannot be had, UserError when it refuses what it was asked."""
        for rollout, episode in run_concurrently(rollouts, self.reply, self.serving.concurrency):
            self._said.pop(rollout.key, None)
            yield rollout, episode

    def reply(self, ask: Ask) -> Reply:
        """One answer. Its prompt's length is counted with the model's own tokenizer."""
        if ask.turn == 0:
            self._said[ask.key] = []
        prompt = self.prompt(ask)
        room = self.setting.context - len(prompt)
        if room < 1:
            return Reply("", len(prompt), 0, "context")
        most = min(self.setting.max_new_tokens, room)
        try:
            if self.serving.prompts == "tokens":
                return self._complete(ask, prompt, most)
            return self._chat(ask, len(prompt), most)
        except Exception as error:  # noqa: BLE001  sorted out below; what is not the client's is raised again
            raise _sorted_out(error, self.model) from None

    def prompt(self, ask: Ask) -> list[int]:
        """The conversation's ids, with earlier replies as they were sampled, up to where the model
        goes on."""
        ids: list[int] = []
        said = iter(self._said.get(ask.key, ()))
        for message in ask.messages:
            if message["role"] != "assistant":
                ids += self.chat.message(message)
                continue
            reply = next(said, None) or self.chat.content(message["content"])
            closed = reply[-1:] == (self.chat.end,)
            ids += self.chat.ask + reply + (() if closed else (self.chat.end,)) + self.chat.newline
        return [*ids, *self.chat.ask]

    def _complete(self, ask: Ask, prompt: list[int], most: int) -> Reply:
        found = self._client.completions.create(
            model=self.model,
            prompt=prompt,
            max_tokens=most,
            temperature=self.setting.temperature,
            seed=ask.seed,
            extra_body={
                "return_token_ids": True,
                "stop_token_ids": [self.chat.end],
                "skip_special_tokens": False,
            },
        )
        choice = found.choices[0]
        ids = getattr(choice, "token_ids", None)
        if not ids:
            raise UserError(
                f"the server of {self.model} gives no token ids; set evaluation.serving.prompts to messages"
            )
        ended = self._ended(choice.finish_reason)
        said = tuple(ids) if not ended or ids[-1] == self.chat.end else (*ids, self.chat.end)
        self._said[ask.key].append(said)
        return Reply(self.chat.text(said), len(prompt), len(said), self._stop(ended, most), said)

    def _chat(self, ask: Ask, counted: int, most: int) -> Reply:
        found = self._client.chat.completions.create(
            model=self.model,
            messages=list(ask.messages),
            max_tokens=most,
            temperature=self.setting.temperature,
            seed=ask.seed,
            extra_body={"chat_template_kwargs": {"enable_thinking": False}},
        )
        choice, usage = found.choices[0], found.usage
        text = choice.message.content or ""
        spent = usage.completion_tokens if usage else len(self.chat.content(text))
        stop = self._stop(self._ended(choice.finish_reason), most)
        return Reply(text, usage.prompt_tokens if usage else counted, spent, stop)

    def _ended(self, reason: str | None) -> bool:
        """Whether the model ended its reply. What else than that or its length stopped it is no
        doing of the model's."""
        if reason not in ("stop", "length"):
            raise PolicyError(
                f"the server of {self.model} broke a reply off (finish_reason {reason})"
            )
        return reason == "stop"

    def _stop(self, ended: bool, most: int) -> str:
        """A reply that the end of the context cut is told from one that was too long for a turn."""
        return "end" if ended else "cut_off" if most == self.setting.max_new_tokens else "context"


def _client(url: str, seconds: float) -> Any:
    try:
        import openai
    except ImportError:
        raise UserError(f"the openai client is not installed; run: {installs('serve')}") from None
    return openai.OpenAI(base_url=url, api_key="none", timeout=seconds, max_retries=ATTEMPTS - 1)


def _sorted_out(error: Exception, model: str) -> Exception:
    """The server's failure as PolicyError (play again), a request it refuses as UserError, anything
    else as it is."""
    import openai

    text = " ".join(str(error).split())[:300]
    if isinstance(error, openai.APIStatusError) and error.status_code in (400, 401, 403, 404, 422):
        return UserError(f"the server of {model} refuses the request ({error.status_code}): {text}")
    if isinstance(error, openai.OpenAIError):
        return PolicyError(f"the server of {model}: {type(error).__name__}: {text}")
    return error
