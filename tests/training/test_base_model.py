"""The shipped base is the one that its files describe."""

import ast
import hashlib
import json
import re

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from knapsack_lib.chat import ChatTokenizer
from knapsack_lib.hub import base_folder
from knapsack_lib.profiles import Base, load_profile
from knapsack_lib.profiles.settings import RENAMED
from knapsack_lib.training.base_model import (
    base_tokenizer,
    copy_accuracy,
    save_base,
    train_base,
)
from knapsack_lib.training.sessions import document


@pytest.fixture(params=["pocket", "families-base"])
def shipped(request):
    """(profile of a shipped base, its folder)"""
    profile = load_profile(request.param)
    return profile, base_folder(profile)


def test_a_shipped_base_is_the_one_its_report_and_hashes_describe(shipped):
    profile, base = shipped
    for line in (base / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((base / name).read_bytes()).hexdigest() == digest, name
    report = json.loads((base / "report.json").read_text(encoding="utf-8"))
    settings = {RENAMED.get(name, name): value for name, value in report["settings"].items()}
    assert Base(**settings) == profile.base
    assert report["held_out_copy_accuracy"] >= profile.base.gate >= 0.95
    assert "knapsack" in report["never_saw"]
    assert sum(p.stat().st_size for p in base.iterdir()) < 6_000_000


def test_a_shipped_base_copies_what_it_is_shown_on_documents_drawn_here(shipped):
    profile, base = shipped
    chat = ChatTokenizer(Tokenizer.from_file(str(base / "tokenizer.json")))
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    result = copy_accuracy(model, chat, profile.base.model_copy(update={"seed": 12345}), rows=8)
    assert result["held_out_copied_tokens"] > 1000
    # The report's is over five times as many tokens.
    assert result["held_out_copy_accuracy"] >= profile.base.gate - 0.001


def test_wide_documents_restate_what_was_shown():
    """Every span that is marked as a copy stands in what was shown before it, line for line."""
    rng, copied, kinds = np.random.default_rng(4), 0, set()
    for _ in range(300):
        before = ""
        for _, text, spans in document(rng, 8, 0.4, wide=1.0):
            for start, end in spans:
                for line in text[start:end].split("\n"):
                    name, _, value = line.partition(" = ")
                    if value and not re.match(r"\s|for |print|def ", line):
                        copied += f"{name} {value}" in before or value.rstrip(".") in before
                        kinds.add(type(ast.literal_eval(value)))
                        assert value.rstrip(".") in before, (line, before)
            before += f"\n{text}"
    assert copied > 500 and kinds >= {int, str, list, dict}


def test_a_base_goes_on_from_a_shipped_one(base):
    """A step from it changes its weights a little, and none of its pieces."""
    profile = load_profile("families-base")
    tokenizer = base_tokenizer(profile)
    assert tokenizer.to_str() == Tokenizer.from_file(str(base / "tokenizer.json")).to_str()
    settings = profile.base.model_copy(update={"tokens": 4096, "threads": 1, "last_length": 512})
    model, _ = train_base(tokenizer, settings)
    first = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).state_dict()
    moved = [(model.state_dict()[name] - first[name]).abs().max().item() for name in first]
    assert 0 < max(moved) < 0.05


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
