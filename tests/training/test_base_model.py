"""The shipped base is the one that its files describe."""

import hashlib
import json

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from knapsack_lib.profiles.settings import RENAMED
from knapsack_lib.training.base_model import copy_accuracy, save_base, train_base


def test_the_shipped_base_is_the_one_its_report_and_hashes_describe(pocket, base):
    for line in (base / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((base / name).read_bytes()).hexdigest() == digest, name
    report = json.loads((base / "report.json").read_text(encoding="utf-8"))
    settings = {RENAMED.get(name, name): value for name, value in report["settings"].items()}
    assert settings == pocket.base.model_dump(exclude_defaults=True)
    assert report["held_out_copy_accuracy"] >= pocket.base.gate >= 0.999
    assert "knapsack" in report["never_saw"]
    assert sum(p.stat().st_size for p in base.iterdir()) < 6_000_000


def test_the_shipped_base_copies_what_it_is_shown_on_documents_drawn_here(pocket, base, chat):
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    result = copy_accuracy(model, chat, pocket.base.model_copy(update={"seed": 12345}), rows=8)
    assert result["held_out_copied_tokens"] > 1000
    # The report's 0.999 is over five times as many tokens.
    assert result["held_out_copy_accuracy"] >= 0.998


def test_a_base_made_twice_is_the_same_and_lists_the_hashes_of_its_files(smoke, base, tmp_path):
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        model, report = train_base(tokenizer, smoke.base.model_copy(update={"tokens": 8000}))
        save_base(folder, tokenizer, model, report)
    sums, again = ((folder / "SHA256SUMS").read_bytes() for folder in folders)
    assert sums == again and report["tokens"] >= 8000 and report["held_out_copied_tokens"] > 0
    for line in sums.decode().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((folders[0] / name).read_bytes()).hexdigest() == digest
