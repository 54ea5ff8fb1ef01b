"""Conversations as tokens: the one place where text becomes ids, for training and for serving alike.

    talk = encode_episode(tokenizer, episode)      # input_ids and the loss mask (assistant tokens of turns that teach)

A message is encoded by itself, as one text (`<|im_start|>role\\ncontent<|im_end|>\\n`), so what was encoded never changes
when the conversation grows, and a tokenizer that joins newlines (Qwen's does) joins the head's to those that a block has
printed first, as it does in a server. A reply alone is spelled apart from its head, which it is generated after; one whose
sampled ids are known keeps those ids: what a model is served is what it would be trained on. The chat template in assets/
spells the same thing for other servers; a test holds them equal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from knapsack_lib.episodes import Episode
from knapsack_lib.hub import ID, fetched
from knapsack_lib.profiles import Profile
from knapsack_lib.prompts import Message

__all__ = ["CHAT_TEMPLATE", "Talk", "Wording", "base_folder", "check_mask", "encode_episode"]

CHAT_TEMPLATE = (Path(__file__).parent.parent / "assets" / "chat_template.jinja").read_text()
END = "<|im_end|>"


def base_folder(profile: Profile) -> Path:
    """The base model's folder: the shipped pocket base, a path, or what the hub has under the profile's id.

    Raises UserError for an id that cannot be fetched.
    """
    name = profile.training.base
    shipped = Path(__file__).parent.parent / "assets" / name
    if shipped.is_dir():
        return shipped
    return fetched(name, "model") if ID.fullmatch(name) and not Path(name).exists() else Path(name)


class Wording:
    """A tokenizer's view of messages. Works on a `tokenizers.Tokenizer` (no transformers import needed)."""

    def __init__(self, tokenizer: Any):
        self._tokenizer = tokenizer
        self.end = tokenizer.token_to_id(END)
        self.newline = self._ids("\n")
        self.ask = self.head("assistant")
        self._message = lru_cache(maxsize=4096)(self._encode)

    def __reduce__(self) -> tuple[Any, ...]:
        return Wording, (self._tokenizer,)

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
        return [(i, start, end) for i, (start, end) in zip(encoded.ids, encoded.offsets, strict=True)]

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


@dataclass(frozen=True)
class Talk:
    """One episode for training: equal-length lists. mask[i] is 1 where token i is the assistant's and carries loss."""

    input_ids: list[int]
    mask: list[int]


def encode_episode(wording: Wording, episode: Episode) -> Talk:
    """Token ids of the whole episode, exactly as it was served. Slips and cut-off replies carry no loss."""
    ids: list[int] = []
    mask: list[int] = []

    def add(part: Iterable[int], learn: int) -> None:
        before = len(ids)
        ids.extend(part)
        mask.extend([learn] * (len(ids) - before))

    for message in episode.opening:
        add(wording.message(message), 0)
    for turn in episode.turns:
        reply = wording.content(turn.reply) if turn.reply_ids is None else tuple(turn.reply_ids)
        closed = reply[-1:] == (wording.end,)
        add(wording.ask, 0)
        add(reply, int(closed and not turn.slip))
        add((() if closed else (wording.end,)) + wording.newline, 0)
        if turn.observation is not None:
            add(wording.message({"role": "user", "content": turn.observation}), 0)
    return Talk(ids, mask)


def check_mask(talks: Iterable[Talk]) -> None:
    """Raises AssertionError when a conversation would teach nothing: the silent fault of mismatched templates."""
    for number, talk in enumerate(talks):
        assert len(talk.input_ids) == len(talk.mask), f"conversation {number}: mask and ids differ in length"
        assert any(talk.mask), f"conversation {number} has no token that carries loss"
