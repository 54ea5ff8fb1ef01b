"""Unsloth's model for `trainer: unsloth`: the same base and the same adapters, with its kernels and
memory savings.

    model = load_model(base, setting, ["q_proj", ...], seed)     # a PEFT model; only its adapters are trained

Unsloth replaces parts of transformers, TRL and PEFT when it is imported, so it must be imported
before them: call `prepare()` first in the process. Labels, the order of rows, the schedule and the
checkpoints are those of trainer.py.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from knapsack_lib.errors import UserError, installs
from knapsack_lib.profiles import Training

__all__ = ["load_model", "prepare"]


def prepare(setting: Training) -> Any:
    """Import Unsloth before what it replaces, and return the module.

    Raises UserError when it is not installed or finds no GPU, and for settings that are not
    supported with it.
    """
    if setting.method == "full" or setting.choose != "loss" or setting.ema_decay:
        raise UserError(
            "trainer: unsloth makes adapters (lora, qlora) chosen by loss, ema_decay 0; set trainer: trl"
        )
    try:
        return importlib.import_module("unsloth")
    # It raises NotImplementedError where there is no GPU.
    except (ImportError, NotImplementedError) as error:
        line = " ".join(str(error).split())[:200]
        missing = isinstance(error, ImportError)
        remedy = f"run: {installs('gpu')}," if missing else "run on a GPU"
        what = f"Unsloth cannot be imported ({line})" if missing else f"Unsloth: {line}"
        raise UserError(f"{what}; {remedy} or set training.trainer: trl") from None


def load_model(base: Path, setting: Training, layers: list[str], seed: int) -> Any:
    """The base (NF4, double quantisation, with qlora) with fresh adapters on `layers`, drawn from
    `seed`. Raises UserError as `prepare` does."""
    import torch

    fast = prepare(setting).FastLanguageModel
    # Unsloth's saving moves activations to the host's memory, which needs a GPU to move them from.
    saving = "unsloth" if torch.cuda.is_available() else True
    model, _ = fast.from_pretrained(
        str(base),
        max_seq_length=setting.max_tokens,
        dtype=torch.bfloat16 if setting.bf16 else torch.float32,
        load_in_4bit=setting.method == "qlora",
        use_gradient_checkpointing=saving,
        random_state=seed,
        use_exact_model_name=True,
    )
    # Where bitsandbytes has no kernels, Unsloth prints a line, loads 16 bit and continues.
    if setting.method == "qlora" and not getattr(model, "is_loaded_in_4bit", False):
        raise UserError(
            "Unsloth did not load the base in 4 bit: bitsandbytes has no kernels for this machine; "
            "install a build that has, or set training.method: lora"
        )
    return fast.get_peft_model(
        model,
        r=setting.lora_rank,
        lora_alpha=setting.lora_alpha,
        lora_dropout=setting.lora_dropout,
        target_modules=layers,
        bias="none",
        use_gradient_checkpointing=saving,
        random_state=seed,
    )
