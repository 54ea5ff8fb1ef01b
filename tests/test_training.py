"""Fine-tuning through TRL: every method trains, resumes and exports what the engine serves; the
shipped base is as claimed."""

import hashlib
import importlib.util
import json
import re
import subprocess
import sys
from collections import Counter

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from knapsack_lib.agent import Cast
from knapsack_lib.chat import ChatTokenizer
from knapsack_lib.errors import UserError, installs
from knapsack_lib.families.knapsack import make_tasks
from knapsack_lib.families.task_files import write_tasks
from knapsack_lib.files import project_root
from knapsack_lib.hub import base_folder
from knapsack_lib.policies.scripted import ScriptedPolicy
from knapsack_lib.profiles import Run, load_profile
from knapsack_lib.rollouts import play_tasks
from knapsack_lib.training import unsloth
from knapsack_lib.training.adapters import fine_tune, tokenized_traces
from knapsack_lib.training.base_model import copy_accuracy
from knapsack_lib.training.trainer import Rows, build_trainer, rate, row_order

SMOKE, POCKET = load_profile("smoke"), load_profile("pocket")


class _ScratchRun(Run):
    folder = None

    @property
    def root(self):
        return self.folder


@pytest.fixture
def scratch(tmp_path):
    """Makes a run in a scratch folder: 9 training and 2 validation tasks with their traces in both
    regimes."""

    def make(name: str, **training):
        limits = SMOKE.evaluation.model_copy(update={"context": 400, "max_new_tokens": 40})
        setting = SMOKE.training.model_copy(update=training)
        run = _ScratchRun(SMOKE.model_copy(update={"training": setting, "evaluation": limits}), 1)
        object.__setattr__(run, "folder", tmp_path / name)
        tasks = {
            split: make_tasks("pocket-easy", n, seed=1, split=split)
            for split, n in (("train", 9), ("validation", 2))
        }
        for split, group in tasks.items():
            write_tasks(run.tasks(split), group)
        for regime in ("persistent", "reset"):
            play_tasks(
                [t for group in tasks.values() for t in group],
                ScriptedPolicy(regime, SMOKE.teacher),
                Cast("teacher", regime, "easy"),
                SMOKE,
                run.teacher(regime),
                "key",
                seed=1,
                shard=11,
            )
        return run

    return make


def test_full_fine_tuning_lowers_the_loss_and_moves_every_matrix(scratch):
    run = scratch("full", steps=8, eval_steps=4)
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
    run = scratch("arms", steps=2, eval_steps=2)
    reports = {arm: fine_tune(run, arm, "key") for arm in ("persistent", "reset")}
    assert reports["persistent"]["steps"] == reports["reset"]["steps"] == 2
    assert reports["persistent"]["traces"] == reports["reset"]["traces"] == 9
    assert reports["reset"]["tokens_seen"] > reports["persistent"]["tokens_seen"] > 0


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_an_adapter_trains_and_is_merged_into_what_is_served(scratch, method):
    run = scratch(
        method,
        method=method,
        steps=3,
        eval_steps=3,
        optimizer="adamw",
        learning_rate=0.01,
        lora_rank=8,
    )
    report = fine_tune(run, "persistent", "key")
    folder = run.adapter("persistent")
    adapter = load_file(folder / "adapter" / "adapter_model.safetensors")
    assert any(bool(weight.any()) for name, weight in adapter.items() if "lora_B" in name)
    before, after = (
        load_file(base_folder(SMOKE) / "model.safetensors"),
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
        for line in (base_folder(SMOKE) / "SHA256SUMS").read_text().splitlines()
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
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_training import SMOKE, _ScratchRun
from knapsack_lib.training import adapters, trainer

def killed_while_saving(weights, path, save=trainer.save_file):
    if "checkpoint-8" in str(path):
        os.kill(os.getpid(), 9)
    save(weights, path)

if sys.argv[3] == "killed":
    trainer.save_file = killed_while_saving
setting = SMOKE.training.model_copy(update={"steps": 12, "eval_steps": 4})
limits = SMOKE.evaluation.model_copy(update={"context": 400, "max_new_tokens": 40})
run = _ScratchRun(SMOKE.model_copy(update={"training": setting, "evaluation": limits}), 1)
object.__setattr__(run, "folder", Path(sys.argv[2]))
adapters.fine_tune(run, "reset", "key")
"""


def test_a_training_killed_inside_a_checkpoint_ends_with_the_same_weights(scratch):
    """The worst moment: the Trainer has written its part of the second checkpoint, the average is
    not there yet."""
    whole, broken = (scratch(name, steps=12, eval_steps=4) for name in ("whole", "broken"))
    fine_tune(whole, "reset", "key")
    command = [sys.executable, "-c", RESUMABLE, str(project_root() / "tests"), str(broken.root)]
    assert subprocess.run([*command, "killed"], timeout=300).returncode == -9
    assert not broken.adapter("reset").exists()
    work = broken.root / "adapters" / "reset.work"
    assert (work / "checkpoint-8" / "trainer_state.json").exists()
    assert [p.parent.name for p in work.glob("*/complete")] == ["checkpoint-4"]
    assert subprocess.run([*command, "resumed"], timeout=300).returncode == 0
    for name in ("model.safetensors", "training.json"):
        assert (broken.adapter("reset") / name).read_bytes() == (
            whole.adapter("reset") / name
        ).read_bytes()


@pytest.mark.parametrize(
    "left, kept",
    [({"key": "key\n"}, False), ({}, False), ({"key": "other settings\n"}, True)],
    ids=str,
)
def test_what_a_kill_after_the_end_of_a_training_left_goes_with_the_next_start(
    tmp_path, left, kept
):
    """The adapter was in its place, the checkpoints not yet removed; those of other settings may be
    gone on with."""
    run = _ScratchRun(SMOKE, 1)
    object.__setattr__(run, "folder", tmp_path)
    adapter, work = run.adapter("reset"), run.root / "adapters" / "reset.work"
    for folder, files in (
        (adapter, {"key": "key\n", "training.json": "{}"}),
        (work / "checkpoint-8", {}),
        (work, left),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text)
    assert fine_tune(run, "reset", "key") == {}
    assert adapter.exists() and work.exists() == kept


def loss_tokens(batch) -> Counter:
    """(token before, token that carries loss) with its number."""
    found = Counter()
    for ids, labels in zip(batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True):
        found.update((ids[i - 1], label) for i, label in enumerate(labels) if label != -100)
    return found


def test_labels_are_the_masks_of_the_conversations(scratch):
    run = scratch("labels")
    examples, held_out = tokenized_traces(run, "reset")
    trainer = build_trainer(run, 1, run.root / "work", examples, held_out, lambda done, total: None)
    order = row_order(run, 1, len(examples))
    assert len(trainer.train_dataset) == len(order)
    for row, example in [
        *zip(trainer.train_dataset, (examples[i] for i in order), strict=True),
        *zip(trainer.eval_dataset, held_out, strict=True),
    ]:
        assert row["input_ids"] == example.input_ids
        assert row["labels"] == [
            i if learn else -100 for i, learn in zip(example.input_ids, example.mask, strict=True)
        ]


@pytest.mark.parametrize("in_one_row", [False, True])
def test_packing_keeps_every_label_and_no_row_is_too_long(scratch, in_one_row):
    examples = tokenized_traces(scratch("rows"), "reset")[0]
    sizes = [len(t.input_ids) for t in examples]
    rows = [
        {
            "input_ids": t.input_ids,
            "labels": [i if m else -100 for i, m in zip(t.input_ids, t.mask, strict=True)],
        }
        for t in examples
    ]
    longest = 2 * max(sizes)
    packer = Rows(0, longest=longest)
    packer.in_one_row = in_one_row
    packed, plain = packer(rows), Rows(0)(rows)
    assert loss_tokens(packed) == loss_tokens(plain) and sum(loss_tokens(plain).values()) == sum(
        sum(t.mask) for t in examples
    )
    starts = (packed["position_ids"] == 0) & (packed["input_ids"] != 0)
    assert "attention_mask" not in packed and int(starts.sum()) == len(examples)
    if in_one_row:
        assert packed["packed_seq_lengths"].tolist() == sizes and packed["input_ids"].shape == (
            1,
            sum(sizes),
        )
    else:
        assert len(packed["input_ids"]) < len(examples) and packed["input_ids"].shape[1] <= longest


def test_parts_and_packing_make_the_same_update_as_one_batch(scratch):
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
        report = fine_tune(run, "reset", "key")
        weights[name] = load_file(run.adapter("reset") / "model.safetensors")
        assert report["chosen_by"] == "validation loss" and "validation_play" not in report
    start = load_file(base_folder(SMOKE) / "model.safetensors")
    for key, one in weights["one"].items():
        moved = (one - start[key]).norm()
        assert moved > 0
        for other in ("parts", "packed"):
            assert (weights[other][key] - one).norm() < 0.02 * moved, (other, key)


@pytest.mark.parametrize(("steps", "share"), [(100, 0.03), (7, 0.3), (5, 0.0)])
def test_the_cosine_is_that_of_transformers(steps, share):
    from transformers import get_cosine_schedule_with_warmup

    setting = SMOKE.training.model_copy(
        update={"schedule": "cosine", "steps": steps, "warmup_ratio": share}
    )
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = get_cosine_schedule_with_warmup(
        optimizer, -(-int(share * 1000) * steps // 1000), steps
    )
    for step in range(steps):
        assert rate(step, setting) == pytest.approx(theirs.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        theirs.step()
    assert rate(steps, setting) == pytest.approx(0, abs=1e-12)


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
    report = fine_tune(run, "reset", "key")
    losses = report["validation_loss"]
    assert set(losses) == {"1", "2", "3", "4"} and report["chosen_step"] == 1 == int(
        min(losses, key=losses.get)
    )
    adapter = load_file(run.adapter("reset") / "adapter" / "adapter_model.safetensors")
    assert not any(bool(weight.any()) for name, weight in adapter.items() if "lora_B" in name)
    assert not (run.adapter("reset") / "model.safetensors").exists()
    config = json.loads((run.adapter("reset") / "adapter" / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["r"]) == ("pocket-base", 4)


def test_what_a_stack_cannot_do_is_said_in_a_line(scratch):
    with pytest.raises(UserError, match="ema_decay: 0"):
        fine_tune(scratch("averaged", choose="loss"), "reset", "key")
    with pytest.raises(UserError, match="trainer: trl"):
        fine_tune(scratch("played", trainer="unsloth", method="qlora"), "reset", "key")
    if importlib.util.find_spec("unsloth") is None:
        with pytest.raises(UserError, match=re.escape(installs("gpu"))):
            unsloth.prepare(
                SMOKE.training.model_copy(
                    update={"method": "qlora", "choose": "loss", "ema_decay": 0.0}
                )
            )


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
    chat = ChatTokenizer(Tokenizer.from_file(str(folder / "tokenizer.json")))
    result = copy_accuracy(model, chat, POCKET.base.model_copy(update={"seed": 12345}), rows=8)
    assert result["held_out_copied_tokens"] > 1000
    assert (
        result["held_out_copy_accuracy"] >= 0.998
    )  # the report's 0.999 is over five times as many tokens
