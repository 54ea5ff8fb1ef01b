"""A base that lacks the marks of our chat format, with them (`training.chat: add`).

    base = trained_base(profile)      # the base's folder itself, where nothing has to be added

The marks become special tokens of the tokenizer, and the embeddings get a row for each. A row begins
as the mean of those of the pieces in which the base spelled the mark before, so that the folder is
the same each time it is made. Training moves these rows with the adapter and keeps them in it (PEFT's
trainable_token_indices); the whole folder is what every model of the study begins from.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from knapsack_lib.chat import CHAT_TEMPLATE, MARKS
from knapsack_lib.files import path_digest, write_whole
from knapsack_lib.hub import base_folder
from knapsack_lib.profiles import Profile

__all__ = ["mark_ids", "save_with_marks", "trained_base"]


def trained_base(profile: Profile) -> Path:
    """The folder of the model that training begins from and that plays the base's cells. With `add`
    it is runs/<profile>/base, made anew when the base has changed."""
    base = base_folder(profile)
    if profile.training.chat != "add":
        return base
    folder, key = profile.run().marked_base, path_digest(base)
    made = folder / "key"
    if not made.exists() or made.read_text(encoding="utf-8").strip() != key:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix="base.", suffix=".part", dir=folder.parent))
        try:
            save_with_marks(base, part)
            write_whole(part / "key", f"{key}\n")
            shutil.rmtree(folder, ignore_errors=True)
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return folder


def save_with_marks(base: Path, folder: Path) -> None:
    """Write the base with the marks that it lacks: weights, config, tokenizer, our template."""
    import torch
    from tokenizers import AddedToken
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(base)
    known = tokenizer.get_vocab()
    spelled = {
        mark: tokenizer.encode(mark, add_special_tokens=False)
        for mark in MARKS
        if mark not in known
    }
    fresh = [AddedToken(mark, special=True, normalized=False) for mark in spelled]
    tokenizer.add_tokens(fresh, special_tokens=True)
    tokenizer.eos_token = MARKS[1]
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)

    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype="auto")
    ids = {mark: tokenizer.convert_tokens_to_ids(mark) for mark in MARKS}
    rows = max(model.get_input_embeddings().num_embeddings, *(i + 1 for i in ids.values()))
    model.resize_token_embeddings(rows, mean_resizing=False)
    with torch.no_grad():
        for layer in {model.get_input_embeddings(), model.get_output_embeddings()}:
            for mark, pieces in spelled.items():
                layer.weight[ids[mark]] = layer.weight[pieces].float().mean(0)
    for config in (model.config, model.generation_config):
        config.eos_token_id = ids[MARKS[1]]
    model.save_pretrained(folder)


def mark_ids(base: Path, model: Any) -> dict[str, list[int]]:
    """Rows to train, for PEFT: per layer the ids of the marks. A tied output layer follows its
    input."""
    from tokenizers import Tokenizer

    tokenizer: Any = Tokenizer.from_file(str(base / "tokenizer.json"))
    ids = sorted(tokenizer.token_to_id(mark) for mark in MARKS)
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    names = {layer: name.split(".")[-1] for name, layer in model.named_modules()}
    layers = [model.get_input_embeddings(), *([] if tied else [model.get_output_embeddings()])]
    return {names[layer]: ids for layer in layers}
