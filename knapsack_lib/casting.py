"""Who acts: the teacher that writes the traces and the policy that plays a cell, as the profile says.

    with teacher(run, "reset") as policy: play_tasks(...)
    with acting(run, cast) as who: play_tasks(tasks, who.policy, cast, ..., store_key(run, who.inputs, cast))

    python -m knapsack_lib.casting --profile paper -- make cells      # one vLLM server for every cell of a command

A profile's engine is `pocket` (in this process) or `server`: the one at serving.url, the one that KNAPSACK_SERVER names (a
command run as above), or a vLLM server that is started here, holds every adapter that is there, and ends with the block.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from knapsack_lib.agent import Cast
from knapsack_lib.episodes import read_episodes
from knapsack_lib.policies import Policy
from knapsack_lib.profiles import RUNTIMES, Run, UserError, load_profile, project_root
from knapsack_lib.prompts import Message
from knapsack_lib.training.conversations import CHAT_TEMPLATE, Wording, base_folder

__all__ = ["Acting", "acting", "served", "teacher", "wording_of"]

SERVER = "KNAPSACK_SERVER"  # the URL of a server that was started and proved for this run
PROBES = 3  # conversations of each regime on which adapters are proved


@dataclass(frozen=True)
class Acting:
    """`inputs` are the files that shape the episodes (for the store's key), `story` what a reader should know."""

    policy: Policy
    inputs: Mapping[str, Path]
    story: str


def wording_of(run: Run) -> Wording:
    """The base's tokenizer, as training and serving use it."""
    from tokenizers import Tokenizer

    return Wording(Tokenizer.from_file(str(base_folder(run.profile) / "tokenizer.json")))


@contextmanager
def teacher(run: Run, runtime: str) -> Iterator[Policy]:
    """Who writes the traces of one regime. For a paid one the estimate is printed before the first request, and what it
    cost at the end. Raises UserError for a key or a price that is missing."""
    setting = run.profile.teacher
    if setting.gemini is None:
        from knapsack_lib.policies.scripted import ScriptedPolicy

        yield ScriptedPolicy(runtime, setting, wording_of(run).count)
        return
    from knapsack_lib.policies.gemini import GeminiPolicy
    from knapsack_lib.policies.prices import estimate, load_prices

    prices = load_prices()
    policy = GeminiPolicy(setting.gemini, run.root / "replies" / runtime, prices)
    counts = run.profile.tasks
    print(estimate(counts.train + counts.validation, setting.gemini, prices, runtime))
    try:
        yield policy
    finally:
        print(policy.report())


@contextmanager
def acting(run: Run, cast: Cast) -> Iterator[Acting]:
    """The policy of one cell."""
    profile, tasks = run.profile, {"tasks": run.tasks(cast.difficulty)}
    base = base_folder(profile)
    folder = base if cast.policy == "base" else run.adapter(cast.policy, cast.train_seed)
    if profile.evaluation.engine == "pocket":
        from knapsack_lib.policies.pocket import PocketEngine

        files = {"model": folder / "model.safetensors", "tokenizer": folder / "tokenizer.json"}
        shard = profile.evaluation.shard
        yield Acting(
            PocketEngine(folder, profile.evaluation), tasks | files, f"in this process, {shard} rows at a time"
        )
        return
    from knapsack_lib.policies.chat_server import ChatServerPolicy

    name = "base" if cast.policy == "base" else folder.name
    files = {"base": base} if cast.policy == "base" else {"base": base, "adapter": folder}
    with served(run, run.cell(cast.policy, cast.runtime, cast.difficulty, cast.train_seed).name) as (url, story):
        serving = profile.evaluation.serving
        called = serving.names.get(name, name) if serving else name
        yield Acting(ChatServerPolicy(url, called, profile.evaluation, wording_of(run)), tasks | files, story)


@contextmanager
def served(run: Run, name: str = "") -> Iterator[tuple[str, str]]:
    """(URL, what is known of it) of the server that has the base and every adapter of the run. Its log and proof lie in
    serving/<name>: cells that start servers of their own, side by side, do not meet.

    A server that is started here is proved first: base and adapters answer differently, and each as PEFT has it.
    """
    serving = run.profile.evaluation.serving
    if serving is None:
        raise UserError(f"profile {run.profile.name} has no section evaluation.serving")
    if serving.url:
        yield serving.url, f"the server at {serving.url}; its adapters were not proved by this run"
        return
    if given := os.environ.get(SERVER):
        yield given, _kept_proof(run.root / "serving")
        return
    from knapsack_lib.serving import VllmServer, peft_reference, prove_adapters

    base, training = base_folder(run.profile), run.profile.training
    adapters = {folder.name: _adapter_of(folder) for folder in _adapters(run)}
    place = run.root / "serving" / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    (place / "proof.json").unlink(missing_ok=True)  # it was about another server
    reference = None
    if adapters:  # PEFT answers, and gives its memory back, before the server takes the GPU's
        from torch import cuda

        reference = peft_reference(base, adapters, _probes(run), dtype=serving.dtype)
        cuda.empty_cache()
    with VllmServer(
        base, adapters, serving, context=run.profile.evaluation.context, rank=training.lora_rank, seed=run.seed % 2**31,
        template=place / "chat_template.jinja", log=place / "vllm.log", python=_python(serving.python),
    ) as server:  # fmt: skip
        if reference:
            proof = prove_adapters(
                server.url,
                base,
                adapters,
                _probes(run),
                serving.agreement,
                reference=reference,
                seconds=serving.timeout_seconds,
            )
            (place / "proof.json").write_text(
                json.dumps(asdict(proof), indent=1, sort_keys=True) + "\n", encoding="utf-8"
            )
        yield server.url, _kept_proof(place)


def _python(given: str) -> str:
    """The interpreter that a profile names (relative to the project), else this one."""
    return str(project_root() / given) if given else sys.executable


def _adapter_of(folder: Path) -> Path:
    """Where a fine-tune keeps its PEFT adapter: beside merged weights, or by itself."""
    beside = folder / "adapter"
    return beside if beside.is_dir() else folder


def _adapters(run: Run) -> list[Path]:
    folders = [run.adapter(train, seed) for seed in run.profile.seeds() for train in RUNTIMES]
    return [folder for folder in folders if (_adapter_of(folder) / "adapter_config.json").exists()]


def _kept_proof(place: Path) -> str:
    file = place / "proof.json"
    if not file.exists():
        return "served by vLLM without an adapter: there was nothing to prove"
    proof = json.loads(file.read_text(encoding="utf-8"))
    each = [
        f"{name} {proof['alone'][name]:.1e} alone, {proof['batch'][name]:.1e} in a batch" for name in proof["alone"]
    ]
    return (
        f"served by vLLM; log-probabilities differ from PEFT's by at most {'; '.join(each)} (allowed {proof['tolerance']:g}), "
        f"between models by {min(proof['apart'].values()):.2g} or more"
    )


def _probes(run: Run) -> list[list[Message]]:
    """Beginnings of traces: the task, and the task with the first turn."""
    traces = [e for regime in RUNTIMES for e in read_episodes(run.teacher(regime), "make paper")[:PROBES]]
    return [trace.messages()[: 2 if number % 2 else 4] for number, trace in enumerate(traces)]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m knapsack_lib.casting", description="a command beside one server")
    parser.add_argument("--profile", default="paper")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("command", nargs=argparse.REMAINDER, help="after --: what needs the server")
    chosen = parser.parse_args(arguments)
    command = chosen.command[1:] if chosen.command[:1] == ["--"] else chosen.command
    if not command:
        raise UserError("no command was given; write it after --")
    run = load_profile(chosen.profile).run(chosen.seed)
    if not shutil.which(command[0]):
        raise UserError(f"there is no command {command[0]!r}; write after -- what needs the server")
    if run.profile.evaluation.engine == "pocket":
        return subprocess.run(command).returncode
    with served(run) as (url, story):
        print(story)
        environment: dict[str, Any] = {**os.environ, SERVER: url}
        return subprocess.run(command, env=environment, close_fds=False).returncode  # make's job server is a descriptor


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        sys.exit(f"error: {error}")
