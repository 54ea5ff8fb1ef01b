"""The pocket engine next to transformers' generate, and what the harness adds to the engine's time.

All sides read the same conversations: committed episodes of a trained model, whose replies are put
in the place of what is sampled (which is drawn all the same). So everybody has the same prompts and
the same number of tokens to make.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import ROOT, Row, alternated, bytes_a_second
from scratch import KNAPSACK, play

from knapsack_lib.episodes import Episode, EpisodeFile
from knapsack_lib.hub import base_folder
from knapsack_lib.messages import Message, Reply
from knapsack_lib.policies import Rollout
from knapsack_lib.policies.pocket import PocketEngine
from knapsack_lib.profiles import Cell, Profile, load_profile

PART = "generation with the pocket model"
SHARD = 50


class Recorded(PocketEngine):
    """The pocket engine, which says what was recorded. `own`: seconds that it spent itself."""

    def __init__(self, profile: Profile, episodes: Iterable[Episode]):
        super().__init__(base_folder(profile), profile.evaluation)
        self.replies = {
            e.episode_id: [list(self.chat.content(t.reply)) for t in e.turns] for e in episodes
        }
        self.turn: dict[str, int] = {}
        self.own = 0.0

    def play(self, rollouts: Iterable[Rollout]) -> Iterator[tuple[Rollout, Any]]:
        self.turn = {}
        timed = (Rollout(r.key, r.seed, self._timed(r.steps)) for r in rollouts)
        playing = super().play(timed)
        while True:
            began = time.perf_counter()
            ended = next(playing, None)
            self.own += time.perf_counter() - began
            if ended is None:
                return
            yield ended

    def _timed(
        self, steps: Generator[list[Message], Reply, Episode]
    ) -> Generator[list[Message], Reply, Episode]:
        send, given = steps.send, None
        while True:
            began = time.perf_counter()
            try:
                asked = send(given)  # type: ignore[arg-type]  # None starts it
            except StopIteration as end:
                return end.value
            finally:
                self.own -= time.perf_counter() - began
            given = yield asked

    def _sample(self, row: Any, logits: np.ndarray) -> int:
        super()._sample(row, logits)
        replies, turn = self.replies[row.rollout.key], self.turn.get(row.rollout.key, 0)
        token = replies[turn][len(row.reply)]
        if len(row.reply) + 1 == len(replies[turn]):
            self.turn[row.rollout.key] = turn + 1
        return token


def rows(tiny: bool) -> Iterator[Row]:
    torch.set_num_threads(1)
    profile = load_profile("pocket-seeds")
    cells: dict[tuple[str, str], list[Episode]] = {}
    for episode in EpisodeFile(ROOT / "results/pocket-seeds/cells.jsonl.gz"):
        if (episode.difficulty, episode.train_seed) == ("easy", 1):
            cells.setdefault((episode.train, episode.runtime), []).append(episode)
    for regime in ("persistent", "reset"):
        yield from _next_to_generate(
            profile, cells[regime, regime][: 2 if tiny else SHARD], regime, tiny
        )
    spent = [
        _spent(profile, episodes[: 2 if tiny else SHARD], *cell)
        for cell, episodes in sorted(cells.items())
    ]
    for (train, runtime), (whole, own) in zip(sorted(cells), spent, strict=True):
        yield Row(
            PART,
            f"{train} in {runtime}: the harness adds",
            100 * (whole - own) / own,
            "% of engine",
        )
    whole, own = (sum(column) for column in zip(*spent, strict=True))
    yield Row(
        PART,
        "the four cells: the harness adds",
        100 * (whole - own) / own,
        "% of engine",
        0.0,
        f"{own:.0f} s of {whole:.0f} s are the engine's; the rest is worlds, interpreter and store",
        wanted="<= 10",
    )


def _next_to_generate(
    profile: Profile, episodes: Sequence[Episode], regime: str, tiny: bool
) -> Iterator[Row]:
    from transformers import AutoModelForCausalLM

    engine, few = Recorded(profile, episodes), episodes[:: max(1, len(episodes) // 3)][:3]
    model = AutoModelForCausalLM.from_pretrained(base_folder(profile), dtype=torch.float32)
    made = sum(len(ids) for e in episodes for ids in engine.replies[e.episode_id])
    few_made = sum(len(ids) for e in few for ids in engine.replies[e.episode_id])
    found = alternated(
        1 if tiny else 2,
        ours=lambda: list(engine.play(Rollout(e.episode_id, 1, _said(e)) for e in episodes)),
        alone=lambda: [list(engine.play([Rollout(e.episode_id, 1, _said(e))])) for e in few],
        one=lambda: [_generate(model, [asked]) for e in few for asked in _asked(engine, e)],
        batch=lambda: _generate_together(model, engine, episodes),
    )
    ours, one, batch = made / found["ours"], few_made / found["one"], made / found["batch"]
    rate, read = bytes_a_second(), _bytes_read(profile, engine, episodes)
    yield Row(
        PART,
        f"{regime}: {len(episodes)} episodes side by side",
        ours,
        "tokens/s",
        made * rate / read,
        f"{read / 1e9:,.0f} GB of keys and values read at {rate / 1e9:.0f} GB/s",
        ours / one,
        f"generate, one episode at a time, the conversation read anew in each turn ({one:,.0f} tokens/s)",
        ">= 8",
    )
    yield Row(
        PART,
        f"{regime}: the same",
        ours,
        "tokens/s",
        ratio=ours / batch,
        against=f"generate, {len(episodes)} episodes a batch, turn by turn ({batch:,.0f} tokens/s)",
    )
    yield Row(
        PART,
        f"{regime}: one episode at a time in the engine",
        few_made / found["alone"],
        "tokens/s",
        ratio=few_made / found["alone"] / one,
        against="generate, one episode at a time",
    )


def _said(episode: Episode) -> Generator[list[Message], Reply, Episode]:
    """The recorded conversation, without an interpreter."""
    messages = list(episode.opening)
    for turn in episode.turns:
        yield messages
        if turn.observation is not None:
            messages = [
                *messages,
                {"role": "assistant", "content": turn.reply},
                {"role": "user", "content": turn.observation},
            ]
    return episode


def _asked(engine: Recorded, episode: Episode) -> Iterator[tuple[list[int], int]]:
    """(prompt ids, tokens to make) of every turn."""
    chat, ids = engine.chat, []
    for message in episode.opening:
        ids += chat.message(message)
    for turn, reply in zip(episode.turns, engine.replies[episode.episode_id], strict=True):
        ids += chat.ask
        yield list(ids), len(reply)
        ids += [*reply, *chat.newline]
        if turn.observation is not None:
            ids += chat.message({"role": "user", "content": turn.observation})


def _generate_together(model: Any, engine: Recorded, episodes: Sequence[Episode]) -> None:
    turns = [list(_asked(engine, episode)) for episode in episodes]
    for number in range(max(map(len, turns))):
        _generate(model, [asked[number] for asked in turns if len(asked) > number])


@torch.inference_mode()
def _generate(model: Any, asked: Sequence[tuple[list[int], int]]) -> None:
    """As many tokens as the longest reply has, for prompts that are padded on the left."""
    longest, most = max(len(ids) for ids, _ in asked), max(count for _, count in asked)
    prompt = torch.zeros(len(asked), longest, dtype=torch.long)
    mask = torch.zeros_like(prompt)
    for row, (ids, _) in enumerate(asked):
        prompt[row, longest - len(ids) :] = torch.tensor(ids)
        mask[row, longest - len(ids) :] = 1
    model.generate(
        prompt,
        attention_mask=mask,
        max_new_tokens=most,
        min_new_tokens=most,
        do_sample=True,
        temperature=0.2,
        pad_token_id=0,
    )


def _bytes_read(profile: Profile, engine: Recorded, episodes: Iterable[Episode]) -> float:
    """Keys and values that attention reads, over all tokens of all episodes: each token looks at
    all before it."""
    base = profile.base
    total = 0
    for episode in episodes:
        length = sum(len(ids) for ids, _ in list(_asked(engine, episode))[-1:]) + len(
            engine.replies[episode.episode_id][-1]
        )
        total += length * (length + 1) // 2
    return total * base.layers * base.hidden * 2 * 4.0


def _spent(
    profile: Profile, episodes: Sequence[Episode], train: str, runtime: str
) -> tuple[float, float]:
    """Seconds, in all and the engine's own, of a cell played with interpreter, store and all, and
    the recorded replies."""
    size, draw = profile.difficulties["easy"], KNAPSACK.make_task
    tasks = [
        draw(size, seed=profile.seed, split="easy", index=int(e.task_id.rsplit("-", 1)[1]))
        for e in episodes
    ]
    engine, cell = Recorded(profile, episodes), Cell("knapsack", train, runtime, "easy", 1)
    with tempfile.TemporaryDirectory() as place:
        options = {"seed": profile.seed, "shard": SHARD}
        began = time.perf_counter()
        played = play(engine, cell, profile, tasks, Path(place) / "cell", **options)
        whole = time.perf_counter() - began
        results = {e.episode_id: e.result for e in played}
    assert results == {e.episode_id: e.result for e in episodes}, (
        "the recorded replies did not give the same results"
    )
    return whole, engine.own
