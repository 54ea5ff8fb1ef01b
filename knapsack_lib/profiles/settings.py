"""The sections of a profile: what each setting means and which values it may take. Units are in the
names.

A field that came later has a default, which leaves the digest of profiles that do not name it as it
was.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

__all__ = [
    "Analysis",
    "Base",
    "PromptOptions",
    "Evaluation",
    "Gates",
    "Gemini",
    "InterpreterSettings",
    "Limits",
    "Serving",
    "Strict",
    "TaskCounts",
    "Teacher",
    "Training",
]


# What settings were called once -> what they are called now. The old name is refused with the new one named.
RENAMED = {
    "cues": "prompt",
    "prompt": "style",
    "matrix_rate": "muon_learning_rate",
    "warmup_share": "warmup_ratio",
    "decay_share": "decay_ratio",
    "average_decay": "ema_decay",
    "check_every": "eval_steps",
    "accumulation": "gradient_accumulation_steps",
}


class Strict(BaseModel):
    """Frozen, and without room for a misspelt key, for `yes` where a number is meant, or for
    infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _new_names(cls, data: Any) -> Any:
        for name in data if isinstance(data, dict) else ():
            new = RENAMED.get(str(name), "")
            if name not in cls.model_fields and new in cls.model_fields:
                raise ValueError(f"{name} is now called {new}")
        return data

    @model_validator(mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, data: Any) -> Any:
        for name, value in data.items() if isinstance(data, dict) else ():
            if (
                isinstance(value, bool)
                and name in cls.model_fields
                and cls.model_fields[name].annotation is not bool
            ):
                raise ValueError(f"{name} is {str(value).lower()}, which is no value for it")
        return data


class TaskCounts(Strict):
    """How many instances of each split. `train` and `validation` are drawn at the training (easy)
    difficulty."""

    train: int = Field(ge=1)
    validation: int = Field(ge=1)
    easy: int = Field(ge=1)
    medium: int = Field(ge=1)


class Limits(Strict):
    """What an episode may use. The same object in every arm."""

    turns: int = Field(ge=1)
    tool_calls: int = Field(ge=1, description="tool calls within one turn")
    wall_seconds: float = Field(gt=0, description="for one turn's code")
    cpu_seconds: int = Field(ge=1, description="for one turn's code")
    memory_mb: int = Field(ge=64)
    output_chars: int = Field(
        ge=100, description="of one observation; what is beyond is cut, which is shown"
    )


class InterpreterSettings(Strict):
    """How the interpreter treats a kill, and which of its protections this study does without."""

    after_kill: Literal["restore", "lose"] = Field(
        description="restore: a persistent episode continues from the state before the killed step; lose: from nothing"
    )
    without: tuple[Literal["files", "syscalls", "limits", "privileges"], ...] = Field(
        description="protections to do without on a machine that lacks them; see python -m knapsack_lib.interpreter"
    )


class PromptOptions(Strict):
    """What the agent reads about its runtime (a cue is shown in training exactly as in
    evaluation)."""

    style: Literal["brief", "full"]
    cue: Literal["none", "stated"]
    list_bindings: bool


class Gemini(Strict):
    """A teacher behind Google's API. Its key is no setting: GEMINI_API_KEY or GOOGLE_API_KEY, from
    the environment or .env."""

    model: str
    temperature: float = Field(ge=0, le=2)
    max_output_tokens: int = Field(
        ge=16, description="in one turn; thinking counts where the model thinks"
    )
    context: int = Field(ge=1024, description="tokens an episode may hold")
    concurrency: int = Field(ge=1, description="requests at once")
    attempts: int = Field(ge=1, description="of one request, before the run stops")
    timeout_seconds: float = Field(gt=0, description="of one request")
    budget_usd: float = Field(
        gt=0, description="of each regime: its run stops before a request that could go beyond it"
    )


class Teacher(Strict):
    """The scripted expert's settings count with policy scripted alone, `gemini` with policy gemini
    alone."""

    policy: Literal["scripted", "gemini"]
    slip_share: float = Field(
        ge=0, le=1, description="share of traces that contain a slip and its recovery"
    )
    batch_sizes: tuple[PositiveInt, ...] = Field(
        min_length=1, description="items inspected a turn; one is drawn per task"
    )
    style_variants: int = Field(
        ge=1, le=2, description="how many vocabularies of names the expert uses"
    )
    gemini: Gemini | None = None

    @model_validator(mode="after")
    def _has_its_section(self) -> Teacher:
        if (self.policy == "gemini") != (self.gemini is not None):
            raise ValueError("needs the section gemini exactly when policy is gemini")
        return self


class Base(Strict):
    """The pocket base: size, curriculum and optimisation. Lengths in tokens, rates per step."""

    seed: int = Field(ge=0)
    vocabulary: int = Field(ge=700)
    hidden: int = Field(ge=32)
    layers: int = Field(ge=1)
    heads: int = Field(ge=1)
    feed_forward: int = Field(ge=32)
    context: int = Field(ge=128)
    rope_theta: float = Field(gt=0)
    tokens: int = Field(ge=1)
    tokens_per_step: int = Field(ge=64)
    first_length: int = Field(ge=32)
    last_length: int = Field(ge=32)
    grow_until: float = Field(
        gt=0, le=1, description="share of the tokens after which documents have full size"
    )
    sessions_from: float = Field(
        ge=0, le=1, description="share of the growth before which documents only restate"
    )
    sessions_share: float = Field(ge=0, le=1)
    largest: int = Field(
        ge=2, description="things a document is about, at the end of the curriculum"
    )
    learning_rate: float = Field(gt=0)
    muon_learning_rate: float = Field(gt=0)
    decay_ratio: float = Field(gt=0, le=1)
    other_weight: float = Field(
        ge=0, description="loss weight of assistant text that is no copy (a copy has 1)"
    )
    shown_weight: float = Field(ge=0, description="loss weight of what the assistant is shown")
    threads: int = Field(ge=1)
    gate: float = Field(ge=0, le=1, description="held-out copy accuracy that must be reached")


class Training(Strict):
    """One fine-tune. Rates per step, lengths in tokens; a step takes `episodes_per_step` traces."""

    method: Literal["full", "lora", "qlora"]
    base: str
    steps: int = Field(ge=1)
    episodes_per_step: int = Field(ge=1)
    optimizer: Literal["muon", "adamw"]
    learning_rate: float = Field(gt=0)
    muon_learning_rate: float = Field(
        gt=0, description="Muon's rate for the matrices; unused with adamw"
    )
    weight_decay: float = Field(ge=0)
    warmup_ratio: float = Field(ge=0, lt=1)
    decay_ratio: float = Field(
        gt=0, le=1, description="last share of the steps over which the rate falls to zero"
    )
    max_tokens: int = Field(ge=64)
    lora_rank: int = Field(ge=1)
    lora_alpha: int = Field(ge=1)
    lora_dropout: float = Field(ge=0, lt=1)
    ema_decay: float = Field(
        ge=0, lt=1, description="0: none; else the decay of the running average of weights"
    )
    eval_steps: int = Field(ge=1, description="steps between validation losses and checkpoints")
    candidates: int = Field(
        ge=1, description="how many of the last checkpoints play the validation tasks"
    )
    bf16: bool
    threads: int = Field(ge=1)
    trainer: Literal["trl", "unsloth"] = "trl"
    schedule: Literal["hold", "cosine"] = Field(
        default="hold", description="after the warm-up; cosine falls to zero"
    )
    gradient_accumulation_steps: int = Field(
        default=1, ge=1, description="parts in which the episodes of a step are taken"
    )
    packing: bool = Field(
        default=False, description="several episodes in one row, none across its end"
    )
    choose: Literal["play", "loss"] = Field(
        default="play",
        description="a checkpoint by playing the validation tasks (pocket engine), or by their loss",
    )
    seeds: tuple[int, ...] = Field(
        default=(), description="of the adapters, in order; empty: drawn from the root seed"
    )

    @model_validator(mode="after")
    def _parts_are_whole(self) -> Training:
        if self.optimizer == "muon" and self.method != "full":
            raise ValueError(
                "optimizer = muon trains whole matrices: take adamw with lora and qlora"
            )
        if self.episodes_per_step % self.gradient_accumulation_steps:
            raise ValueError(
                f"episodes_per_step = {self.episodes_per_step} is no multiple of gradient_accumulation_steps = {self.gradient_accumulation_steps}"
            )
        return self


class Serving(Strict):
    """A server of the OpenAI protocol: vLLM that notebook 04 starts, or one that runs already at
    `url`."""

    dtype: Literal["bfloat16", "float16", "float32"]
    gpu_memory: float = Field(gt=0, le=1, description="share of the GPU's memory that vLLM takes")
    concurrency: int = Field(ge=1, description="episodes played at once")
    start_seconds: float = Field(gt=0, description="until the server must answer")
    timeout_seconds: float = Field(gt=0, description="of one request")
    agreement: float = Field(
        gt=0, description="largest difference of log-probabilities from PEFT's on the probes"
    )
    url: str = Field(
        default="", description="of a server that runs; empty: notebook 04 starts vLLM"
    )
    python: str = Field(
        default="",
        description="an interpreter that has vLLM; empty: the one that runs the notebook",
    )
    names: dict[str, str] = Field(
        default_factory=dict,
        description="what a server that runs calls base, persistent, reset, where it differs",
    )
    prompts: Literal["tokens", "messages"] = Field(
        default="tokens",
        description="token ids as training spells them (vLLM), or messages for the server's template",
    )


class Evaluation(Strict):
    """`serving` counts with engine server alone."""

    engine: Literal["pocket", "server"]
    temperature: float = Field(ge=0)
    max_new_tokens: int = Field(ge=8, description="in one turn")
    context: int = Field(ge=64, description="tokens an episode may hold")
    shard: int = Field(
        ge=1, description="episodes decoded together; the unit that is redone after a kill"
    )
    threads: int = Field(ge=1)
    serving: Serving | None = None

    @model_validator(mode="after")
    def _has_its_section(self) -> Evaluation:
        if (self.engine == "server") != (self.serving is not None):
            raise ValueError("needs the section serving exactly when engine is server")
        return self


class Gates(Strict):
    """What must hold in the aligned cells before anything is reported."""

    share_of_expert: float = Field(ge=0, le=1)
    finished: float = Field(ge=0, le=1)
    expert_turns: float = Field(ge=1, description="mean turns of the expert, so that state matters")


class Analysis(Strict):
    """How results are judged; fixed before they are seen. Changing it changes no episode."""

    resamples: int = Field(ge=100, description="of every bootstrap interval")
    level: float = Field(gt=0.5, lt=1, description="of every interval")
    alpha: float = Field(
        gt=0, lt=0.5, description="of every test, after Holm's correction over the family"
    )
    margin: float = Field(
        gt=0, lt=1, description="scores that differ by less count as equal (TOST)"
    )
    power: float = Field(
        gt=0.5, lt=1, description="at which the smallest detectable difference is given"
    )
