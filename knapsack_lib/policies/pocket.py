"""The pocket engine: decodes many episodes in lockstep on a CPU, seeded per episode, no server.

    engine = PocketEngine(folder, evaluation)       # a model folder as save_pretrained writes it
    for rollout, episode in engine.play(rollouts): ...

At every step each live row takes in exactly one token, forced (prompt, observation) or sampled, so
all rows have one length: no padding, one shared position. The same rows give the same tokens;
hence rollouts.py plays shards whole. The forward pass is written out over the Qwen3 module's own
weights in float32; a test compares it with transformers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from knapsack_lib.chat import ChatTokenizer
from knapsack_lib.errors import UserError
from knapsack_lib.messages import Message, Reply
from knapsack_lib.policies import Rollout
from knapsack_lib.profiles import Evaluation
from knapsack_lib.seeds import named_seed

__all__ = ["PocketEngine", "Weights", "check_decodable"]


def check_decodable(folder: Path) -> dict[str, Any]:
    """The configuration of a model that the engine can decode. Raises UserError for another one."""
    file = folder / "config.json"
    if not file.exists():
        raise UserError(f"model folder {folder.name} lacks config.json; train it again")
    config = json.loads(file.read_text(encoding="utf-8"))
    if (kind := config.get("model_type")) != "qwen3":
        raise UserError(
            f"the pocket engine decodes models of the type qwen3, and {folder.name} is of the type {kind}; set "
            "evaluation.engine: server and training.choose: loss"
        )
    return config


class Weights:
    """A Qwen3 model's tensors, joined for decoding, with a KV cache in which all rows have the same
    length."""

    def __init__(self, folder: Path):
        c = self.config = check_decodable(folder)
        try:
            tensors = load_file(folder / "model.safetensors")
        except FileNotFoundError:
            raise UserError(
                f"model folder {folder.name} lacks model.safetensors; train it again"
            ) from None
        self.heads, self.kv_heads = c["num_attention_heads"], c["num_key_value_heads"]
        self.size = c["head_dim"]
        self.eps, self.embed = c["rms_norm_eps"], tensors["model.embed_tokens.weight"].float()
        self.unembed = tensors.get("lm_head.weight", self.embed).float()
        self.norm = tensors["model.norm.weight"].float()
        self.layers = [
            self._layer(tensors, f"model.layers.{i}.") for i in range(c["num_hidden_layers"])
        ]
        theta = c["rope_parameters"]["rope_theta"]
        inverse = 1.0 / (theta ** (torch.arange(0, self.size, 2, dtype=torch.float32) / self.size))
        angles = torch.outer(
            torch.arange(c["max_position_embeddings"], dtype=torch.float32), inverse
        )
        self.cos, self.sin = (torch.cat([f(angles)] * 2, -1) for f in (torch.cos, torch.sin))

    @staticmethod
    def _layer(t: dict[str, torch.Tensor], at: str) -> dict[str, torch.Tensor]:
        def join(*names: str) -> torch.Tensor:
            return torch.cat([t[f"{at}{name}.weight"].float() for name in names])

        return {
            "qkv": join("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
            "out": join("self_attn.o_proj"),
            "up": join("mlp.gate_proj", "mlp.up_proj"),
            "down": join("mlp.down_proj"),
            "q_norm": join("self_attn.q_norm"),
            "k_norm": join("self_attn.k_norm"),
            "norm1": join("input_layernorm"),
            "norm2": join("post_attention_layernorm"),
        }

    def cache(self, rows: int, length: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        shape = (rows, self.kv_heads, length, self.size)
        return [(torch.empty(shape), torch.empty(shape)) for _ in self.layers]

    def step(
        self, ids: torch.Tensor, cache: list[tuple[torch.Tensor, torch.Tensor]], at: int
    ) -> torch.Tensor:
        """Logits [rows, vocabulary] after one more token per row. ids: [rows]; `at`: tokens already
        in the cache."""
        x, rows = F.embedding(ids, self.embed), len(ids)
        cos, sin = self.cos[at], self.sin[at]
        wide, narrow = self.heads * self.size, self.kv_heads * self.size
        for layer, (keys, values) in zip(self.layers, cache, strict=True):
            q, k, v = F.linear(self._rms(x, layer["norm1"]), layer["qkv"]).split(
                [wide, narrow, narrow], -1
            )
            q = self._turn(
                self._rms(q.view(rows, self.heads, self.size), layer["q_norm"]), cos, sin
            )
            keys[:rows, :, at] = self._turn(
                self._rms(k.view(rows, self.kv_heads, self.size), layer["k_norm"]), cos, sin
            )
            values[:rows, :, at] = v.view(rows, self.kv_heads, self.size)
            # Query heads that share a key head become its query positions: [rows, kv heads, group,
            # size].
            grouped = q.view(rows, self.kv_heads, -1, self.size)
            mixed = F.scaled_dot_product_attention(
                grouped, keys[:rows, :, : at + 1], values[:rows, :, : at + 1]
            )
            x = x + F.linear(mixed.reshape(rows, wide), layer["out"])
            gate, up = F.linear(self._rms(x, layer["norm2"]), layer["up"]).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, layer["down"])
        return F.linear(self._rms(x, self.norm), self.unembed)

    def _rms(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, (x.shape[-1],), weight, self.eps)

    @staticmethod
    def _turn(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        half = x.shape[-1] // 2
        return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


@dataclass
class _Row:
    """One episode under way. `queue`: tokens still to be taken in before the next one is sampled."""

    rollout: Rollout
    rng: np.random.Generator
    messages: int = 0  # messages already taken in or queued
    queue: list[int] = field(default_factory=list)
    reply: list[int] = field(default_factory=list)
    prompt_tokens: int = 0


class PocketEngine:
    """Policy for a small model in this process. `chat` is training.chat's."""

    def __init__(self, folder: Path, setting: Evaluation, chat: str = "chatml"):
        torch.set_num_threads(setting.threads)
        self._folder, self._chat = folder, chat
        self.weights, self.setting = Weights(folder), setting
        if setting.context > (positions := self.weights.config["max_position_embeddings"]):
            raise UserError(
                f"evaluation.context = {setting.context} is more than the {positions} positions of the model"
            )
        self.chat = ChatTokenizer.from_folder(folder, chat)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another machine of a cluster opens the folder itself: it must see the same files."""
        return PocketEngine, (self._folder, self.setting, self._chat)

    @torch.inference_mode()
    def play(self, rollouts: Iterable[Rollout]) -> Iterator[tuple[Rollout, Any]]:
        """Yields each rollout with its Episode as it ends."""
        live = [
            _Row(r, np.random.Generator(np.random.PCG64(named_seed(r.seed, "sampling"))))
            for r in rollouts
        ]
        for row in live:
            self._take_in(row, next(row.rollout.steps))
        room = min(1024, self.setting.context)
        cache, at = self.weights.cache(len(live), room), 0
        while live:
            if at == room:
                room = min(2 * room, self.setting.context)
                cache = [tuple(_longer(part[: len(live)], room) for part in pair) for pair in cache]  # type: ignore[misc]
            taken_in = torch.tensor([row.queue.pop(0) for row in live])
            logits = self.weights.step(taken_in, cache, at).double().numpy()
            at += 1
            keep = []
            for index, row in enumerate(live):
                episode = self._advance(row, logits[index], at)
                if episode is None:
                    keep.append(index)
                else:
                    yield row.rollout, episode
            if len(keep) < len(live):
                live = [live[i] for i in keep]
                for part in (part for pair in cache for part in pair):
                    _close_up(part, keep, at)

    def _advance(self, row: _Row, logits: np.ndarray, at: int) -> Any | None:
        """Give the row its next token to take in, or return its Episode when it has ended. `at`: tokens taken
        in so far."""
        full = at >= self.setting.context
        if row.queue:
            return self._answer(row, "context", at) if full else None
        if not row.reply:
            row.prompt_tokens = at
        token = self._sample(row, logits)
        row.reply.append(token)
        if token == self.chat.end or (len(row.reply) >= self.setting.max_new_tokens and not full):
            episode = self._answer(row, "end" if token == self.chat.end else "cut_off", at)
            # The reply was the last thing that fitted: there is no room for what comes back.
            return self._answer(row, "context", at) if episode is None and full else episode
        if full:
            return self._answer(row, "context", at)
        row.queue.append(token)
        return None

    def _sample(self, row: _Row, logits: np.ndarray) -> int:
        """Temperature sampling by inversion with the row's own generator; temperature 0 takes the
        first of the best."""
        if self.setting.temperature == 0:
            return int(logits.argmax())
        shares = np.exp((logits - logits.max()) / self.setting.temperature).cumsum()
        token = int(np.searchsorted(shares, row.rng.random() * shares[-1], side="right"))
        return min(token, len(shares) - 1)

    def _answer(self, row: _Row, stop: str, at: int) -> Any | None:
        """Hand the reply to the episode; queue what it brings. Returns the Episode when it has
        ended."""
        prompt = row.prompt_tokens if row.reply else at
        ids = tuple(row.reply)
        reply = Reply(self.chat.text(ids), prompt, len(ids), stop, ids)
        try:
            messages = row.rollout.steps.send(reply)
        except StopIteration as end:
            return end.value
        row.queue = [ids[-1]] if stop == "end" else [ids[-1], self.chat.end]
        row.queue += self.chat.newline
        row.messages += 1
        row.reply = []
        self._take_in(row, messages)
        return None

    def _take_in(self, row: _Row, messages: list[Message]) -> None:
        row.queue += self.chat.shown(messages, row.messages)
        row.messages = len(messages)


def _close_up(part: torch.Tensor, keep: list[int], length: int) -> None:
    """Move the rows `keep` (ascending) to the front, in place: only those that have to move, only
    what is filled."""
    for place, row in enumerate(keep):
        if place != row:
            part[place, :, :length] = part[row, :, :length]


def _longer(part: torch.Tensor, length: int) -> torch.Tensor:
    out = part.new_empty((part.shape[0], part.shape[1], length, part.shape[3]))
    out[:, :, : part.shape[2]] = part
    return out
