"""Unsloth's model for `trainer: unsloth`: the same base and the same adapters, with its kernels and
memory savings.

    model = load_model(base, setting, ["q_proj", ...], seed)     # a PEFT model; adapters are all that trains

Unsloth replaces parts of transformers, TRL and PEFT when it is imported, so it comes before them:
call `prepare()` first in the process. What a row teaches, the order of rows, the schedule and the
checkpoints are those of trainer.py.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from knapsack_lib.errors import UserError, installs
from knapsack_lib.profiles import Training

__all__ = ["load_model", "prepare"]

INSTALL = f"run: {installs('gpu')}, or set training.trainer: trl"


def prepare(setting: Training) -> Any:
    """Import Unsloth before what it replaces, and return the module.

    Raises UserError when it is not installed, finds no GPU, or the profile asks of it what is not
    done here.
    """
    if setting.method == "full" or setting.choose != "loss" or setting.ema_decay:
        raise UserError(
            "trainer: unsloth makes adapters (lora, qlora) chosen by loss, ema_decay 0; set trainer: trl"
        )
    try:
        return importlib.import_module("unsloth")
    except ImportError as error:
        raise UserError(f"Unsloth cannot be imported ({_line(error)}); {INSTALL}") from None
    except NotImplementedError as error:  # how it says that there is no GPU
        raise UserError(
            f"Unsloth: {_line(error)}; run on a GPU or set training.trainer: trl"
        ) from None


def load_model(base: Path, setting: Training, layers: list[str], seed: int) -> Any:
    """The base (NF4, double quantisation, with qlora) with fresh adapters on `layers`, drawn from
    `seed`.

    Raises UserError as `prepare` does.
    """
    import torch

    fast = prepare(setting).FastLanguageModel
    compute = torch.bfloat16 if setting.bf16 else torch.float32
    # The saving keeps activations in the host's memory, which needs a GPU to keep them from.
    saving = "unsloth" if torch.cuda.is_available() else True
    model, _ = fast.from_pretrained(
        str(base),
        max_seq_length=setting.max_tokens,
        dtype=compute,
        load_in_4bit=setting.method == "qlora",
        use_gradient_checkpointing=saving,
        random_state=seed,
        use_exact_model_name=True,
    )
    # Where bitsandbytes has no kernels it says so in a printed line, loads 16 bit and goes on.
    if setting.method == "qlora" and not getattr(model, "is_loaded_in_4bit", False):
        raise UserError(
            "Unsloth did not load the base in 4 bit (bitsandbytes has no kernels for this machine); mend that"
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


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
