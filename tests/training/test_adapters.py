"""Fine-tuning through TRL: every method trains, resumes and exports what the engine serves."""

import importlib.util
import json
import os
import re
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from knapsack_lib.errors import UserError, installs
from knapsack_lib.profiles import Cell
from knapsack_lib.training import unsloth
from knapsack_lib.training.adapters import fine_tune

RESET, PERSISTENT = (Cell("knapsack", t, t, "easy", 1) for t in ("reset", "persistent"))


def test_full_fine_tuning_lowers_the_loss_and_moves_every_matrix(scratch, base):
    run = scratch("full", steps=8, eval_steps=4)
    report = fine_tune(run, RESET, "key")
    losses = [row["validation_loss"] for row in report["curve"] if "validation_loss" in row]
    assert losses[-1] < losses[0] and report["chosen_step"] in (4, 8)
    before, after = (
        load_file(base / "model.safetensors"),
        load_file(run.adapter(RESET) / "model.safetensors"),
    )
    assert before.keys() == after.keys()
    assert all(not torch.equal(before[name], after[name]) for name in before)


def test_both_arms_see_the_same_tasks_in_the_same_order_for_the_same_number_of_steps(scratch):
    run = scratch("arms", steps=2, eval_steps=2)
    reports = {cell.train: fine_tune(run, cell, "key") for cell in (PERSISTENT, RESET)}
    assert reports["persistent"]["steps"] == reports["reset"]["steps"] == 2
    assert reports["persistent"]["traces"] == reports["reset"]["traces"] == 9
    assert reports["reset"]["tokens_seen"] > reports["persistent"]["tokens_seen"] > 0


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_an_adapter_trains_and_is_merged_into_what_is_served(scratch, base, method):
    run = scratch(
        method,
        method=method,
        steps=3,
        eval_steps=3,
        optimizer="adamw",
        learning_rate=0.01,
        lora_rank=8,
    )
    report = fine_tune(run, PERSISTENT, "key")
    folder = run.adapter(PERSISTENT)
    adapter = load_file(folder / "adapter" / "adapter_model.safetensors")
    assert any(bool(weight.any()) for name, weight in adapter.items() if "lora_B" in name)
    before, after = (
        load_file(base / "model.safetensors"),
        load_file(folder / "model.safetensors"),
    )
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {
        name
        for name in before
        if name.split(".")[-2]
        in ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    }
    sums = dict(
        line.split("  ")[::-1]
        for line in (base / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    )
    assert report["base"]["name"] == "pocket-base"
    assert report["base"]["sha256"]["model.safetensors"] == sums["model.safetensors"]
    assert report["trained"] == {"float32": sum(w.numel() for w in adapter.values())}
    how = report["quantised"]
    if method == "qlora":
        assert (how["bits"], how["type"], how["double"], how["compute"]) == (
            4,
            "nf4",
            True,
            "bfloat16",
        )
        assert how["layers"] == len(moved) and how["weights"] == sum(
            before[name].numel() for name in moved
        )
    else:
        assert how == {"bits": 32, "kept": {"float32": sum(w.numel() for w in before.values())}}


RESUMABLE = """
import os, sys
from knapsack_lib.profiles import Cell, load_profile
from knapsack_lib.training import adapters, trainer

def killed_while_saving(weights, path, save=trainer.save_file):
    if "checkpoint-8" in str(path):
        os.kill(os.getpid(), 9)
    save(weights, path)

if sys.argv[1] == "killed":
    trainer.save_file = killed_while_saving
smoke = load_profile("smoke")
setting = smoke.training.model_copy(update={"steps": 12, "eval_steps": 4})
limits = smoke.evaluation.model_copy(update={"context": 400, "max_new_tokens": 40})
changed = {"name": "broken", "training": setting, "evaluation": limits}
run = smoke.model_copy(update=changed).run()
adapters.fine_tune(run, Cell("knapsack", "reset", "reset", "easy", 1), "key")
"""


def test_a_training_killed_inside_a_checkpoint_ends_with_the_same_weights(scratch):
    """The worst moment: the Trainer has written its part of the second checkpoint, the average is
    not there yet."""
    runs = [scratch(name, steps=12, eval_steps=4) for name in ("whole", "broken")]
    whole, broken = (run.adapter(RESET) for run in runs)
    fine_tune(runs[0], RESET, "key")
    command = [sys.executable, "-c", RESUMABLE]
    assert subprocess.run([*command, "killed"], env=os.environ, timeout=300).returncode == -9
    assert not broken.exists()
    work = broken.with_name("reset.work")
    assert (work / "checkpoint-8" / "trainer_state.json").exists()
    assert [p.parent.name for p in work.glob("*/complete")] == ["checkpoint-4"]
    assert subprocess.run([*command, "resumed"], env=os.environ, timeout=300).returncode == 0
    for name in ("model.safetensors", "training.json"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize(
    "left, kept",
    [({"key": "key\n"}, False), ({}, False), ({"key": "other settings\n"}, True)],
    ids=str,
)
def test_checkpoints_that_a_kill_after_the_end_of_a_training_left_go_with_the_next_start(
    project, smoke, left, kept
):
    """The adapter was in its place, the checkpoints not yet removed. Those of other settings stay:
    their training may be continued."""
    run = smoke.run()
    adapter, work = run.adapter(RESET), run.root / "adapters" / "reset.work"
    for folder, files in (
        (adapter, {"key": "key\n", "training.json": "{}"}),
        (work / "checkpoint-8", {}),
        (work, left),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    assert fine_tune(run, RESET, "key") == {}
    assert adapter.exists() and work.exists() == kept


def test_parts_and_packing_make_the_same_update_as_one_batch(scratch, base):
    shared = {
        "steps": 2,
        "eval_steps": 2,
        "bf16": False,
        "ema_decay": 0.0,
        "optimizer": "adamw",
        "choose": "loss",
    }
    weights = {}
    for name, more in (
        ("one", {}),
        ("parts", {"gradient_accumulation_steps": 3}),
        ("packed", {"packing": True}),
    ):
        run = scratch(name, **shared, **more)
        report = fine_tune(run, RESET, "key")
        weights[name] = load_file(run.adapter(RESET) / "model.safetensors")
        assert report["chosen_by"] == "validation loss" and "validation_play" not in report
    start = load_file(base / "model.safetensors")
    for key, one in weights["one"].items():
        moved = (one - start[key]).norm()
        assert moved > 0
        for other in ("parts", "packed"):
            assert (weights[other][key] - one).norm() < 0.02 * moved, (other, key)


def test_chosen_by_loss_the_best_checkpoint_is_kept_though_it_is_old_and_its_adapter_is_alone(
    scratch,
):
    """The first step has rate 0 and the others ruin the model, so that the best adapter is the
    untouched one."""
    run = scratch(
        "best",
        method="lora",
        steps=4,
        eval_steps=1,
        candidates=1,
        optimizer="adamw",
        learning_rate=3.0,
        lora_rank=4,
        schedule="cosine",
        warmup_ratio=0.3,
        ema_decay=0.0,
        choose="loss",
    )
    report = fine_tune(run, RESET, "key")
    losses = report["validation_loss"]
    assert set(losses) == {"1", "2", "3", "4"} and report["chosen_step"] == 1 == int(
        min(losses, key=losses.get)
    )
    adapter = load_file(run.adapter(RESET) / "adapter" / "adapter_model.safetensors")
    assert not any(bool(weight.any()) for name, weight in adapter.items() if "lora_B" in name)
    assert not (run.adapter(RESET) / "model.safetensors").exists()
    config = json.loads(
        (run.adapter(RESET) / "adapter" / "adapter_config.json").read_text(encoding="utf-8")
    )
    assert (config["base_model_name_or_path"], config["r"]) == ("pocket-base", 4)


def test_what_a_stack_cannot_do_is_refused_in_one_line(scratch, smoke):
    with pytest.raises(UserError, match="ema_decay: 0"):
        fine_tune(scratch("averaged", choose="loss"), RESET, "key")
    with pytest.raises(UserError, match="trainer: trl"):
        fine_tune(scratch("played", trainer="unsloth", method="qlora"), RESET, "key")
    if importlib.util.find_spec("unsloth") is None:
        with pytest.raises(UserError, match=re.escape(installs("gpu"))):
            unsloth.prepare(
                smoke.training.model_copy(
                    update={"method": "qlora", "choose": "loss", "ema_decay": 0.0}
                )
            )
