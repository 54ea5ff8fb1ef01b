"""What the trainer is given: labels, rows, order, schedule."""

import os
from collections import Counter

import pytest

from knapsack_lib.profiles import Cell
from knapsack_lib.training.adapters import tokenized_traces
from knapsack_lib.training.trainer import Rows, build_trainer, hold, row_order

RESET = Cell("knapsack", "reset", "reset", "easy", 1)


def loss_tokens(batch) -> Counter:
    """(token before, token that carries loss) with its number."""
    found = Counter()
    for ids, labels in zip(batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True):
        found.update((ids[i - 1], label) for i, label in enumerate(labels) if label != -100)
    return found


def test_labels_are_the_masks_of_the_conversations(scratch):
    run = scratch("labels")
    examples, held_out = tokenized_traces(run, RESET)
    trainer = build_trainer(run, 1, run.root / "work", (examples, held_out))
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


@pytest.mark.parametrize(
    "left", [{"ACCELERATE_MIXED_PRECISION": "fp16"}, {"WORLD_SIZE": "2", "RANK": "0"}]
)
def test_what_a_launcher_left_in_the_environment_changes_no_training(scratch, monkeypatch, left):
    for name, value in left.items():
        monkeypatch.setenv(name, value)
    run = scratch("launched", bf16=False)
    trainer = build_trainer(run, 1, run.root / "work", tokenized_traces(run, RESET))
    assert trainer.args.mixed_precision == "no" and not set(left) & set(os.environ)


@pytest.mark.parametrize("in_one_row", [False, True])
def test_packing_keeps_every_label_and_no_row_is_too_long(scratch, in_one_row):
    examples = tokenized_traces(scratch("rows"), RESET)[0]
    sizes = [len(t.input_ids) for t in examples]
    rows = [
        {
            "input_ids": t.input_ids,
            "labels": [i if m else -100 for i, m in zip(t.input_ids, t.mask, strict=True)],
        }
        for t in examples
    ]
    longest = 2 * max(sizes)
    packer = Rows(0, longest, in_one_row)
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


def test_the_rate_holds_between_a_warm_up_and_a_fall_to_two_percent(smoke):
    changed = {"steps": 100, "warmup_ratio": 0.1, "decay_ratio": 0.5}
    setting = smoke.training.model_copy(update=changed)
    assert [hold(step, setting) for step in (0, 4, 9, 30, 50, 75)] == [0.1, 0.5, 1, 1, 1, 0.5]
    assert hold(100, setting) == 0.02


def test_the_cosine_rises_in_the_warm_up_and_ends_at_zero(scratch):
    run = scratch("cosine", schedule="cosine", steps=7, warmup_ratio=0.25, learning_rate=1.0)
    trainer = build_trainer(run, 1, run.root / "work", tokenized_traces(run, RESET))
    rates = []
    for _ in range(8):
        rates.append(trainer.lr_scheduler.get_last_lr()[-1])
        trainer.optimizer.step()
        trainer.lr_scheduler.step()
    assert rates[:3] == [0, 0.5, 1] and rates == sorted(rates[:3]) + sorted(rates[3:], reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-12)
