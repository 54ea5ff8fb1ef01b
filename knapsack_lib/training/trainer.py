"""The trainer of one adapter: rows and labels, model, optimiser, schedule, callbacks. The same for
both training stacks.

    trainer = build_trainer(run, train_seed, work, talks, held_out, progress)     # a TRL SFTTrainer, ready to train

What a row teaches comes from `encode_episode` alone: no stack renders text again. `trainer:
unsloth` takes model and trainer class from unsloth.py; all else here is shared.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PrinterCallback,
    TrainerCallback,
)
from trl.trainer import sft_config, sft_trainer

from knapsack_lib.hub import base_folder
from knapsack_lib.profiles import Run, Training
from knapsack_lib.training import unsloth
from knapsack_lib.training.base_model import optimizers_for
from knapsack_lib.training.examples import TokenizedEpisode

__all__ = ["LAYERS", "Rows", "build_trainer", "dataset", "rate", "row_order"]

COMPLETE = "complete"  # the last file of a checkpoint; without it the checkpoint is half a one
AVERAGE = "average.safetensors"
LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def build_trainer(
    run: Run,
    train_seed: int,
    work: Path,
    examples: list[TokenizedEpisode],
    held_out: list[TokenizedEpisode],
    progress: Callable[[int, int], None],
) -> Any:
    """A trainer whose checkpoints go to `work`, with the initial adapter and the order of rows of
    `train_seed`.

    Raises UserError when the stack that the profile names is not installed.
    """
    setting = run.profile.training
    base = base_folder(run.profile)
    # The same in both arms: same initial adapter
    seed = run.training_seed("fine-tune", train_seed) % 2**31
    if (
        setting.trainer == "unsloth"
    ):  # before the configuration below: it puts its own classes in the place of TRL's
        model, lora = unsloth.load_model(base, setting, LAYERS, seed), None
    else:
        model, lora = _model(base, setting), _lora(setting)
    callbacks: list[TrainerCallback] = [_Progress(progress)]
    if setting.ema_decay:
        callbacks.append(_Average(setting.ema_decay))
    callbacks.append(_Complete())  # after what else writes into a checkpoint
    tokenizer = AutoTokenizer.from_pretrained(base)
    rows = Rows(tokenizer.pad_token_id, longest=setting.max_tokens if setting.packing else 0)
    rows.in_one_row = setting.trainer == "unsloth"
    trainer = sft_trainer.SFTTrainer(
        model=model,
        args=_config(setting, work, seed),
        processing_class=tokenizer,
        data_collator=rows,
        train_dataset=dataset([examples[i] for i in row_order(run, train_seed, len(examples))]),
        eval_dataset=dataset(held_out),
        peft_config=lora,
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)  # a curve says more than a page of dicts
    trainer.data_collator = rows  # Unsloth may have put another in its place
    trained: Any = trainer.model
    for weight in trained.parameters():
        if (
            weight.requires_grad
        ):  # TRL makes the adapters of a quantised model bfloat16, which loses small late steps
            weight.data = weight.data.float()
    trainer.optimizer = _optimizer(trained, setting)
    trainer.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
        trainer.optimizer, lambda step: rate(step, setting)
    )
    return trainer


def row_order(run: Run, train_seed: int, traces: int) -> list[int]:
    """Which trace each row of training is: whole passes in a drawn order, the same in both arms."""
    setting = run.profile.training
    rng = np.random.Generator(np.random.PCG64(run.training_seed("training order", train_seed)))
    rows = setting.steps * setting.episodes_per_step
    passes = [rng.permutation(traces) for _ in range(-(-rows // traces))]
    return np.concatenate(passes)[:rows].tolist()


def dataset(examples: list[TokenizedEpisode]) -> Dataset:
    """Conversations as the trainer takes them, an episode a row. Labels are made here, so that no
    stack can make others."""
    return Dataset.from_dict(
        {
            "input_ids": [t.input_ids for t in examples],
            "labels": [
                [i if learn else -100 for i, learn in zip(t.input_ids, t.mask, strict=True)]
                for t in examples
            ],
        }
    )


class Rows(sft_trainer.DataCollatorForLanguageModeling):
    """Episodes of one part of a step as a batch, padded on the right.

    Padding stays unmasked: under causal attention nothing sees what is padded on its right, and
    without a mask the kernel may skip the upper half (docs/log.md has the gain). With `longest` > 0
    (tokens), episodes share rows of at most that length, and begin again at position 0, which keeps
    them from seeing one another. Parts are packed by themselves, so that a step holds the same
    episodes, and the same labels, packed or not.
    """

    in_one_row = False  # Unsloth's kernels take packed episodes one after another in a single row, by their lengths

    def __init__(self, pad_token_id: int, longest: int = 0):
        super().__init__(pad_token_id)
        self.longest = longest

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Tensors of (rows, tokens): input_ids, labels (-100: no loss), attention_mask; packed:
        position_ids instead."""
        if not self.longest:
            batch = super().torch_call(examples)
            batch["attention_mask"] = torch.ones_like(batch["attention_mask"])
            return batch
        rows = [examples] if self.in_one_row else _first_fit(examples, self.longest)
        batch = super().torch_call(
            [{key: _joined(row, key) for key in ("input_ids", "labels")} for row in rows]
        )
        del batch["attention_mask"]  # a mask would hide from the model where episodes begin
        positions = [np.concatenate([np.arange(len(e["input_ids"])) for e in row]) for row in rows]
        batch["position_ids"] = torch.zeros_like(batch["input_ids"])
        for at, row in zip(batch["position_ids"], positions, strict=True):
            at[: len(row)] = torch.from_numpy(row)
        if self.in_one_row:
            batch["packed_seq_lengths"] = torch.tensor(
                [len(e["input_ids"]) for e in examples], dtype=torch.int32
            )
        return batch


def _first_fit(examples: list[dict[str, Any]], longest: int) -> list[list[dict[str, Any]]]:
    """Each example in the first row that has room for it."""
    rows: list[list[dict[str, Any]]] = []
    for example in examples:
        size = len(example["input_ids"])
        room = (row for row in rows if sum(len(e["input_ids"]) for e in row) + size <= longest)
        row = next(room, None)
        rows.append([example]) if row is None else row.append(example)
    return rows


def _joined(row: list[dict[str, Any]], key: str) -> list[int]:
    """One list of all examples. The first token of an episode is nobody's to predict, so it has no
    label."""
    return [
        -100 if key == "labels" and i == 0 else value for e in row for i, value in enumerate(e[key])
    ]


def _config(setting: Training, work: Path, seed: int) -> Any:
    part = setting.episodes_per_step // setting.gradient_accumulation_steps
    best: dict[str, Any] = {}
    if setting.choose == "loss":  # keeps the best checkpoint beside the last ones
        best = {"metric_for_best_model": "eval_loss", "greater_is_better": False}
    return sft_config.SFTConfig(
        output_dir=str(work),
        max_steps=setting.steps,
        per_device_train_batch_size=part,
        per_device_eval_batch_size=1
        if setting.packing
        else 4
        if setting.gradient_accumulation_steps == 1
        else part,
        gradient_accumulation_steps=setting.gradient_accumulation_steps,
        learning_rate=setting.learning_rate,
        weight_decay=setting.weight_decay,
        max_length=setting.max_tokens,
        packing=False,
        padding_free=False,
        seed=seed,
        data_seed=seed,
        use_cpu=not torch.cuda.is_available(),
        bf16=setting.bf16,
        eval_strategy="steps",
        eval_steps=setting.eval_steps,
        save_steps=setting.eval_steps,
        save_strategy="steps",
        save_total_limit=setting.candidates + 1,
        logging_steps=min(10, setting.eval_steps),
        report_to="none",
        train_sampling_strategy="sequential",
        disable_tqdm=True,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_grad_norm=1.0,
        dataloader_num_workers=0,
        gradient_checkpointing=setting.method == "qlora" or setting.trainer == "unsloth",
        **best,
    )


def _model(base: Path, setting: Training) -> Any:
    """The base model of the TRL path: frozen weights in what they are computed in, trained ones in
    float32."""
    quantised = None
    if setting.method == "qlora":
        quantised = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    frozen = torch.bfloat16 if setting.method == "qlora" and setting.bf16 else torch.float32
    return AutoModelForCausalLM.from_pretrained(
        base, quantization_config=quantised, dtype=frozen, attn_implementation="sdpa"
    )


def _lora(setting: Training) -> LoraConfig | None:
    if setting.method == "full":
        return None
    return LoraConfig(
        r=setting.lora_rank,
        lora_alpha=setting.lora_alpha,
        lora_dropout=setting.lora_dropout,
        target_modules=LAYERS,
        task_type="CAUSAL_LM",
    )


def rate(step: int, setting: Training) -> float:
    """The learning rate before `step` (from 0), as a share of the highest.

    hold: warm up linearly, hold, then fall linearly to 2% over the last `decay_ratio` of the steps.
    cosine: as transformers has it: from 0, linearly up over the warm-up, then half a cosine down to
    0 at the last step.
    """
    if setting.schedule == "cosine":
        warm = math.ceil(setting.warmup_ratio * setting.steps)
        if step < warm:
            return step / warm
        return 0.5 * (
            1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, setting.steps - warm)))
        )
    rising = (step + 1) / max(1.0, setting.warmup_ratio * setting.steps)
    falling = (1 - step / setting.steps) / setting.decay_ratio
    return min(1.0, rising, max(0.02, falling))


class _Joint(torch.optim.Optimizer):
    """Two optimisers over disjoint weights as one, so that a Trainer can drive Muon beside AdamW."""

    def __init__(self, parts: list[torch.optim.Optimizer]):
        self.parts = parts
        super().__init__(
            [p for part in parts for group in part.param_groups for p in group["params"]], {}
        )
        # Shared: one schedule for both
        self.param_groups = [group for part in parts for group in part.param_groups]

    def step(self, closure: Any = None) -> Any:
        for part in self.parts:
            part.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for part, saved in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(saved)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def _optimizer(model: torch.nn.Module, setting: Training) -> torch.optim.Optimizer:
    if setting.optimizer == "adamw":
        weights = [p for p in model.parameters() if p.requires_grad]
        return torch.optim.AdamW(
            weights, lr=setting.learning_rate, weight_decay=setting.weight_decay
        )
    return _Joint(
        optimizers_for(
            model, setting.muon_learning_rate, setting.learning_rate, setting.weight_decay
        )
    )


class _Progress(TrainerCallback):
    def __init__(self, progress: Callable[[int, int], None]):
        self._progress = progress

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._progress(state.global_step, state.max_steps)


class _Average(TrainerCallback):
    """A running average of the trained weights (Polyak 1992), saved with every checkpoint: less
    noisy than the last."""

    def __init__(self, decay: float):
        self._decay = decay
        self._mean: dict[str, torch.Tensor] = {}

    def on_train_begin(
        self, args: Any, state: Any, control: Any, model: Any = None, **_: Any
    ) -> None:
        saved = Path(args.output_dir) / f"checkpoint-{state.global_step}" / AVERAGE
        self._mean = (
            load_file(saved)
            if saved.exists()
            else {n: p.detach().clone() for n, p in _trained(model)}
        )

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        decay = min(self._decay, (1 + state.global_step) / (10 + state.global_step))
        for name, weight in _trained(model):
            self._mean[name].lerp_(weight.detach(), 1 - decay)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        save_file(self._mean, Path(args.output_dir) / f"checkpoint-{state.global_step}" / AVERAGE)


class _Complete(TrainerCallback):
    """Marks a checkpoint once the Trainer and the callbacks before this one have written all of it."""

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        (Path(args.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE).touch()


def _trained(model: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    return [(n, p) for n, p in model.named_parameters() if p.requires_grad]
