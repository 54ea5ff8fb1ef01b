"""What a profile needs, by formula: GPU memory, disk, tokens, hours, money. Nothing is measured and
nothing is loaded.

    need = estimate_resources(load_profile("paper"), prices)
    print("\\n".join(need.lines()))

Every assumption is a name below or in the line that uses it. Sizes of known models are those of
their config.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from knapsack_lib.policies.prices import PAPER, Prices, estimate
from knapsack_lib.profiles import Profile

__all__ = ["MODELS", "Model", "ResourceEstimate", "estimate_resources"]

GIB = 2**30
OVERHEAD = 1.5 * GIB  # CUDA context, kernels, fragments
# Of an evaluation's tokens, those that are generated and not prefilled from a kept prefix
ANSWER_SHARE = 0.3
# A training conversation: our expert's, easy, 3 characters each
TRACE_TOKENS = {
    "persistent": 4_000,
    "reset": 7_000,
}
BASE_TOKENS = 200_000  # an episode of the untrained base: the paper says hundreds of thousands
TRAIN_FLOP = 6  # per weight and token; LoRA still runs the whole backward pass
UTILISATION = 0.3  # of the GPU's peak in training
DECODED = 1500.0  # tokens a second from vLLM, all rows together, of an 8 B model on one 80 GB GPU
PEAK = 4e14  # FLOP a second, bf16 dense, of such a GPU


@dataclass(frozen=True)
class Model:
    """The shape of a Qwen3: weights in total, and what its memory depends on."""

    weights: float
    layers: int
    hidden: int
    feed_forward: int
    heads: int
    kv_heads: int
    head: int
    vocabulary: int

    def lora_weights(self, rank: int) -> int:
        """Of an adapter on q, k, v, o, gate, up and down."""
        wide, narrow = self.heads * self.head, self.kv_heads * self.head
        pairs = [
            (self.hidden, wide),
            (self.hidden, narrow),
            (self.hidden, narrow),
            (wide, self.hidden),
            *[(self.hidden, self.feed_forward)] * 3,
        ]
        return self.layers * sum(rank * (a + b) for a, b in pairs)

    def kv_bytes(self, tokens: int) -> float:
        """Of the cache of so many tokens in 16 bits."""
        return 2.0 * 2 * self.layers * self.kv_heads * self.head * tokens


MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "Qwen/Qwen3-8B": Model(8.19e9, 36, 4096, 12288, 32, 8, 128, 151_936),
        "Qwen/Qwen3-0.6B": Model(5.96e8, 28, 1024, 3072, 16, 8, 128, 151_936),
    }
)


@dataclass(frozen=True)
class ResourceEstimate:
    """Bytes, hours of one GPU, USD. `gpu` is empty for a profile that runs on a CPU."""

    profile: str
    gpu: Mapping[str, float] = field(default_factory=dict)
    disk: float = 0.0
    hours: Mapping[str, float] = field(default_factory=dict)
    usd: float = 0.0
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """As a person reads it."""
        memory = [f"GPU memory, {what}: {value / GIB:.0f} GiB" for what, value in self.gpu.items()]
        time = [f"{what}: about {value:.1f} GPU-hours" for what, value in self.hours.items()]
        money = [f"API: about ${self.usd:.0f}"] if self.usd else ["API: nothing"]
        disk = [f"disk: {self.disk / GIB:.1f} GiB"] if self.disk else []
        return [*(memory or ["GPU: none needed"] * bool(disk)), *time, *disk, *money, *self.notes]


def estimate_resources(profile: Profile, prices: Prices) -> ResourceEstimate:
    """By the formulas below. Raises UserError for a paid teacher whose model has no price."""
    model, usd = MODELS.get(profile.training.base), 0.0
    if profile.teacher.gemini is not None:
        traces = profile.tasks.train + profile.tasks.validation
        usd = sum(
            estimate(traces, profile.teacher.gemini, prices, regime).usd for regime in profile.arms
        )
    if profile.evaluation.engine == "pocket":
        own = "on two CPU cores: see the README for what was measured"
        return ResourceEstimate(profile.name, disk=0.5 * GIB, usd=usd, notes=(own,))
    if model is None:
        unknown = f"the shape of {profile.training.base} is not in knapsack_lib/resource_estimate.py: memory, disk and hours are not worked out"
        return ResourceEstimate(profile.name, usd=usd, notes=(unknown,))
    adapters = profile.train_seeds * len(profile.arms)
    lora = model.lora_weights(profile.training.lora_rank)
    episodes, of_base = _episodes(profile), _episodes(profile, "base")
    rows = profile.training.episodes_per_step / profile.training.gradient_accumulation_steps
    return ResourceEstimate(
        profile.name,
        gpu={
            "training": _training_bytes(model, lora, profile, rows),
            "serving, at least": _serving_bytes(model, lora, profile, adapters),
        },
        disk=2 * model.weights + adapters * 4 * lora * 4 + episodes * 400e3,
        hours=_hours(model, profile, adapters, episodes - of_base, of_base),
        usd=usd,
        notes=(
            f"{adapters} adapters of {lora / 1e6:.0f} million weights, {episodes:,} evaluation episodes",
            "hours on one GPU of 400 TFLOP/s in bf16 and 80 GB; a smaller one takes longer by its peak and bandwidth",
        ),
    )


def _training_bytes(model: Model, lora: int, profile: Profile, rows: float) -> float:
    """4-bit weights (0.56 bytes with their constants; embeddings in 16 bits), the adapter with
    gradient and Adam's moments in 32 bits, one layer's worth of checkpoints for every layer, the
    logits of a row in 32 bits twice."""
    embedding = model.vocabulary * model.hidden
    held = (
        0.56 * (model.weights - embedding) + 2 * embedding
        if profile.training.method == "qlora"
        else 2 * model.weights
    )
    tokens = rows * profile.training.max_tokens
    return (
        held
        + 16 * lora
        + 2 * tokens * model.hidden * (model.layers + 8)
        + 8 * min(tokens, 4096) * model.vocabulary
        + OVERHEAD
    )


def _serving_bytes(model: Model, lora: int, profile: Profile, adapters: int) -> float:
    """16-bit weights, adapters, and the cache of one episode at its full context: the least; with
    more, more episodes are decoded side by side. (PEFT's copy, for the proof, is gone before the
    server starts.)"""
    return (
        2 * model.weights
        + 2 * lora * adapters
        + model.kv_bytes(profile.evaluation.context)
        + OVERHEAD
    )


def _episodes(profile: Profile, train: str = "") -> int:
    """Of the study's cells, or of those of one training."""
    cells = [cell for cell in profile.cells() if train in ("", cell.train)]
    return sum(profile.splits()[cell.difficulty] for cell in cells)


def _hours(
    model: Model, profile: Profile, adapters: int, tuned: int, of_base: int
) -> dict[str, float]:
    """Training by FLOP at UTILISATION; evaluation by generated tokens, an adapter's episode as long
    as the paper's traces."""
    step = profile.training.steps * profile.training.episodes_per_step
    seen = sum(TRACE_TOKENS.values()) / 2 * step * adapters
    training = TRAIN_FLOP * model.weights * seen / (PEAK * UTILISATION) / 3600
    generated = ANSWER_SHARE * (tuned * sum(PAPER.values()) / 2 + of_base * BASE_TOKENS)
    return {
        "training": training,
        "evaluation": generated / (DECODED * 8.19e9 / model.weights) / 3600,
    }
