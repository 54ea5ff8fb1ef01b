"""A teacher behind Google's API (the extra gemini). Every reply is paid for once and kept.

    policy = GeminiPolicy(setting, folder, load_prices())
    for rollout, episode in policy.play(rollouts): ...
    print(policy.report())

A reply is written to `folder` before it is used, so a run that was killed, or that ran out of its
budget, continues with the same command and asks only for what it lacks. The key is read from the
environment or .env and is written nowhere.
"""

from __future__ import annotations

import math
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from knapsack_lib.errors import UserError
from knapsack_lib.messages import Reply
from knapsack_lib.policies import PolicyError, Rollout
from knapsack_lib.policies.concurrent import Ask, run_concurrently
from knapsack_lib.policies.gemini_wire import (
    KEY_NAMES,
    asked_pause,
    connect,
    is_reply,
    kind_of,
    record_of,
    request_of,
    wire_errors,
)
from knapsack_lib.policies.prices import Estimate, Prices, Usage, estimate
from knapsack_lib.policies.replies import ReplyStore, reply_key
from knapsack_lib.profiles import Gemini
from knapsack_lib.seeds import named_seed

__all__ = ["Estimate", "GeminiPolicy", "Usage", "estimate"]

CHARS_PER_TOKEN = 3  # few, so that an estimate is rather too high
LONGEST_PAUSE = 60.0  # seconds of our own back-off
LONGEST_ASKED = 600.0  # seconds; a server that asks for more is out of quota for now


@dataclass
class _Play:
    """What one call of play() shares among its threads. `tokens`: of each conversation up to its
    last reply."""

    store: ReplyStore
    tokens: dict[str, int] = field(default_factory=dict)
    failure: BaseException | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def wait(self, seconds: float) -> None:
        """Raises the error that ended the play: the other threads stop asking."""
        if self.over.wait(seconds) and self.failure is not None:
            raise self.failure


class GeminiPolicy:
    """Plays rollouts with a Gemini model, `setting.concurrency` requests at once. Raises UserError
    for a missing key or package, a refused request and a budget that is used up; PolicyError when
    the server does not answer.

    `pause_seconds` is the first pause of the back-off; `base_url` (or GEMINI_BASE_URL) is for tests
    and proxies.
    """

    independent = True

    def __init__(
        self,
        setting: Gemini,
        folder: Path,
        prices: Prices,
        base_url: str | None = None,
        *,
        pause_seconds: float = 1.0,
    ):
        self.setting, self.folder = setting, folder
        self._price, self._pause = prices.of(setting.model), pause_seconds
        self._base_url = base_url or os.environ.get("GEMINI_BASE_URL") or None
        if self._base_url and not re.match(r"https?://[^/]", self._base_url):
            raise UserError("GEMINI_BASE_URL is no address; it begins with http:// or https://")
        self._connecting = threading.Lock()
        self._connected: tuple[Any, Callable[[str], str]] | None = None
        self._room = threading.Condition()
        self._reserved: list[float] = []  # USD that the requests under way may cost
        with ReplyStore(folder) as store:
            self._usage = Usage(spent_usd=store.total("usd"))

    @property
    def spent_usd(self) -> float:
        """USD of all replies in the folder, of earlier runs too."""
        return self._usage.spent_usd

    @property
    def failed_requests(self) -> int:
        """Requests without an answer, most of them asked again."""
        return self._usage.failed

    def report(self) -> Usage:
        """What was requested, paid and spent so far."""
        return self._usage

    def play(self, rollouts: Iterable[Rollout]) -> Iterator[tuple[Rollout, Any]]:
        """Yield each rollout with its Episode as it ends."""
        with ReplyStore(self.folder) as store:
            with self._room:
                self._usage = replace(self._usage, spent_usd=store.total("usd"))
            play = _Play(store)
            try:
                yield from run_concurrently(
                    rollouts, lambda ask: self._reply(ask, play), self.setting.concurrency
                )
            finally:
                play.over.set()

    # One reply ------------------------------------------------------------------------------------

    def _reply(self, ask: Ask, play: _Play) -> Reply:
        try:
            return self._reply_or_raise(ask, play)
        except BaseException as error:
            if not play.over.is_set():
                play.failure = error
                play.over.set()
            raise

    def _reply_or_raise(self, ask: Ask, play: _Play) -> Reply:
        setting, new = self.setting, ask.messages[-1:] if ask.turn else ask.messages
        tokens = play.tokens.get(ask.key, 0) if ask.turn else 0
        tokens += math.ceil(sum(len(message["content"]) for message in new) / CHARS_PER_TOKEN)
        if ask.turn and tokens > setting.context:
            return Reply("", stop="context")
        key = reply_key(
            api="gemini generateContent",
            model=setting.model,
            messages=ask.messages,
            seed=ask.seed,
            temperature=setting.temperature,
            max_output_tokens=setting.max_output_tokens,
        )
        record, broken = _kept(play.store, key)
        if record is None:
            record = self._until_whole(key, broken, ask, tokens, play)
        else:
            self._count(from_store=1)
        self._count(blocked=kind_of(record["reason"]) == "blocked")
        visible = record["completion_tokens"] - record["thought_tokens"]
        play.tokens[ask.key] = (record["prompt_tokens"] or tokens) + visible
        return Reply(
            record["text"], record["prompt_tokens"], record["completion_tokens"], record["stop"]
        )

    def _until_whole(
        self, key: str, broken: int, ask: Ask, tokens: int, play: _Play
    ) -> dict[str, Any]:
        """Ask until an answer is a reply, each time with another seed: the same one might break the
        same way. Raises PolicyError after `setting.attempts`."""
        for number in range(broken, broken + self.setting.attempts):
            seed = named_seed(ask.seed, "again", number) % 2**31 if number else ask.seed
            record = self._paid(_numbered(key, number), replace(ask, seed=seed), tokens, play)
            if is_reply(record):
                return record
            self._count(broken=1, failed=1)
            self._back_off(key, number - broken, 0.0, play)
        raise PolicyError(
            f"no reply in {self.setting.attempts} answers; the last ended with {record['reason']}"
        )

    def _paid(self, key: str, ask: Ask, tokens: int, play: _Play) -> dict[str, Any]:
        """Ask, pay and keep. `tokens`: an estimate of the prompt's length."""
        worst, usd = self._price.usd(tokens, self.setting.max_output_tokens), 0.0
        self._reserve(worst)
        try:
            record = record_of(self._answer(key, ask, play))
            counts = record["prompt_tokens"], record["completion_tokens"]
            record["usd"] = self._price.usd(*counts) if any(counts) else worst
            record = play.store.put(key, {**record, "model": self.setting.model})
            usd = record["usd"]
            self._count(paid=is_reply(record), prompt_tokens=counts[0], completion_tokens=counts[1])
        finally:
            with self._room:
                self._reserved.remove(worst)
                self._count(spent_usd=usd)
                self._room.notify_all()
        return record

    def _reserve(self, worst: float) -> None:
        """Set `worst` USD aside. Waits while it is only the requests under way, most of which will
        cost less than they set aside, that leave no room."""
        budget = self.setting.budget_usd
        with self._room:
            while self.spent_usd + sum(self._reserved) + worst > budget:
                if self.spent_usd + worst > budget or not self._reserved:
                    raise UserError(
                        f"${self.spent_usd:.4f} of budget_usd = {budget:g} are spent and the next request may cost "
                        f"${worst:.4f}; raise teacher.gemini.budget_usd in the profile: the same command resumes"
                    )
                self._room.wait()
            self._reserved.append(worst)

    def _count(self, **more: float) -> None:
        with self._room:
            self._usage = replace(
                self._usage, **{name: getattr(self._usage, name) + n for name, n in more.items()}
            )

    # The wire -------------------------------------------------------------------------------------

    def _answer(self, key: str, ask: Ask, play: _Play) -> Any:
        """Ask until there is an answer. Raises PolicyError after `setting.attempts`."""
        models, reason = self._connection[0].models, ""
        request = request_of(self.setting, ask.messages, ask.seed)
        for attempt in range(self.setting.attempts):
            play.wait(0)
            self._count(requests=1)
            try:
                response = models.generate_content(**request)
                if response.candidates or response.prompt_feedback or response.usage_metadata:
                    return response
                asked, reason = 0.0, "a reply without content"
                self._count(unanswered=1, failed=1)
            except wire_errors() as error:
                self._count(failed=1)
                asked, reason = self._reaction(error)
            if attempt + 1 < self.setting.attempts:
                self._back_off(key, attempt, asked, play)
        raise PolicyError(f"no answer after {self.setting.attempts} attempts; the last: {reason}")

    def _back_off(self, key: str, attempt: int, asked: float, play: _Play) -> None:
        """Wait, longer each time, and at least the `asked` seconds. Jitter keeps requests that failed
        at the same time from being repeated at the same time; it is drawn from the request."""
        jitter = named_seed(int(key[:15], 16), "jitter", attempt) / 2**63
        play.wait(max(asked, min(LONGEST_PAUSE, self._pause * 2**attempt)) * (1 + jitter / 2))

    def _reaction(self, error: Exception) -> tuple[float, str]:
        """(seconds that the server asks to wait, 0 if none; one line). Raises UserError where
        asking again is no use."""
        code = getattr(error, "code", None)
        text = getattr(error, "message", None) or ("" if code else str(error))
        hide = self._connection[1]
        line = hide(" ".join(f"{code or type(error).__name__} {text}".split()))[:240]
        if code is None:
            self._count(unanswered=1)
        elif 400 <= code < 500 and code not in (408, 429):
            hint = "check teacher.gemini in the profile"
            if code in (401, 403) or "key" in line.lower():
                hint = f"check the key in {KEY_NAMES[0]} or .env"
            elif code == 404:
                hint = "check teacher.gemini.model in the profile"
            raise UserError(
                f"Gemini refuses the request: {line}; {hint}, then run the same command"
            ) from None
        asked = asked_pause(error)
        if asked > LONGEST_ASKED:
            raise UserError(
                f"Gemini asks to wait {asked:.0f} s: {line}; run the same command then: it resumes"
            ) from None
        return asked, line

    @property
    def _connection(self) -> tuple[Any, Callable[[str], str]]:
        """The client, and what hides the key in a text; made at the first request: a run that needs
        none needs no key. One for all threads: a client that nobody holds any more closes itself, under
        a request that it is answering."""
        with self._connecting:
            self._connected = self._connected or connect(
                self.setting.timeout_seconds, self._base_url
            )
            return self._connected


def _numbered(key: str, number: int) -> str:
    """Where a request's answers are kept: the first under its key, those asked for again after it."""
    return f"{key} {number}" if number else key


def _kept(store: ReplyStore, key: str) -> tuple[dict[str, Any] | None, int]:
    """(the reply to a request, if the store has it; how many broken answers came before it)."""
    for number in count():
        record = store.get(_numbered(key, number))
        if record is None or is_reply(record):
            return record, number
    raise AssertionError
