"""A training step of the pocket base in bfloat16 next to one in float32, in one process.

    python benchmarks/precision.py

Where a processor has no instructions for bfloat16, torch emulates it. Prints to benchmarks/precision.txt.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from knapsack_lib.files import project_root
from knapsack_lib.training.adapters import bfloat16_is_emulated

ROWS, TOKENS, STEPS = 3, 1200, 5


def step_seconds(model: torch.nn.Module, ids: torch.Tensor, bf16: bool) -> float:
    began = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        loss = model(ids, labels=ids).loss
    loss.backward()
    model.zero_grad()
    return time.perf_counter() - began


def main() -> None:
    torch.set_num_threads(1)
    base = project_root() / "knapsack_lib" / "assets" / "pocket-base"
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    torch.manual_seed(0)
    ids = torch.randint(3, model.config.vocab_size, (ROWS, TOKENS))
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for number in range(STEPS + 1):
        for bf16 in seconds:  # in turns, so that what else the machine does falls on both
            taken = step_seconds(model, ids, bf16)
            if number:
                seconds[bf16].append(taken)
    plain, half = (statistics.median(seconds[bf16]) for bf16 in (False, True))
    native = "emulated here" if bfloat16_is_emulated() else "native here"
    capability = torch.backends.cpu.get_cpu_capability()
    text = (
        f"processor: {capability}; bfloat16 is {native}\n"
        f"{ROWS} rows of {TOKENS} tokens, forward and backward, one thread, median of {STEPS}\n"
        f"float32   {plain:7.2f} s\nbfloat16  {half:7.2f} s\nbfloat16 takes {half / plain:.1f} times as long\n"
    )
    print(text, end="")
    Path(__file__).with_suffix(".txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
