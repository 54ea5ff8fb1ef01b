"""The trainer of one adapter: rows and labels, model, optimiser, schedule, checkpoints. The same for
both training stacks.

    trainer = build_trainer(run, train_seed, work, examples, progress)     # a TRL SFTTrainer, ready to train

What a row teaches comes from `encode_episode` alone: no stack renders text again. `trainer:
unsloth` takes model and trainer class from unsloth.py; all else here is shared.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from torch.nn.utils.rnn import pad_sequence
from torch.optim.lr_scheduler import LambdaLR
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    get_cosine_schedule_with_warmup,
)
from trl.trainer import sft_config, sft_trainer

from knapsack_lib.profiles import Run, Training
from knapsack_lib.progress import Show
from knapsack_lib.rollouts import silent
from knapsack_lib.training import unsloth
from knapsack_lib.training.checkpoints import AVERAGE, COMPLETE
from knapsack_lib.training.examples import TokenizedEpisode
from knapsack_lib.training.marks import mark_ids, trained_base
from knapsack_lib.training.optimizers import muon_with_adamw

__all__ = ["LAYERS", "Rows", "build_trainer", "dataset", "hold", "row_order"]

# Environment variables, by their beginnings, from which accelerate would take another precision, or
# wait for other processes: what a launcher has left there
LAUNCHERS = (
    "ACCELERATE_",
    "RANK",
    "WORLD_SIZE",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "PMI_",
    "OMPI_COMM_",
    "MV2_COMM_",
)
LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def build_trainer(
    run: Run,
    train_seed: int,
    work: Path,
    examples: tuple[list[TokenizedEpisode], list[TokenizedEpisode]],
    progress: Show = silent,
) -> Any:
    """A trainer whose checkpoints go to `work`, with the initial adapter and the order of rows of
    `train_seed`. `examples` are those of training and of validation.

    Raises UserError when the stack that the profile names is not installed.
    """
    for name in [name for name in os.environ if name.startswith(LAUNCHERS)]:
        del os.environ[name]  # the profile alone says how it is trained, by one process
    setting, base = run.profile.training, trained_base(run.profile)
    # The same in both arms: the same initial adapter.
    seed = run.training_seed("fine-tune", train_seed) % 2**31
    # Unsloth puts classes of its own in the place of TRL's, so it comes before TRL's configuration.
    fast = setting.trainer == "unsloth"
    model = unsloth.load_model(base, setting, LAYERS, seed) if fast else _model(base, setting)
    tokenizer = AutoTokenizer.from_pretrained(base)
    if tokenizer.pad_token is None:  # any will do: what is padded is neither seen nor learned
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    longest = setting.max_tokens if setting.packing else 0
    rows = Rows(tokenizer.pad_token_id, longest, in_one_row=fast)
    training, validation = examples
    order = row_order(run, train_seed, len(training))
    kind = _WholeHead if setting.chat == "add" else sft_trainer.SFTTrainer
    trainer = kind(
        model=model,
        args=_config(setting, work, seed),
        processing_class=tokenizer,
        data_collator=rows,
        train_dataset=dataset([training[i] for i in order]),
        eval_dataset=dataset(validation),
        peft_config=None if fast else _lora(setting, base, model),
        callbacks=[_Follow(progress, setting.ema_decay)],
    )
    trainer.remove_callback(PrinterCallback)  # a curve shows more than a page of dicts
    trainer.data_collator = rows  # Unsloth may have put another in its place
    trained: Any = trainer.model
    # TRL makes the adapters of a quantised model bfloat16, which loses small late steps.
    for _, weight in _trained(trained):
        weight.data = weight.data.float()
    trainer.optimizer = _optimizer(trained, setting)
    if setting.schedule == "cosine":
        warm = math.ceil(setting.warmup_ratio * setting.steps)
        trainer.lr_scheduler = get_cosine_schedule_with_warmup(
            trainer.optimizer, warm, setting.steps
        )
    else:
        trainer.lr_scheduler = LambdaLR(trainer.optimizer, lambda step: hold(step, setting))
    return trainer


def row_order(run: Run, train_seed: int, traces: int) -> list[int]:
    """Which trace each row of training is: whole passes in a drawn order, the same in both arms."""
    setting = run.profile.training
    rng = np.random.Generator(np.random.PCG64(run.training_seed("training order", train_seed)))
    rows = setting.steps * setting.episodes_per_step
    passes = [rng.permutation(traces) for _ in range(-(-rows // traces))]
    return np.concatenate(passes)[:rows].tolist()


def dataset(examples: list[TokenizedEpisode]) -> Dataset:
    """Examples as the trainer takes them, an episode a row. Labels are made here, so that no stack
    can make others."""
    return Dataset.from_dict(
        {"input_ids": [e.input_ids for e in examples], "labels": [e.labels for e in examples]}
    )


class _WholeHead(sft_trainer.SFTTrainer):
    """With the model's own loss, which takes more memory: TRL's fused one multiplies by the output
    layer's weights alone, past the rows that are trained beside them."""

    def compute_loss(self, *args: Any, **given: Any) -> Any:
        return Trainer.compute_loss(self, *args, **given)


class Rows(sft_trainer.DataCollatorForLanguageModeling):
    """Episodes of one part of a step as a batch, padded on the right.

    Padding stays unmasked: under causal attention nothing sees what is padded on its right, and
    without a mask the kernel may skip the upper half (docs/log.md has the gain). With `longest` > 0
    (tokens), episodes share rows of at most that length, or one row as long as it takes with
    `in_one_row`, which Unsloth's kernels need; each begins again at position 0, which keeps them
    from seeing one another. Each part of a step is packed by itself, so that a step holds the same
    episodes, and the same labels, packed or not.
    """

    def __init__(self, pad_token_id: int, longest: int = 0, in_one_row: bool = False):
        super().__init__(pad_token_id)
        self.longest, self.in_one_row = longest, in_one_row

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Tensors of (rows, tokens): input_ids, labels (-100: no loss), attention_mask; packed:
        position_ids instead."""
        rows = [[example] for example in examples]
        if self.longest:
            rows = [examples] if self.in_one_row else _first_fit(examples, self.longest)

        def column(values: Callable[[dict[str, Any]], Iterable[int]], padding: int) -> torch.Tensor:
            ids = [torch.tensor([i for e in row for i in values(e)]) for row in rows]
            return pad_sequence(ids, batch_first=True, padding_value=padding)

        batch = {
            "input_ids": column(itemgetter("input_ids"), self.pad_token_id),
            "labels": column(itemgetter("labels"), -100),
        }
        if not self.longest:
            return batch | {"attention_mask": torch.ones_like(batch["input_ids"])}
        # Without a mask, which would hide from the model where episodes begin.
        batch["position_ids"] = column(lambda example: range(len(example["input_ids"])), 0)
        if self.in_one_row:
            lengths = [len(example["input_ids"]) for example in examples]
            batch["packed_seq_lengths"] = torch.tensor(lengths, dtype=torch.int32)
        return batch


def _first_fit(examples: list[dict[str, Any]], longest: int) -> list[list[dict[str, Any]]]:
    """Each example in the first row that has room for it."""
    rows: list[list[dict[str, Any]]] = []
    for example in examples:
        room = (row for row in rows if sum(len(e["input_ids"]) for e in [*row, example]) <= longest)
        if (row := next(room, None)) is None:
            rows.append(row := [])
        row.append(example)
    return rows


def _config(setting: Training, work: Path, seed: int) -> Any:
    parts = setting.gradient_accumulation_steps
    part = setting.episodes_per_step // parts
    best: dict[str, Any] = {}
    if setting.choose == "loss":  # keeps the best checkpoint as well as the last ones
        best = {"metric_for_best_model": "eval_loss", "greater_is_better": False}
    return sft_config.SFTConfig(
        output_dir=str(work),
        max_steps=setting.steps,
        per_device_train_batch_size=part,
        per_device_eval_batch_size=1 if setting.packing else 4 if parts == 1 else part,
        gradient_accumulation_steps=parts,
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
    bits = None
    if setting.method == "qlora":
        bits = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    frozen = torch.bfloat16 if bits and setting.bf16 else torch.float32
    return AutoModelForCausalLM.from_pretrained(
        base, quantization_config=bits, dtype=frozen, attn_implementation="sdpa"
    )


def _lora(setting: Training, base: Path, model: Any) -> LoraConfig | None:
    if setting.method == "full":
        return None
    return LoraConfig(
        r=setting.lora_rank,
        lora_alpha=setting.lora_alpha,
        lora_dropout=setting.lora_dropout,
        target_modules=LAYERS,
        trainable_token_indices=mark_ids(base, model) if setting.chat == "add" else None,
        task_type="CAUSAL_LM",
    )


def hold(step: int, setting: Training) -> float:
    """The schedule `hold`: the learning rate before `step` (from 0) as a share of the highest. It
    rises linearly in the warm-up, stays, then falls linearly to 2% over the last `decay_ratio` of
    the steps."""
    rising = (step + 1) / max(1.0, setting.warmup_ratio * setting.steps)
    falling = (1 - step / setting.steps) / setting.decay_ratio
    return min(1.0, rising, max(0.02, falling))


def _optimizer(model: torch.nn.Module, setting: Training) -> torch.optim.Optimizer:
    learning_rate, decay = setting.learning_rate, setting.weight_decay
    if setting.optimizer == "muon":
        return muon_with_adamw(model, setting.muon_learning_rate, learning_rate, decay)
    weights = [weight for _, weight in _trained(model)]
    return torch.optim.AdamW(weights, lr=learning_rate, weight_decay=decay)


class _Follow(TrainerCallback):
    """Shows progress and keeps a running average of the trained weights (Polyak 1992), which is
    less noisy than the last ones. Its `on_save` is the last thing written to a checkpoint: the
    average (with `decay` > 0), then the file that marks the checkpoint as complete."""

    def __init__(self, progress: Show, decay: float):
        self._progress, self._decay = progress, decay
        self._mean: dict[str, torch.Tensor] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self._decay:
            saved = _checkpoint(args, state) / AVERAGE
            weights = _trained(given["model"])
            self._mean = (
                load_file(saved)
                if saved.exists()
                else {name: weight.detach().clone() for name, weight in weights}
            )

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self._decay:
            decay = min(self._decay, (1 + state.global_step) / (10 + state.global_step))
            for name, weight in _trained(given["model"]):
                self._mean[name].lerp_(weight.detach(), 1 - decay)
        self._progress(state.global_step, state.max_steps)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        checkpoint = _checkpoint(args, state)
        if self._decay:
            save_file(self._mean, checkpoint / AVERAGE)
        (checkpoint / COMPLETE).touch()


def _checkpoint(args: Any, state: Any) -> Path:
    return Path(args.output_dir) / f"checkpoint-{state.global_step}"


def _trained(model: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    return [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
