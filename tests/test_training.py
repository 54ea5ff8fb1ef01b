"""Fine-tuning through TRL: every method trains, resumes and exports what the engine serves; the shipped base is as claimed."""

import hashlib
import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from knapsack_lib.agent import Cast
from knapsack_lib.families.base import write_tasks
from knapsack_lib.families.knapsack import make_tasks
from knapsack_lib.policies.scripted import ScriptedPolicy
from knapsack_lib.profiles import Run, load_profile, project_root
from knapsack_lib.rollouts import play_tasks
from knapsack_lib.training.adapters import fine_tune
from knapsack_lib.training.base_model import copy_accuracy
from knapsack_lib.training.conversations import Wording, base_folder

SMOKE, POCKET = load_profile("smoke"), load_profile("pocket")


class _ScratchRun(Run):
    folder = None

    @property
    def root(self):
        return self.folder


@pytest.fixture
def scratch(tmp_path):
    """Makes a run in a scratch folder: 9 training and 2 validation tasks with their traces in both regimes."""

    def make(name: str, **training):
        limits = SMOKE.evaluation.model_copy(update={"context": 400, "max_new_tokens": 40})
        setting = SMOKE.training.model_copy(update=training)
        run = _ScratchRun(SMOKE.model_copy(update={"training": setting, "evaluation": limits}), 1)
        object.__setattr__(run, "folder", tmp_path / name)
        tasks = {
            split: make_tasks("pocket-easy", n, seed=1, split=split) for split, n in (("train", 9), ("validation", 2))
        }
        for split, group in tasks.items():
            write_tasks(run.tasks(split), group)
        for regime in ("persistent", "reset"):
            play_tasks(
                [t for group in tasks.values() for t in group], ScriptedPolicy(regime, SMOKE.teacher),
                Cast("teacher", regime, "easy"), SMOKE, run.teacher(regime), "key", seed=1, shard=11,
            )  # fmt: skip
        return run

    return make


def test_full_fine_tuning_lowers_the_loss_and_moves_every_matrix(scratch):
    run = scratch("full", steps=8, check_every=4)
    report = fine_tune(run, "reset", "key")
    losses = [row["validation_loss"] for row in report["curve"] if "validation_loss" in row]
    assert losses[-1] < losses[0] and report["chosen_step"] in (4, 8)
    before, after = (
        load_file(base_folder(SMOKE) / "model.safetensors"),
        load_file(run.adapter("reset") / "model.safetensors"),
    )
    assert before.keys() == after.keys()
    assert all(not torch.equal(before[name], after[name]) for name in before)


def test_both_arms_see_the_same_tasks_in_the_same_order_for_the_same_number_of_steps(scratch):
    run = scratch("arms", steps=2, check_every=2)
    reports = {arm: fine_tune(run, arm, "key") for arm in ("persistent", "reset")}
    assert reports["persistent"]["steps"] == reports["reset"]["steps"] == 2
    assert reports["persistent"]["traces"] == reports["reset"]["traces"] == 9
    assert reports["reset"]["tokens_seen"] > reports["persistent"]["tokens_seen"] > 0


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_an_adapter_trains_and_is_merged_into_what_is_served(scratch, method):
    run = scratch(method, method=method, steps=3, check_every=3, optimizer="adamw", learning_rate=0.01, lora_rank=8)
    fine_tune(run, "persistent", "key")
    folder = run.adapter("persistent")
    adapter = load_file(folder / "adapter" / "adapter_model.safetensors")
    assert any(bool(weight.any()) for name, weight in adapter.items() if "lora_B" in name)
    before, after = load_file(base_folder(SMOKE) / "model.safetensors"), load_file(folder / "model.safetensors")
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {name for name in before if name.split(".")[-2] in (
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")}  # fmt: skip


RESUMABLE = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_training import SMOKE, _ScratchRun
from knapsack_lib.training import adapters

def killed_while_saving(weights, path, save=adapters.save_file):
    if "checkpoint-8" in str(path):
        os.kill(os.getpid(), 9)
    save(weights, path)

if sys.argv[3] == "killed":
    adapters.save_file = killed_while_saving
setting = SMOKE.training.model_copy(update={"steps": 12, "check_every": 4})
limits = SMOKE.evaluation.model_copy(update={"context": 400, "max_new_tokens": 40})
run = _ScratchRun(SMOKE.model_copy(update={"training": setting, "evaluation": limits}), 1)
object.__setattr__(run, "folder", Path(sys.argv[2]))
adapters.fine_tune(run, "reset", "key")
"""


def test_a_training_killed_inside_a_checkpoint_ends_with_the_same_weights(scratch):
    """The worst moment: the Trainer has written its part of the second checkpoint, the average is not there yet."""
    whole, broken = (scratch(name, steps=12, check_every=4) for name in ("whole", "broken"))
    fine_tune(whole, "reset", "key")
    command = [sys.executable, "-c", RESUMABLE, str(project_root() / "tests"), str(broken.root)]
    assert subprocess.run([*command, "killed"], timeout=300).returncode == -9
    assert not broken.adapter("reset").exists()
    work = broken.root / "adapters" / "reset.work"
    assert (work / "checkpoint-8" / "trainer_state.json").exists()
    assert [p.parent.name for p in work.glob("*/complete")] == ["checkpoint-4"]
    assert subprocess.run([*command, "resumed"], timeout=300).returncode == 0
    for name in ("model.safetensors", "training.json"):
        assert (broken.adapter("reset") / name).read_bytes() == (whole.adapter("reset") / name).read_bytes()


def test_the_shipped_base_is_the_one_its_report_and_hashes_describe():
    folder = base_folder(POCKET)
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
    report = json.loads((folder / "report.json").read_text())
    assert report["settings"] == POCKET.base.model_dump()
    assert report["held_out_copy_accuracy"] >= POCKET.base.gate >= 0.999
    assert "knapsack" in report["never_saw"]
    assert sum(p.stat().st_size for p in folder.iterdir()) < 6_000_000


def test_the_shipped_base_copies_what_it_is_shown_on_documents_drawn_here():
    from transformers import AutoModelForCausalLM

    folder = base_folder(POCKET)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    wording = Wording(Tokenizer.from_file(str(folder / "tokenizer.json")))
    result = copy_accuracy(model, wording, POCKET.base.model_copy(update={"seed": 12345}), rows=8)
    assert result["held_out_copied_tokens"] > 1000
    assert result["held_out_copy_accuracy"] >= 0.998  # the report's 0.999 is over five times as many tokens
