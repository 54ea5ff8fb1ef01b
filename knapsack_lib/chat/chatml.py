"""ChatML: our own chat format, of a tokenizer that has its two marks or is given them.

Each message is encoded separately, as one text (`<|im_start|>role\\ncontent<|im_end|>\\n`), so what was
encoded never changes when the conversation grows, and a tokenizer that joins newlines (Qwen's does)
joins the head's to those that a block has printed first, as it does in a server. A reply alone is
encoded apart from its head, which it is generated after; one whose sampled ids are known keeps
those ids: what a model is served is what it would be trained on. The chat template in assets/
spells the same thing for other servers; a test holds them equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from knapsack_lib.errors import UserError
from knapsack_lib.messages import Message

__all__ = ["CHAT_TEMPLATE", "MARKS", "ChatTokenizer"]

CHAT_TEMPLATE = (Path(__file__).parents[1] / "assets" / "chat_template.jinja").read_text(
    encoding="utf-8"
)
START, END = MARKS = "<|im_start|>", "<|im_end|>"


class ChatTokenizer:
    """A tokenizer's view of messages. Works on a `tokenizers.Tokenizer` (no transformers import
    needed). Raises UserError for a tokenizer without the marks; `name` is the base's, for it."""

    template = CHAT_TEMPLATE  # what a server is to render

    def __init__(self, tokenizer: Any, name: str = "this model"):
        self._tokenizer, self.name = tokenizer, name
        if missing := [mark for mark in MARKS if tokenizer.token_to_id(mark) is None]:
            raise UserError(
                f"the tokenizer of {name} has no {' and no '.join(missing)}, the marks of our chat format; set "
                "training.chat: own (the base's own chat template) or add (the marks are added and trained)"
            )
        self.end = tokenizer.token_to_id(END)
        self.newline = self._ids(f"{END}\n")[1:]
        self.ask = self.head("assistant")
        # SentencePiece's manner: a beginning is another piece than the same text behind a line's end.
        self._marks_beginnings = self._behind("\n", "Done.") != self._ids("Done.")
        self._message = lru_cache(maxsize=4096)(self._encode)

    @classmethod
    def from_folder(cls, folder: Path, chat: str = "chatml", name: str = "") -> ChatTokenizer:
        """The chat tokenizer of a model folder; `chat` as in training.chat. Raises UserError for a
        folder without tokenizer.json, too."""
        from tokenizers import AddedToken, Tokenizer

        name, file = name or folder.name, folder / "tokenizer.json"
        if not file.is_file():
            raise UserError(
                f"{name} has no tokenizer.json, which training and serving read; is training.base a model folder or a hub id?"
            )
        if chat == "own":
            from knapsack_lib.chat.own_template import OwnTemplate

            return OwnTemplate(folder, name)
        tokenizer = Tokenizer.from_file(str(file))
        if chat == "add":
            tokenizer.add_special_tokens(
                [
                    AddedToken(mark, special=True, normalized=False)
                    for mark in MARKS
                    if tokenizer.token_to_id(mark) is None
                ]
            )
        return cls(tokenizer, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return ChatTokenizer, (self._tokenizer, self.name)

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _behind(self, head: str, text: str) -> tuple[int, ...]:
        """Ids of a text that goes on behind another, whose own stay as they are."""
        before, both = self._ids(head), self._ids(head + text)
        return both[len(before) :] if both[: len(before)] == before else self._ids(text)

    def head(self, role: str) -> tuple[int, ...]:
        return self._ids(f"<|im_start|>{role}\n")

    def _encode(self, role: str, content: str) -> tuple[int, ...]:
        if role == "assistant":
            return self.ask + self.content(content) + self.newline
        return self._ids(f"<|im_start|>{role}\n{_without_marks(content)}{END}\n")

    def content(self, text: str) -> tuple[int, ...]:
        """Ids of a reply's text and its end mark."""
        plain = _without_marks(text)
        ids = self._behind("\n", plain) if self._marks_beginnings else self._ids(plain)
        return ids + (self.end,)

    def spans(self, text: str) -> list[tuple[int, int, int]]:
        """(id, first character, end character) of each piece of a text without marks."""
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        return [
            (i, start, end) for i, (start, end) in zip(encoded.ids, encoded.offsets, strict=True)
        ]

    def piece(self, token: int) -> str:
        """One token as text, marks included (to look at what a model reads)."""
        return self._tokenizer.decode([token], skip_special_tokens=False)

    def message(self, message: Message) -> tuple[int, ...]:
        return self._message(message["role"], message["content"])

    def shown(self, messages: Sequence[Message], since: int = 0) -> tuple[int, ...]:
        """Ids of what the model is shown after the first `since` messages (none, or up to a reply
        and its close) until it continues."""
        return sum((self.message(message) for message in messages[since:]), ()) + self.ask

    def prompt(
        self, messages: Sequence[Message], replies: Iterable[Sequence[int]] = ()
    ) -> list[int]:
        """A conversation's ids up to where the model continues, with the earliest replies as
        `replies` has them (sampled ids)."""
        ids: list[int] = []
        known, since = iter(replies), 0
        for at, message in enumerate(messages):
            if message["role"] == "assistant":
                reply = tuple(next(known, ())) or self.content(message["content"])
                ids += self.shown(messages[:at], since) + reply + self.close(reply)
                since = at + 1
        return [*ids, *self.shown(messages, since)]

    def close(self, reply: Sequence[int]) -> tuple[int, ...]:
        """What follows a reply before the next message; one that was cut off gets its end mark."""
        return (() if tuple(reply[-1:]) == (self.end,) else (self.end,)) + self.newline

    def sent(self, messages: Sequence[Message]) -> list[Message]:
        """The messages as a server's template is to be given them."""
        return list(messages)

    def count(self, messages: Iterable[Message]) -> int:
        return sum(len(self.message(m)) for m in messages)

    def text(self, ids: Iterable[int]) -> str:
        """The text of a reply's ids (without its end mark)."""
        return self._tokenizer.decode([i for i in ids if i != self.end], skip_special_tokens=True)


def _without_marks(text: str) -> str:
    """Marks inside untrusted text stay text: they are spelled out."""
    return text.replace("<|", "< |")
