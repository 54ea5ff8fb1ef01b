"""The checkpoints of a training: which ones a resumed training may use, and how one becomes a
folder to serve.

    open_work(work, key)                              # keeps what a killed training left, where it can be used
    folder = export(trainer, profile, checkpoint)     # weights, config, tokenizer
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from knapsack_lib.chat import CHAT_TEMPLATE, chat_tokenizer
from knapsack_lib.files import path_digest, write_whole
from knapsack_lib.profiles import Profile
from knapsack_lib.training.marks import trained_base

# transformers and PEFT are imported in functions: Unsloth has to come first.

__all__ = [
    "AVERAGE",
    "COMPLETE",
    "checkpoints",
    "copy_tokenizer",
    "export",
    "lineage",
    "open_work",
    "read_key",
    "step_of",
]

COMPLETE = "complete"  # the last file of a checkpoint; one without it was cut short
AVERAGE = "average.safetensors"  # the running average of a checkpoint's weights


def read_key(folder: Path) -> str:
    """What the folder's contents were made from; "" where that is not written."""
    file = folder / "key"
    return file.read_text(encoding="utf-8").strip() if file.exists() else ""


def open_work(work: Path, key: str) -> None:
    """Make the folder of a training, and keep what is in it only when it was made from the same
    inputs and is whole."""
    if work.exists() and read_key(work) != key:
        shutil.rmtree(work)
    write_whole(work / "key", f"{key}\n")
    cut_short = [path for path in checkpoints(work) if not (path / COMPLETE).exists()]
    for folder in [*work.glob("candidate-*"), *cut_short]:
        shutil.rmtree(folder)


def checkpoints(work: Path) -> list[Path]:
    """Those of a training under way, by their steps."""
    return sorted(work.glob("checkpoint-*"), key=step_of)


def step_of(checkpoint: Path) -> int:
    """The optimiser step at which it was written."""
    return int(checkpoint.name.split("-")[1])


def export(trainer: Any, profile: Profile, checkpoint: Path) -> Path:
    """A checkpoint as a folder to serve, which is returned: weights, config, tokenizer; a PEFT
    adapter in `adapter`.

    An adapter is also merged into the base when the pocket engine is to play the validation tasks,
    and when it has rows of added marks, which servers do not take from an adapter; any other one
    that is chosen by loss is kept alone: its base is the one that the report names.
    """
    folder = checkpoint.with_name(f"candidate-{step_of(checkpoint)}")
    base, setting = trained_base(profile), profile.training
    _restore(trainer.model, checkpoint)
    if setting.method == "full":
        trainer.model.save_pretrained(folder)
    else:
        _save_adapter(trainer.model, profile, folder / "adapter")
        if setting.choose == "play" or setting.chat == "add":
            _merge(folder / "adapter", base, folder)
    copy_tokenizer(base, folder, chat_tokenizer(profile, base).template)
    return folder


def _restore(model: torch.nn.Module, checkpoint: Path) -> None:
    """Put a checkpoint's weights into the trained model: their running average where there is one."""
    average, adapter = checkpoint / AVERAGE, checkpoint / "adapter_model.safetensors"
    if average.exists():
        model.load_state_dict(load_file(average), strict=False)
    elif adapter.exists():
        from peft import set_peft_model_state_dict

        set_peft_model_state_dict(model, load_file(adapter))
    else:  # a tied weight is saved once and filled in at both places
        model.load_state_dict(load_file(checkpoint / "model.safetensors"), strict=False)


def _save_adapter(model: Any, profile: Profile, folder: Path) -> None:
    """The adapter by itself, its base named as in the profile: a path of this machine would mean
    nothing elsewhere."""
    model.save_pretrained(folder)
    file = folder / "adapter_config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = profile.training.base
    # PEFT writes target_modules from a set, in another order each time.
    config["target_modules"] = sorted(config["target_modules"])
    write_whole(file, json.dumps(config, indent=2, sort_keys=True) + "\n")
    (folder / "README.md").unlink(missing_ok=True)  # a model card with nothing filled in


def _merge(adapter: Path, base: Path, folder: Path) -> None:
    """Merge into a copy of the base in full precision, not into the trained model."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    whole = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    PeftModel.from_pretrained(whole, adapter).merge_and_unload().save_pretrained(folder)


def copy_tokenizer(base: Path, folder: Path, template: str = CHAT_TEMPLATE) -> None:
    """The base's tokenizer with the template that training follows, whatever template the base
    brings."""
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        if (base / name).exists():
            shutil.copyfile(base / name, folder / name)
    write_whole(folder / "chat_template.jinja", template)


def lineage(model: torch.nn.Module, profile: Profile) -> dict[str, Any]:
    """What an adapter was trained on: the base's name and SHA-256 of its files, what of it was
    quantised and how.

    Read from the model that was trained, not from the settings. Numbers are of weights; `kept`
    counts those that were not quantised.
    """
    base = trained_base(profile)
    files = sorted(
        path
        for path in base.iterdir()
        if path.name == "config.json" or path.suffix == ".safetensors" or ".index." in path.name
    )
    kept, trained = Counter[str](), Counter[str]()
    for weight in model.parameters():
        if not _is_packed(weight):
            dtype = str(weight.dtype).removeprefix("torch.")
            (trained if weight.requires_grad else kept)[dtype] += weight.numel()
    # Its own parameter: PEFT's layer around a quantised one shows the same weight again.
    packed: list[Any] = [m for m in model.modules() if _is_packed(m._parameters.get("weight"))]
    how: dict[str, Any] = {"bits": 16 if set(kept) <= {"bfloat16", "float16"} else 32}
    if packed:
        state = packed[0].weight.quant_state
        how = {
            "bits": 4,
            "type": state.quant_type,
            "double": state.nested,
            "block": state.blocksize,
            "compute": str(packed[0].compute_dtype).removeprefix("torch."),
            "layers": len(packed),
            "weights": sum(layer.weight.quant_state.shape.numel() for layer in packed),
        }
    return {
        "base": {
            "name": profile.training.base,
            "sha256": {path.name: path_digest(path) for path in files},
        },
        "quantised": how | {"kept": dict(kept)},
        "trained": dict(trained),
        "trainer": profile.training.trainer,
    }


def _is_packed(weight: object) -> bool:
    """Whether bitsandbytes has quantised it to 4 bit."""
    return type(weight).__name__ == "Params4bit"
