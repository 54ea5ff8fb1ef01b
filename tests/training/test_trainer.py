"""What the trainer is given: labels, rows, order, schedule."""

from collections import Counter

import pytest
import torch

from knapsack_lib.profiles import Cell
from knapsack_lib.training.adapters import tokenized_traces
from knapsack_lib.training.trainer import Rows, build_trainer, rate, row_order

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


@pytest.mark.parametrize(("steps", "share"), [(100, 0.03), (7, 0.3), (5, 0.0)])
def test_the_cosine_is_that_of_transformers(smoke, steps, share):
    from transformers import get_cosine_schedule_with_warmup

    setting = smoke.training.model_copy(
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
