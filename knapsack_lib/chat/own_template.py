"""The base's own chat template (`training.chat: own`), for bases with other marks than ours (Llama,
Mistral).

A conversation is rendered whole and cut where the template has grown: what stands in front of a
reply, the reply up to its end mark, what follows. So a template may do as it likes with the system
message, the first turn or a turn's number, as long as it leaves alone what it has written; whatever
it does to a text (trims it, say) it does in training as in serving. Every cut is checked on the
conversation itself. A template that refuses or forgets the system message gets it in front of the
first user message. Marks of the tokenizer inside a text are spelled out, as a server is sent them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from knapsack_lib.chat.chatml import ChatTokenizer
from knapsack_lib.errors import UserError
from knapsack_lib.messages import Message

__all__ = ["OwnTemplate"]

SYSTEM, TASK, REPLY, SHOWN = "Act.", "Fill the box.", "Done.", "Seen."
# What a template is tried on when a base is opened; training/parity.py has the long one.
TRIED = tuple(
    {"role": role, "content": text}
    for role, text in (("system", SYSTEM), ("user", TASK), ("assistant", REPLY), ("user", SHOWN))
)
# In front of a template: the day, as it would be on another one.
ANOTHER_DAY = "{%- macro strftime_now(format) -%}another day{%- endmacro -%}"


class _Fault(Exception):
    """What a template does that training and serving cannot both follow."""


class OwnTemplate(ChatTokenizer):
    """The view of messages that a model folder's own template gives. Needs transformers."""

    def __init__(self, folder: Path, name: str):
        from transformers import AutoTokenizer

        self._folder, self.name = folder, name
        self._renderer: Any = AutoTokenizer.from_pretrained(folder)
        self._tokenizer = getattr(self._renderer, "backend_tokenizer", None)
        self._joined, self.newline, self.ask = False, (), ()
        self._spelled = lru_cache(maxsize=4096)(self._reply)
        try:
            if not self._renderer.chat_template:
                raise _Fault("brings none")
            if self._tokenizer is None:
                raise _Fault("belongs to a tokenizer that only its own library reads")
            self.template = self._renderer.get_chat_template()
            added = self._tokenizer.get_added_tokens_decoder().values()
            self._marks = sorted({t.content for t in added if t.special}, key=len, reverse=True)
            self._try()
        except _Fault as fault:
            raise self._refusal(fault) from None

    def __reduce__(self) -> tuple[Any, ...]:
        return OwnTemplate, (self._folder, self.name)

    def content(self, text: str) -> tuple[int, ...]:
        return self._spelled(text)[1]

    def shown(self, messages: Sequence[Message], since: int = 0) -> tuple[int, ...]:
        """As ChatTokenizer.shown. Raises UserError where the template changes what it had written."""
        try:
            return self._shown(messages, since)
        except _Fault as fault:
            raise self._refusal(fault) from None

    def sent(self, messages: Sequence[Message]) -> list[Message]:
        """With marks spelled out, and the system message joined to the first user message where the
        template has no place for it."""
        plain = [{**one, "content": self._plain(one["content"])} for one in messages]
        if self._joined and [one["role"] for one in plain[:2]] == ["system", "user"]:
            text = f"{plain[0]['content']}\n\n{plain[1]['content']}"
            plain = [{"role": "user", "content": text}, *plain[2:]]
        return plain

    def count(self, messages: Iterable[Message]) -> int:
        """Tokens of an opening, a reply, or what stands between two replies."""
        given = list(messages)
        if given and given[0]["role"] == "assistant":
            return len(self.content(given[0]["content"]))
        before = TRIED[:3] if given and given[0]["role"] == "user" else ()
        return len(self.shown([*before, *given], len(before)))

    def _plain(self, text: str) -> str:
        for mark in self._marks:
            if len(mark) > 1:
                text = text.replace(mark, f"{mark[0]} {mark[1:]}")
        return text

    def _rendered(self, messages: Sequence[Message], ask: bool, before: str = "") -> str:
        from jinja2 import TemplateError

        try:
            return str(
                self._renderer.apply_chat_template(
                    self.sent(messages),
                    chat_template=before + self.template,
                    add_generation_prompt=ask,
                    enable_thinking=False,
                    tokenize=False,
                )
            )
        except TemplateError as error:
            raise _Fault(f"refuses a conversation ({' '.join(str(error).split())})") from None

    def _try(self) -> None:
        """Find the end mark, and whether the system message has to be joined."""
        task, reply = TRIED[1], TRIED[2]
        head, whole = self._rendered([task], True), self._rendered([task, reply], False)
        if not whole.startswith(head) or REPLY not in whole[len(head) :]:
            raise _Fault("writes a reply in another way than it asks for one")
        after = whole[len(head) :].split(REPLY, 1)[1].lstrip()
        if not (end := next((mark for mark in self._marks if after.startswith(mark)), "")):
            raise _Fault("ends a reply without a mark of its tokenizer")
        self._end, self.end = end, self._tokenizer.token_to_id(end)
        if self._rendered([task], True, ANOTHER_DAY) != head:
            raise _Fault("writes the day's date, another one on another day")
        for self._joined in (False, True):
            try:
                return self._follow()
            except _Fault as fault:
                found = fault
        raise found

    def _follow(self) -> None:
        """Raise _Fault unless what is tried is rendered whole, and cut as a server reads it."""
        whole = self._rendered(TRIED, True)
        if any(one["content"] not in whole for one in TRIED):
            raise _Fault("leaves out a message")
        if self._rendered(TRIED[:2], True, ANOTHER_DAY) != self._rendered(TRIED[:2], True):
            raise _Fault("writes the day's date, another one on another day")
        cut = self._shown(TRIED[:2]) + self.content(REPLY) + self._shown(TRIED, 3)
        if cut != self._ids(whole):
            raise _Fault("is read by its tokenizer in another way whole than message by message")

    def _shown(self, messages: Sequence[Message], since: int = 0) -> tuple[int, ...]:
        whole = self._rendered(messages, True)
        if not since:
            return self._ids(whole)
        head, before = self._rendered(messages[: since - 1], True), messages[since - 1]["content"]
        text = head + self._spelled(before)[0]
        if not whole.startswith(text):
            raise _Fault("changes what it has written when the conversation grows")
        # After the end mark, which no piece of a tokenizer crosses: read behind it, a beginning is
        # not taken for that of a text.
        return self._ids(self._end + whole[len(text) :])[1:]

    def _reply(self, text: str) -> tuple[str, tuple[int, ...]]:
        """A reply as the template writes it, up to its end mark, and its ids."""
        head = self._rendered(TRIED[1:2], True)
        reply = {"role": "assistant", "content": text}
        body = self._rendered([TRIED[1], reply], False)[len(head) :].rsplit(self._end, 1)[0]
        return body + self._end, (*self._behind(head, body), self.end)  # as it is generated

    def _refusal(self, fault: _Fault) -> UserError:
        return UserError(
            f"training.chat = own: the chat template of {self.name} {fault}; set training.chat: add (our marks are added "
            "to the tokenizer and trained)"
        )
