"""The chat format: the one place where messages become token ids, for training and for serving
alike.

    chat = ChatTokenizer.from_folder(model_folder)
    chat.message({"role": "user", "content": "..."})      # token ids

Each message is encoded separately, as one text (`<|im_start|>role\\ncontent<|im_end|>\\n`), so what was
encoded never changes when the conversation grows, and a tokenizer that joins newlines (Qwen's does)
joins the head's to those that a block has printed first, as it does in a server. A reply alone is
encoded apart from its head, which it is generated after; one whose sampled ids are known keeps
those ids: what a model is served is what it would be trained on. The chat template in assets/
spells the same thing for other servers; a test holds them equal.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from knapsack_lib.messages import Message

__all__ = ["CHAT_TEMPLATE", "ChatTokenizer"]

CHAT_TEMPLATE = (Path(__file__).parent / "assets" / "chat_template.jinja").read_text(
    encoding="utf-8"
)
END = "<|im_end|>"


class ChatTokenizer:
    """A tokenizer's view of messages. Works on a `tokenizers.Tokenizer` (no transformers import
    needed)."""

    def __init__(self, tokenizer: Any):
        self._tokenizer = tokenizer
        self.end = tokenizer.token_to_id(END)
        self.newline = self._ids("\n")
        self.ask = self.head("assistant")
        self._message = lru_cache(maxsize=4096)(self._encode)

    @classmethod
    def from_folder(cls, folder: Path) -> ChatTokenizer:
        """The chat tokenizer of a model folder."""
        from tokenizers import Tokenizer

        return cls(Tokenizer.from_file(str(folder / "tokenizer.json")))

    def __reduce__(self) -> tuple[Any, ...]:
        return ChatTokenizer, (self._tokenizer,)

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def head(self, role: str) -> tuple[int, ...]:
        return self._ids(f"<|im_start|>{role}\n")

    def _encode(self, role: str, content: str) -> tuple[int, ...]:
        if role == "assistant":
            return self.ask + self.content(content) + self.newline
        return self._ids(f"<|im_start|>{role}\n{_without_marks(content)}{END}\n")

    def content(self, text: str) -> tuple[int, ...]:
        """Ids of a reply's text and its end mark."""
        return self._ids(_without_marks(text)) + (self.end,)

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

    def count(self, messages: Iterable[Message]) -> int:
        return sum(len(self.message(m)) for m in messages)

    def text(self, ids: Iterable[int]) -> str:
        """The text of a reply's ids (without its end mark)."""
        return self._tokenizer.decode([i for i in ids if i != self.end], skip_special_tokens=True)


def _without_marks(text: str) -> str:
    """Marks inside untrusted text stay text: they are spelled out."""
    return text.replace("<|", "< |")
