"""Training of the pocket model: tokens that are no padding, next to a plain transformers Trainer.

The same conversations in the same batches and in the same precision, one thread each. What is ours:
no mask for padding, so that attention may skip the upper half. What slows ours: Muon next
to AdamW, an average of the weights, and what TRL computes besides the loss; the plain Trainer has
its own AdamW.
"""

from __future__ import annotations

import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from measure import Row, best
from scratch import ScratchRun, aligned, teach

from knapsack_lib.hub import base_folder
from knapsack_lib.profiles import Profile, Run, Training, load_profile
from knapsack_lib.training.adapters import tokenized_traces
from knapsack_lib.training.examples import TokenizedEpisode
from knapsack_lib.training.trainer import build_trainer, dataset, row_order

PART = "training of the pocket model"


def rows(tiny: bool) -> Iterator[Row]:
    warnings.simplefilter("ignore")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    steps = 1 if tiny else 12
    with tempfile.TemporaryDirectory() as place:
        run = _traces(steps, Path(place))
        arms = {train: _arm(run, train, 1 if tiny else 3) for train in ("persistent", "reset")}
    for row, _ in arms.values():
        yield row
    tokens, ours, plain, left = (
        sum(column) for column in zip(*(spent for _, spent in arms.values()), strict=True)
    )
    yield Row(
        PART,
        "both arms of a study",
        tokens / ours,
        "tokens/s",
        ratio=plain / ours,
        against="the same",
        wanted=">= 1.5",
    )
    yield Row(
        PART,
        "the same",
        tokens / ours,
        "tokens/s",
        ratio=left / ours,
        against="transformers' Trainer as it comes, in float32: another precision",
    )


def _traces(steps: int, place: Path) -> Run:
    """A run with the teacher's traces for that many steps."""
    profile = load_profile("pocket")
    wanted = {"steps": steps, "eval_steps": 10_000}
    profile = profile.model_copy(update={"training": profile.training.model_copy(update=wanted)})
    run = ScratchRun(profile, profile.seed, place)
    teach(run, {"train": steps * profile.training.episodes_per_step, "validation": 1})
    return run


def _arm(run: Run, train: str, repeats: int) -> tuple[Row, tuple[float, ...]]:
    """The row, and (useful tokens, our seconds, the plain Trainer's in our precision and in
    float32)."""
    examples, held_out = tokenized_traces(run, aligned(train))
    order = row_order(run, 1, len(examples))
    useful, part = (
        sum(len(examples[i].input_ids) for i in order),
        run.profile.training.episodes_per_step,
    )
    lengths = [
        [len(examples[i].input_ids) for i in order[k : k + part]]
        for k in range(0, len(order), part)
    ]
    padded = sum(len(group) * max(group) for group in lengths)
    setting, rows = run.profile.training, [examples[i] for i in order]
    steps: dict[str, list[float]] = {"ours": [], "plain": [], "float32": []}
    for _ in range(repeats):  # in turn
        steps["ours"].append(sum(_ours(run, examples, held_out)))
        steps["plain"].append(sum(_plain(run.profile, setting, rows)))
        steps["float32"].append(
            sum(_plain(run.profile, setting.model_copy(update={"bf16": False}), rows))
        )
    found = {name: statistics.median(seconds) for name, seconds in steps.items()}
    floor, why = _floor(run.profile, useful)
    row = Row(
        PART,
        f"{train} traces, {useful / len(order):,.0f} tokens each",
        useful / found["ours"],
        "tokens/s",
        useful / floor,
        why,
        found["plain"] / found["ours"],
        f"transformers' Trainer and its AdamW, the same padded batches, with a mask; {_precision(run.profile)} and "
        f"{1 - useful / padded:.0%} padding, which is not counted, in both",
    )
    return row, (useful, *found.values())


def _precision(profile: Profile) -> str:
    """What products are computed in; the weights are float32."""
    return "bfloat16" if profile.training.bf16 else "float32"


def _clock() -> Any:
    """A callback that has the seconds of every step in `seconds`."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        seconds: list[float] = []

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.seconds = [*self.seconds, time.perf_counter() - self.began]

    return Clock()


def _ours(
    run: Run, examples: list[TokenizedEpisode], held_out: list[TokenizedEpisode]
) -> list[float]:
    with tempfile.TemporaryDirectory() as place:
        trainer = build_trainer(run, 1, Path(place), (examples, held_out))
        trainer.args.save_strategy = trainer.args.eval_strategy = "no"
        trainer.add_callback(clock := _clock())
        trainer.train()
    return clock.seconds


def _plain(profile: Profile, setting: Training, examples: list[TokenizedEpisode]) -> list[float]:
    from transformers import (
        AutoModelForCausalLM,
        AutoTokenizer,
        DataCollatorForSeq2Seq,
        PrinterCallback,
        Trainer,
    )

    base = base_folder(profile)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    with tempfile.TemporaryDirectory() as place:
        collator = DataCollatorForSeq2Seq(AutoTokenizer.from_pretrained(base))
        clock = _clock()
        trainer = Trainer(
            model=model,
            args=_plain_arguments(setting, place),
            train_dataset=dataset(examples),
            data_collator=collator,
            callbacks=[clock],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return clock.seconds


def _plain_arguments(setting: Training, place: str) -> Any:
    """Whatever a step costs is as in knapsack_lib.training.trainer; the rest is left as
    transformers has it."""
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=place,
        max_steps=setting.steps,
        per_device_train_batch_size=setting.episodes_per_step
        // setting.gradient_accumulation_steps,
        gradient_accumulation_steps=setting.gradient_accumulation_steps,
        bf16=setting.bf16,
        use_cpu=not torch.cuda.is_available(),
        learning_rate=setting.learning_rate,
        weight_decay=setting.weight_decay,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        logging_steps=10_000,
        train_sampling_strategy="sequential",
    )


def _floor(profile: Profile, tokens: int) -> tuple[float, str]:
    """Seconds at six operations for each weight and token, at the rate of a matrix product of this
    model's size."""
    from safetensors.torch import load_file

    weights = sum(
        t.numel()
        for t in load_file(base_folder(profile) / "model.safetensors").values()
        if t.ndim == 2
    )
    wide, inner, length = profile.base.hidden, profile.base.feed_forward, 2048
    left, right = (
        torch.randn(shape).to(getattr(torch, _precision(profile)))
        for shape in ((length, wide), (wide, inner))
    )
    rate = 2 * length * wide * inner / best(lambda: left @ right, 30)
    return (
        6 * weights * tokens / rate,
        f"6 operations a weight and token at {rate / 1e9:.0f} GFLOP/s, a {_precision(profile)} product's; without attention",
    )
