"""The sections of a profile: what each setting means and which values it may take. Units are in the
names.

A field that came later has a default, which leaves the digest of profiles that do not name it as it
was.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

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
    "Mistakes",
    "Serving",
    "Strict",
    "TaskCounts",
    "Teacher",
    "Training",
    "Varied",
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
    """How many instances of each split, and where the test tasks are from. `train` and `validation` are drawn at the training (easy)
    difficulty."""

    train: int = Field(ge=1, description="tasks that the teacher's training traces are about")
    validation: int = Field(ge=1, description="tasks by which a checkpoint is chosen")
    easy: int = Field(ge=1, description="test tasks of the size trained on")
    medium: int = Field(ge=1, description="test tasks of the larger size")
    source: str = Field(
        default="",
        description="published task files in place of the test tasks: a folder, an archive or a data set id",
    )
    rules: Literal["published", "ours"] = Field(
        default="published",
        description="of tasks from a source, where the authors' rules differ from ours (an item may be taken unseen)",
    )


class Limits(Strict):
    """What an episode may use. The same object in every arm."""

    turns: int = Field(ge=1, description="turns of one episode")
    tool_calls: int = Field(ge=1, description="tool calls within one turn")
    wall_seconds: float = Field(gt=0, description="for one turn's code")
    cpu_seconds: int = Field(ge=1, description="for one turn's code")
    memory_mb: int = Field(ge=64, description="for one turn's code")
    output_chars: int = Field(
        ge=100, description="of one observation; what is beyond is cut, which is shown"
    )


class InterpreterSettings(Strict):
    """How the interpreter treats a kill, which of its protections this study does without, and
    what a block may import beside the standard library."""

    after_kill: Literal["restore", "lose"] = Field(
        description="restore: a persistent episode continues from the state before the killed step; lose: from nothing"
    )
    without: tuple[Literal["files", "syscalls", "limits", "privileges"], ...] = Field(
        description="protections to do without on a machine that lacks them; see python -m knapsack_lib.interpreter"
    )
    disk: Literal["persistent", "reset"] = Field(
        default="persistent",
        description="of a family whose world has files: whether they stay from one turn to the next or are as they began",
    )
    packages: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")], ...] = Field(
        default=(),
        description="installed distributions that a block may import, by name; what they need is named too",
    )


class PromptOptions(Strict):
    """What the agent reads about its runtime (a cue is shown in training exactly as in
    evaluation)."""

    style: Literal["brief", "full"] = Field(
        description="how much is explained: the short prompt of the pocket model, or the paper's kind"
    )
    cue: Literal["none", "stated"] = Field(
        description="whether the prompt states what survives from one block to the next"
    )
    list_bindings: bool = Field(
        description="whether every observation ends with the names that are still there"
    )


class Gemini(Strict):
    """A teacher behind Google's API. Its key is no setting: GEMINI_API_KEY or GOOGLE_API_KEY, from
    the environment or .env."""

    model: str = Field(description="as the API calls it")
    temperature: float = Field(ge=0, le=2, description="of sampling")
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


class Mistakes(Strict):
    """Of the varied teacher: the share of traces in which each kind is made once. A trace in which it fits nowhere has
    none."""

    helper: float = Field(0.0, ge=0, le=1, description="a function is used that was never defined")
    data: float = Field(0.0, ge=0, le=1, description="a variable is used that was never set")
    misspelt: float = Field(0.0, ge=0, le=1, description="a name is spelt wrongly")
    key: float = Field(0.0, ge=0, le=1, description="a wrong key, or text taken for an object")
    unparsed: float = Field(0.0, ge=0, le=1, description="no block, or two")
    refused: float = Field(0.0, ge=0, le=1, description="refusals are not caught")
    limit: float = Field(0.0, ge=0, le=1, description="more tool calls than a block may make")
    half: float = Field(0.0, ge=0, le=1, description="the first mend is wrong itself")


class Varied(Strict):
    """The varied teacher (families/varied/)."""

    variety: Literal["low", "mid", "high"] = Field(
        description="how far its choices go from the plainest ways, as a temperature would"
    )
    mistakes: Mistakes = Field(description="kinds of mistakes and their shares")


class Teacher(Strict):
    """`slip_share`, `batch_sizes` and `style_variants` count with policy scripted alone; `varied` and `gemini` are the
    sections of the policies of these names. `restarts` counts with policy varied."""

    policy: Literal["scripted", "varied", "gemini"] = Field(description="who writes the traces")
    slip_share: float = Field(
        ge=0, le=1, description="share of traces that contain a slip and its recovery"
    )
    batch_sizes: tuple[PositiveInt, ...] = Field(
        min_length=1, description="items inspected a turn; one is drawn per task"
    )
    style_variants: int = Field(
        ge=1, le=2, description="how many vocabularies of names the expert uses"
    )
    restarts: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of persistent traces in which the interpreter is lost once, unannounced",
    )
    varied: Varied | None = Field(default=None, description="with policy varied alone")
    gemini: Gemini | None = Field(default=None, description="with policy gemini alone")

    @model_validator(mode="after")
    def _has_its_section(self) -> Teacher:
        for name in ("varied", "gemini"):
            if (self.policy == name) != (getattr(self, name) is not None):
                raise ValueError(f"needs the section {name} exactly when policy is {name}")
        if self.restarts and self.policy != "varied":
            raise ValueError("restarts need policy varied, which restates what is lost")
        return self


class Base(Strict):
    """The pocket base: size, curriculum and optimisation. Lengths in tokens, rates per step."""

    seed: int = Field(ge=0, description="of every draw of its training")
    vocabulary: int = Field(ge=700, description="pieces of its tokenizer")
    hidden: int = Field(ge=32, description="width of the model")
    layers: int = Field(ge=1, description="transformer layers")
    heads: int = Field(ge=1, description="attention heads")
    feed_forward: int = Field(ge=32, description="width of the feed-forward layers")
    context: int = Field(ge=128, description="longest sequence")
    rope_theta: float = Field(gt=0, description="base of the rotary positions")
    tokens: int = Field(ge=1, description="trained on in all")
    tokens_per_step: int = Field(ge=64, description="in one optimiser step")
    first_length: int = Field(ge=32, description="of documents at the start of the curriculum")
    last_length: int = Field(ge=32, description="of documents at its end")
    grow_until: float = Field(
        gt=0, le=1, description="share of the tokens after which documents have full size"
    )
    sessions_from: float = Field(
        ge=0, le=1, description="share of the growth before which documents only restate"
    )
    sessions_share: float = Field(
        ge=0, le=1, description="share of documents that are whole sessions"
    )
    wide: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of documents that tell things by numbers, words and phrases, not by ids alone",
    )
    begins_from: str = Field(
        default="", description="a shipped base, whose tokenizer and weights it goes on from"
    )
    largest: int = Field(
        ge=2, description="things a document is about, at the end of the curriculum"
    )
    learning_rate: float = Field(gt=0, description="AdamW's rate")
    muon_learning_rate: float = Field(gt=0, description="Muon's rate for the matrices")
    decay_ratio: float = Field(
        gt=0, le=1, description="last share of the tokens over which the rate falls to zero"
    )
    other_weight: float = Field(
        ge=0, description="loss weight of assistant text that is no copy (a copy has 1)"
    )
    shown_weight: float = Field(ge=0, description="loss weight of what the assistant is shown")
    threads: int = Field(ge=1, description="of torch")
    bf16: bool = Field(default=True, description="whether to compute in bfloat16")
    gate: float = Field(ge=0, le=1, description="held-out copy accuracy that must be reached")


class Training(Strict):
    """One fine-tune. Rates per step, lengths in tokens; a step takes `episodes_per_step` traces."""

    method: Literal["full", "lora", "qlora"] = Field(
        description="full trains every weight, lora and qlora an adapter (qlora: on a base in 4 bits)"
    )
    base: str = Field(description="shipped base, folder or hub id")
    chat: Literal["chatml", "add", "own"] = Field(
        default="chatml",
        description="our marks, which the base has; our marks, added and trained; or the base's own template",
    )
    steps: int = Field(ge=1, description="optimiser steps")
    episodes_per_step: int = Field(ge=1, description="traces in one step")
    optimizer: Literal["muon", "adamw"] = Field(
        description="muon: matrices by Muon, the rest by AdamW"
    )
    learning_rate: float = Field(gt=0, description="AdamW's rate, at its highest")
    muon_learning_rate: float = Field(
        gt=0, description="Muon's rate for the matrices; unused with adamw"
    )
    weight_decay: float = Field(ge=0, description="of the optimiser")
    warmup_ratio: float = Field(
        ge=0, lt=1, description="first share of the steps over which the rate rises"
    )
    decay_ratio: float = Field(
        gt=0, le=1, description="last share of the steps over which the rate falls to zero"
    )
    max_tokens: int = Field(ge=64, description="longest trace")
    lora_rank: int = Field(ge=1, description="of an adapter")
    lora_alpha: int = Field(ge=1, description="of an adapter")
    lora_dropout: float = Field(ge=0, lt=1, description="of an adapter")
    ema_decay: float = Field(
        ge=0, lt=1, description="0: none; else the decay of the running average of weights"
    )
    eval_steps: int = Field(ge=1, description="steps between validation losses and checkpoints")
    candidates: int = Field(
        ge=1, description="how many of the last checkpoints play the validation tasks"
    )
    bf16: bool = Field(description="whether to compute in bfloat16")
    threads: int = Field(ge=1, description="of torch")
    trainer: Literal["trl", "unsloth"] = Field(
        default="trl", description="TRL's SFTTrainer, or Unsloth's model in it"
    )
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
    seeds: tuple[Annotated[int, Field(ge=0, strict=True)], ...] = Field(
        default=(), description="of the adapters, in order; empty: drawn from the root seed"
    )

    @model_validator(mode="after")
    def _parts_are_whole(self) -> Training:
        if self.optimizer == "muon" and self.method != "full":
            raise ValueError(
                "optimizer = muon trains whole matrices: take adamw with lora and qlora"
            )
        if self.chat == "add" and self.trainer == "unsloth":
            raise ValueError("chat = add trains rows of the embeddings: take trainer trl")
        if self.episodes_per_step % self.gradient_accumulation_steps:
            raise ValueError(
                f"episodes_per_step = {self.episodes_per_step} is no multiple of gradient_accumulation_steps = {self.gradient_accumulation_steps}"
            )
        return self


class Serving(Strict):
    """A server of the OpenAI protocol: vLLM that notebook 04 starts, or one that runs already at
    `url`."""

    dtype: Literal["bfloat16", "float16", "float32"] = Field(description="in which vLLM computes")
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

    engine: Literal["pocket", "server"] = Field(
        description="the model in this process, or a server"
    )
    temperature: float = Field(ge=0, description="of sampling; 0 takes the likeliest token")
    max_new_tokens: int = Field(ge=8, description="in one turn")
    context: int = Field(ge=64, description="tokens an episode may hold")
    shard: int = Field(
        ge=1, description="episodes decoded together; the unit that is redone after a kill"
    )
    threads: int = Field(ge=1, description="of torch")
    serving: Serving | None = Field(default=None, description="with engine server alone")

    @model_validator(mode="after")
    def _has_its_section(self) -> Evaluation:
        if (self.engine == "server") != (self.serving is not None):
            raise ValueError("needs the section serving exactly when engine is server")
        return self


class Gates(Strict):
    """What must hold in the aligned cells before anything is reported."""

    share_of_expert: float = Field(
        ge=0,
        le=1,
        description="least mean score of an aligned cell, as a share of the expert's on the same tasks",
    )
    finished: float = Field(
        ge=0, le=1, description="least share of its episodes that end by finish()"
    )
    expert_turns: float = Field(ge=1, description="mean turns of the expert, so that state matters")
    must_hold: bool = Field(
        default=True,
        description="whether the analysis ends in an error where a gate fails, or tells of it alone",
    )


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
