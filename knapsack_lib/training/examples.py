"""Episodes as training examples: token ids, and which of them carry loss.

Loss is on what the assistant wrote in turns that teach. A turn teaches unless it failed: a deliberate mistake, a block that
ended in an error (its runtime lost, say), a reply that held no block, or one that was cut off. The mend that follows
teaches like any other turn.

    example = encode_episode(chat, episode)

Token ids are those of the whole episode exactly as it was served (chat.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter

from knapsack_lib.chat import ChatTokenizer
from knapsack_lib.episodes import ACTED, Episode, Turn

__all__ = ["TokenizedEpisode", "check_mask", "encode_episode", "marked"]


@dataclass(frozen=True)
class TokenizedEpisode:
    """One episode for training: lists of equal length. mask[i] is 1 where token i carries loss."""

    input_ids: list[int]
    mask: list[int]

    @property
    def labels(self) -> list[int]:
        """The ids that carry loss; -100 everywhere else."""
        return [i if learn else -100 for i, learn in zip(self.input_ids, self.mask, strict=True)]


def encode_episode(chat: ChatTokenizer, episode: Episode) -> TokenizedEpisode:
    """Token ids of the whole episode, exactly as it was served. Turns that failed carry no loss."""
    parts: list[tuple[tuple[int, ...], int]] = []
    messages, since = list(episode.opening), 0
    for turn in episode.turns:
        reply = chat.content(turn.reply) if turn.reply_ids is None else tuple(turn.reply_ids)
        closed = reply[-1:] == (chat.end,)
        parts.append((chat.shown(messages, since), 0))
        parts += [(reply, int(closed and _teaches(turn))), (chat.close(reply), 0)]
        messages.append({"role": "assistant", "content": turn.reply})
        since = len(messages)
        if turn.observation is not None:
            messages.append({"role": "user", "content": turn.observation})
    if since < len(messages):  # shown after the last reply: nothing was asked any more
        shown = chat.shown(messages, since)
        parts.append((shown[: len(shown) - len(chat.ask)], 0))
    return TokenizedEpisode(
        [i for ids, _ in parts for i in ids], [learn for ids, learn in parts for _ in ids]
    )


def _teaches(turn: Turn) -> bool:
    return turn.parse_status in ACTED and not turn.slip and turn.error_type is None


def check_mask(examples: Iterable[TokenizedEpisode]) -> None:
    """Raises AssertionError for an example that would teach nothing: the silent fault of mismatched
    templates."""
    for number, example in enumerate(examples):
        if not any(example.mask):  # no assert statement, which PYTHONOPTIMIZE would take out
            raise AssertionError(f"conversation {number} has no token that carries loss")


def marked(example: TokenizedEpisode, chat: ChatTokenizer, tokens: int) -> str:
    """The first tokens of an example as text, with what carries loss between ⟦ and ⟧."""
    first = islice(zip(example.input_ids, example.mask, strict=True), tokens)
    spans = [
        ("".join(chat.piece(token) for token, _ in span), learn)
        for learn, span in groupby(first, itemgetter(1))
    ]
    return "".join(f"⟦{text}⟧" if learn else text for text, learn in spans)
