"""Does the Unsloth path train what the TRL path trains? Both for a few steps on the pocket base, in
4 bit, on a CPU.

    python benchmarks/check_unsloth.py [--environment .venv-unsloth]       # make check-unsloth; about 10 minutes

It makes the environment from constraints-unsloth.txt (1.6 GB) unless it is there, and trains one
adapter each with TRL as installed here, with TRL as Unsloth takes it, and with Unsloth, on the same
teacher traces: packed, accumulated, with a cosine. Then it compares what each was taught, loads the
adapters with PEFT, and holds their names, ranks and shapes against what vLLM's loader takes. Exit
status 1 when anything differs that must not.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from scratch import ScratchRun, aligned, teach

from knapsack_lib.hub import base_folder
from knapsack_lib.profiles import load_profile

HERE = Path(__file__).resolve().parents[1]
PINS = HERE / "constraints-unsloth.txt"
SETTINGS = {
    "method": "qlora",
    "steps": 2,
    "episodes_per_step": 4,
    "gradient_accumulation_steps": 2,
    "packing": True,
    "schedule": "cosine",
    "optimizer": "adamw",
    "learning_rate": 0.005,
    "lora_rank": 8,
    "lora_alpha": 16,
    "ema_decay": 0.0,
    "eval_steps": 1,
    "choose": "loss",
    "seeds": (3407,),
    "max_tokens": 4096,
    "warmup_ratio": 0.0,
}
STACKS = {"TRL": "trl", "TRL, Unsloth's versions": "trl", "Unsloth": "unsloth"}
SHOWN = ["torch", "transformers", "trl", "peft", "datasets", "bitsandbytes", "unsloth"]


def scratch(folder: Path, trainer: str) -> ScratchRun:
    """The smoke profile with SETTINGS, on the traces that lie in `folder`."""
    profile = load_profile("smoke")
    setting = profile.training.model_copy(update={**SETTINGS, "trainer": trainer})
    return ScratchRun(profile.model_copy(update={"training": setting}), 1, folder)


def make_environment(folder: Path) -> Path:
    """The environment's Python; made from the pins unless it is there. torch first, and nothing
    that is not pinned."""
    python, mark = folder / "bin" / "python", folder / ".made-from-constraints"
    if not mark.exists() or mark.stat().st_mtime < PINS.stat().st_mtime:
        torch = next(
            line
            for line in PINS.read_text(encoding="utf-8").splitlines()
            if line.startswith("torch==")
        )
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", torch], check=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "-r", str(PINS)],
            check=True,
        )
        mark.touch()
    return python


# ---- in the child: one stack ----------------------------------------------------------------------------------------


def stand_in_for_a_gpu() -> None:
    """Unsloth asks for a GPU at import and while loading. What it asks about is answered; nothing
    of its work is replaced.

    Its kernels for one family need a GPU (Triton), so that FastModel, its path for any model,
    stands for FastLanguageModel; and bitsandbytes computes 4 bit on a CPU with other functions than
    those whose presence Unsloth looks for.
    """
    import torch

    # On a machine without a GPU Unsloth leaves compiled files in the folder of work, and compiles
    # for minutes.
    os.environ |= {
        "UNSLOTH_ALLOW_CPU": "1",
        "UNSLOTH_COMPILE_DISABLE": "1",
        "TORCHDYNAMO_DISABLE": "1",
    }
    os.environ["UNSLOTH_COMPILE_LOCATION"] = tempfile.mkdtemp()
    told = SimpleNamespace(
        name="none", total_memory=8 << 30, major=8, minor=0, multi_processor_count=1
    )
    cuda: Any = torch.cuda
    cuda.get_device_properties = lambda *_: told
    cuda.get_device_capability = lambda *_: (8, 0)
    cuda.mem_get_info = lambda *_: (8 << 30, 8 << 30)
    unsloth = importlib.import_module("unsloth")
    for name, module in list(sys.modules.items()):
        if name.startswith("unsloth"):
            vars(module).update(
                {k: True for k in ("ALLOW_BITSANDBYTES", "SUPPORTS_BFLOAT16") if k in vars(module)}
            )
    cuda.is_bf16_supported = lambda *_, **__: True
    unsloth.FastLanguageModel = unsloth.FastModel


def train(name: str, folder: Path) -> dict[str, Any]:
    """Train with one stack in this process. Returns versions, times (seconds), the report and what
    was taught."""
    run = scratch(folder, STACKS[name])
    start = time.perf_counter()
    if STACKS[name] == "unsloth":
        stand_in_for_a_gpu()
    from importlib.metadata import PackageNotFoundError, version

    from knapsack_lib.training import adapters, trainer

    imported, built = time.perf_counter(), trainer.build_trainer
    seen: dict[str, Any] = {}

    def observed(*given: Any) -> Any:
        made = built(*given)
        seen.update(loaded=time.perf_counter(), taught=taught(made), trainer=type(made).__name__)
        return made

    trainer.build_trainer = observed
    report = adapters.fine_tune(run, aligned("reset"), name)
    versions = {}
    for package in SHOWN:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "-"
    return {
        "versions": versions,
        "report": report,
        "taught": seen["taught"],
        "trainer": seen["trainer"],
        "seconds": {
            "import": imported - start,
            "load": seen["loaded"] - imported,
            "train": time.perf_counter() - seen["loaded"],
        },
    }


def taught(made: Any) -> dict[str, Any]:
    """What the model will be shown, part by part of a step: digests of ids and labels, and counts
    of tokens."""
    rows, part = made.train_dataset, made.args.per_device_train_batch_size
    ids, labels, count = hashlib.sha256(), hashlib.sha256(), 0
    for start in range(0, len(rows), part):
        batch = made.data_collator([rows[i] for i in range(start, start + part)])
        for at, row in enumerate(batch["position_ids"]):
            # Episode by episode, since the stacks lay packed episodes out differently; the shortest
            # has many tokens.
            starts = [i for i, place in enumerate(row.tolist()) if place == 0] + [len(row)]
            for first, last in zip(starts, starts[1:], strict=False):
                if last - first > 1:
                    ids.update(repr(batch["input_ids"][at, first:last].tolist()).encode())
                    labels.update(repr(batch["labels"][at, first:last].tolist()).encode())
        count += int(batch["labels"].ne(-100).sum())
    return {"ids": ids.hexdigest()[:12], "labels": labels.hexdigest()[:12], "tokens": count}


def load(folder: Path) -> dict[str, Any]:
    """Load an adapter with PEFT on the 4-bit base and on the whole one: loss of the first
    validation trace with each."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    from knapsack_lib.training.adapters import tokenized_traces

    run = scratch(folder, "trl")
    example = tokenized_traces(run, aligned("reset"))[1][0]
    ids = torch.tensor([example.input_ids])
    labels = torch.where(torch.tensor([example.mask]).bool(), ids, -100)
    bits = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True
    )
    losses = {}
    for name, quantised in (("4 bit", bits), ("whole", None)):
        base = AutoModelForCausalLM.from_pretrained(
            base_folder(run.profile), quantization_config=quantised
        )
        with torch.no_grad():
            losses[f"base, {name}"] = float(base(input_ids=ids, labels=labels).loss)
            model = PeftModel.from_pretrained(
                base, run.adapter(aligned("reset")) / "adapter"
            ).eval()
            losses[f"adapter, {name}"] = float(model(input_ids=ids, labels=labels).loss)
    return losses


# ---- here: the comparison -------------------------------------------------------------------------------------------


def served(folder: Path) -> str:
    """What vLLM's LoRA loader asks of an adapter, as far as the files show it: "" or what is wrong."""
    from safetensors import safe_open

    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    if (
        config["bias"] != "none"
        or config["use_dora"]
        or config["modules_to_save"]
        or config["use_rslora"]
    ):
        return "bias, DoRA, rsLoRA or whole modules are in it"
    with safe_open(folder / "adapter_model.safetensors", "np") as file:
        for name in file.keys():  # noqa: SIM118
            shape, part = file.get_slice(name).get_shape(), name.split(".")[-2]
            if not name.startswith("base_model.model.model.layers.") or part not in (
                "lora_A",
                "lora_B",
            ):
                return f"a weight called {name}"
            if shape[0 if part == "lora_A" else 1] != config["r"]:
                return f"{name} has shape {shape}, rank {config['r']}"
    return ""


def live(adapter: Path, place: Path) -> str:
    """Unsloth's adapter in a real vLLM server (that of `make check-vllm`, where it has been made),
    against PEFT."""
    python = HERE / ".venv-vllm" / "bin" / "python"
    if not python.exists():
        return "not tried: run make check-vllm first"
    from knapsack_lib.serving import VllmServer, peft_reference, prove_adapters

    profile = load_profile("served-smoke")
    base, served = base_folder(profile), {"unsloth": adapter}
    serving = profile.evaluation.serving
    assert serving is not None
    serving = serving.model_copy(update={"python": str(python)})
    evaluation = profile.evaluation.model_copy(update={"context": 2048, "serving": serving})
    task = "Fill the knapsack. Capacity 24. Inspections 6. Classes A, B, C."
    probes = [
        [{"role": "system", "content": text}, {"role": "user", "content": task}]
        for text in ("Write Python.", "You act by code.", "Act.")
    ]
    reference = peft_reference(base, served, probes)
    os.environ["VLLM_CPU_KVCACHE_SPACE"] = "1"
    with VllmServer(base, served, evaluation, place, seed=1) as server:
        proof = prove_adapters(server.url, reference, serving.agreement)
    furthest = max(proof.alone["unsloth"], proof.batch["unsloth"])
    return f"Unsloth's adapter is live: {furthest:.1e} nats from PEFT's, {min(proof.apart.values()):.2g} from the base"


def child(python: str, *words: str) -> dict[str, Any]:
    """Run this file with another Python; its last line is the answer."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(HERE),
        "HF_HUB_OFFLINE": "1",
        "KNAPSACK_ROOT": str(HERE),
    }
    # With triton, TRL's loss is a kernel, which without a GPU is interpreted.
    environment["TRITON_INTERPRET"] = "1"
    done = subprocess.run(
        [python, __file__, *words],
        env=environment,
        encoding="utf-8",
        capture_output=True,
        timeout=1200,
        cwd=HERE,
    )
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stdout[-1500:]}\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def one(name: str, python: Path, place: Path) -> dict[str, Any]:
    """Traces, training and loading with one stack: in this environment the first, in the other one
    the others."""
    number = list(STACKS).index(name)
    folder, own = place / str(number), str(python) if number else sys.executable
    teach(scratch(folder, "trl"), {"train": 9, "validation": 2}, ["reset"])
    made = child(own, "train", name, str(folder)) | {
        "loaded": child(own, "load", name, str(folder))
    }
    return made | {"amiss": served(folder / "adapters" / "reset" / "adapter")}


def compare(python: Path) -> bool:
    """Print the table. True when both stacks were taught the same and every adapter loads."""
    fine = True
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(2) as two:
        results = dict(
            zip(STACKS, two.map(lambda name: one(name, python, Path(place)), STACKS), strict=True)
        )
        in_vllm = live(
            Path(place) / str(len(STACKS) - 1) / "adapters" / "reset" / "adapter", Path(place)
        )
    columns = [[""], *([name] for name in STACKS)]

    def line(what: str, value: Any) -> None:
        columns[0].append(what)
        for column, result in zip(columns[1:], results.values(), strict=True):
            column.append(str(value(result)))

    for package in SHOWN:
        line(package, lambda r, p=package: r["versions"][p])
    line("trainer", lambda r: r["trainer"])
    for phase in ("import", "load", "train"):
        line(f"{phase}, s", lambda r, p=phase: f"{r['seconds'][p]:.1f}")
    for what in ("ids", "labels", "tokens"):
        line(
            {"tokens": "tokens with loss"}.get(what, f"{what}, digest"),
            lambda r, w=what: r["taught"][w],
        )
    for step in (1, 2):
        line(
            f"validation loss, step {step}",
            lambda r, s=step: f"{r['report']['validation_loss'][str(s)]:.4f}",
        )
    for what in ("bits", "type", "double", "block", "compute", "layers", "weights", "kept"):
        line(f"quantised: {what}", lambda r, w=what: r["report"]["quantised"].get(w, "-"))
    line("trained", lambda r: r["report"]["trained"])
    for what in next(iter(results.values()))["loaded"]:
        line(f"PEFT: loss, {what}", lambda r, w=what: f"{r['loaded'][w]:.4f}")
    line("for vLLM", lambda r: r["amiss"] or "names, ranks, shapes fit")
    widths = [max(map(len, column)) + 2 for column in columns]
    for row in zip(*columns, strict=True):
        print("".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for what, good in (
        (
            "all stacks were taught the same ids and labels",
            len({json.dumps(r["taught"]) for r in results.values()}) == 1,
        ),
        (
            "all quantised the same",
            len({json.dumps(r["report"]["quantised"]) for r in results.values()}) == 1,
        ),
        (
            "every adapter lowers the loss",
            all(
                r["loaded"][f"adapter, {b}"] < r["loaded"][f"base, {b}"]
                for r in results.values()
                for b in ("4 bit", "whole")
            ),
        ),
        (
            "every adapter has what vLLM's loader takes",
            not any(r["amiss"] for r in results.values()),
        ),
    ):
        fine &= good
        print(f"{'yes' if good else 'NO '}  {what}")
    print(f"in vLLM: {in_vllm}")
    return fine


def main() -> None:
    """Read the command line; also the children's, which print one line of JSON at the end."""
    if sys.argv[1:2] in (["train"], ["load"]):
        _, what, name, folder = sys.argv
        print(json.dumps(train(name, Path(folder)) if what == "train" else load(Path(folder))))
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--environment", default=".venv-unsloth", help="made when it is not there")
    python = make_environment(HERE / parser.parse_args().environment)
    sys.exit(0 if compare(python) else 1)


if __name__ == "__main__":
    main()
