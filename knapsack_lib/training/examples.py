"""Episodes as training examples: token ids and the loss mask (assistant tokens of turns that
teach).

    example = encode_episode(chat, episode)

Token ids are those of the whole episode exactly as it was served (chat.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from knapsack_lib.chat import ChatTokenizer
from knapsack_lib.episodes import Episode

__all__ = ["TokenizedEpisode", "check_mask", "encode_episode", "marked"]


@dataclass(frozen=True)
class TokenizedEpisode:
    """One episode for training: equal-length lists. mask[i] is 1 where token i is the assistant's
    and carries loss."""

    input_ids: list[int]
    mask: list[int]


def encode_episode(chat: ChatTokenizer, episode: Episode) -> TokenizedEpisode:
    """Token ids of the whole episode, exactly as it was served. Slips and cut-off replies carry no
    loss."""
    ids: list[int] = []
    mask: list[int] = []

    def add(part: Iterable[int], learn: int) -> None:
        before = len(ids)
        ids.extend(part)
        mask.extend([learn] * (len(ids) - before))

    for message in episode.opening:
        add(chat.message(message), 0)
    for turn in episode.turns:
        reply = chat.content(turn.reply) if turn.reply_ids is None else tuple(turn.reply_ids)
        closed = reply[-1:] == (chat.end,)
        add(chat.ask, 0)
        add(reply, int(closed and not turn.slip))
        add((() if closed else (chat.end,)) + chat.newline, 0)
        if turn.observation is not None:
            add(chat.message({"role": "user", "content": turn.observation}), 0)
    return TokenizedEpisode(ids, mask)


def check_mask(examples: Iterable[TokenizedEpisode]) -> None:
    """Raises AssertionError when a conversation would teach nothing: the silent fault of mismatched
    templates."""
    for number, example in enumerate(examples):
        assert len(example.input_ids) == len(example.mask), (
            f"conversation {number}: mask and ids differ in length"
        )
        assert any(example.mask), f"conversation {number} has no token that carries loss"


def marked(example: TokenizedEpisode, chat: ChatTokenizer, tokens: int) -> str:
    """The first tokens of an example as text, with what carries loss between ⟦ and ⟧."""
    text, learning = "", 0
    for token, mask in list(zip(example.input_ids, example.mask, strict=True))[:tokens]:
        text += (
            "⟦" if mask and not learning else "⟧" if learning and not mask else ""
        ) + chat.piece(token)
        learning = mask
    return text
