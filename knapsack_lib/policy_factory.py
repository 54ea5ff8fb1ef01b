"""Who plays a cell, as the profile says: the scripted expert, a paid teacher, the pocket engine, or a served model.

    with load_policy(run, cell) as loaded: Rollouts(loaded.policy, cell, ...)

A profile's engine is `pocket` (in this process) or `server`: the one at serving.url, the one that KNAPSACK_SERVER names
(`knapsack run` starts one for all cells), or a vLLM server that is started here, holds every adapter that is there, and
ends with the block.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from knapsack_lib import chat
from knapsack_lib.chat import ChatTokenizer
from knapsack_lib.errors import UserError
from knapsack_lib.files import write_whole
from knapsack_lib.messages import Message
from knapsack_lib.policies import Policy
from knapsack_lib.profiles import SCRIPTED, Cell, Run
from knapsack_lib.store import read_episodes
from knapsack_lib.training.marks import trained_base

__all__ = ["LoadedPolicy", "SERVER", "chat_tokenizer", "load_policy", "served"]

SERVER = "KNAPSACK_SERVER"  # the URL of a server that was started and proved for this run
PROBES = 3  # conversations of each regime on which adapters are proved


@dataclass(frozen=True)
class LoadedPolicy:
    """`files` shape the episodes (for the store's key); `description` is what a reader should know."""

    policy: Policy
    description: str
    files: Mapping[str, Path] = field(default_factory=dict)


def chat_tokenizer(run: Run) -> ChatTokenizer:
    """The base's tokenizer, as training and serving use it."""
    return chat.chat_tokenizer(run.profile)


@contextmanager
def load_policy(run: Run, cell: Cell) -> Iterator[LoadedPolicy]:
    """The policy of a cell. For a paid teacher the estimate is printed before the first request, and what it cost at the
    end. Raises UserError for a key, a price or a model that is missing."""
    if cell.train == "teacher" and run.profile.teacher.gemini is not None:
        with _paid(run, cell) as policy:
            yield LoadedPolicy(policy, f"played by {run.profile.teacher.gemini.model}")
    elif cell.train in SCRIPTED:
        from knapsack_lib.policies.scripted import ScriptedPolicy

        teacher = run.profile.teacher
        teaches = cell.train == "teacher"
        count = chat_tokenizer(run).count if teaches else None
        varied = teaches and teacher.policy == "varied"  # the measure of all is the plain expert
        policy = ScriptedPolicy(cell.family, cell.runtime, teacher, count, varied)
        who = "varied teacher" if varied else "scripted expert"
        yield LoadedPolicy(policy, f"played by the {who}, {cell.runtime} style")
    elif run.profile.evaluation.engine == "pocket":
        yield _pocket(run, cell)
    else:
        with _of_server(run, cell) as loaded:
            yield loaded


@contextmanager
def _paid(run: Run, cell: Cell) -> Iterator[Policy]:
    from knapsack_lib.policies.gemini import GeminiPolicy
    from knapsack_lib.policies.prices import estimate, load_prices

    setting, prices, counts = run.profile.teacher.gemini, load_prices(), run.profile.tasks
    assert setting is not None
    policy = GeminiPolicy(setting, run.root / "replies" / cell.runtime, prices)
    print(estimate(counts.train + counts.validation, setting, prices, cell.runtime))
    try:
        yield policy
    finally:
        print(policy.report())


def _pocket(run: Run, cell: Cell) -> LoadedPolicy:
    from knapsack_lib.policies.pocket import PocketEngine

    folder = trained_base(run.profile) if cell.train == "base" else run.adapter(cell)
    files = {"model": folder / "model.safetensors", "tokenizer": folder / "tokenizer.json"}
    setting = run.profile.evaluation
    return LoadedPolicy(
        PocketEngine(folder, setting, run.profile.training.chat),
        f"decoded in this process, {setting.shard} episodes at a time",
        files,
    )


@contextmanager
def _of_server(run: Run, cell: Cell) -> Iterator[LoadedPolicy]:
    from knapsack_lib.policies.chat_server import ChatServerPolicy

    base, setting = trained_base(run.profile), run.profile.evaluation
    name = "base" if cell.train == "base" else run.adapter(cell).name
    files = {"base": base} | ({} if cell.train == "base" else {"adapter": run.adapter(cell)})
    with served(run, cell.name) as (url, description):
        called = setting.serving.names.get(name, name) if setting.serving else name
        policy = ChatServerPolicy(url, called, setting, chat_tokenizer(run))
        yield LoadedPolicy(policy, description, files)


@contextmanager
def served(run: Run, name: str = "") -> Iterator[tuple[str, str]]:
    """(URL, what is known of it) of the server that has the base and every adapter of the run. Its
    log and proof lie in serving/<name>: cells that start servers of their own, side by side, do not
    meet.

    A server that is started here is proved first: base and adapters answer differently, and each as
    PEFT has it.
    """
    serving = run.profile.evaluation.serving
    if serving is None:
        raise UserError(f"profile {run.profile.name} has no section evaluation.serving")
    if given := serving.url or os.environ.get(SERVER):
        yield given, _kept_proof(run.root / "serving", given)
        return
    from knapsack_lib.serving import VllmServer, peft_reference, prove_adapters

    base, evaluation = trained_base(run.profile), run.profile.evaluation
    adapters = {folder.name: _adapter_of(folder) for folder in _adapters(run)}
    place = run.root / "serving" / name
    (place / "proof.json").unlink(missing_ok=True)  # it was about another server
    reference, spoken = None, chat_tokenizer(run)
    if adapters:  # PEFT answers, and gives its memory back, before the server takes the GPU's
        from torch import cuda

        reference = peft_reference(base, adapters, _probes(run), serving.dtype, spoken)
        cuda.empty_cache()
    started: dict[str, Any] = {"seed": run.seed % 2**31, "template": spoken.template}
    with VllmServer(base, adapters, evaluation, place, **started) as server:
        record: dict[str, Any] = {"url": server.url}
        if reference:
            limits = (serving.agreement, serving.timeout_seconds)
            record |= asdict(prove_adapters(server.url, reference, *limits))
        write_whole(place / "proof.json", json.dumps(record, indent=1, sort_keys=True) + "\n")
        yield server.url, _kept_proof(place, server.url)


def _adapter_of(folder: Path) -> Path:
    """Where a fine-tune keeps its PEFT adapter: next to merged weights, or alone."""
    inner = folder / "adapter"
    return inner if inner.is_dir() else folder


def _adapters(run: Run) -> list[Path]:
    folders = [run.adapter(cell) for cell in run.profile.adapters()]
    return [folder for folder in folders if (_adapter_of(folder) / "adapter_config.json").exists()]


def _kept_proof(place: Path, url: str) -> str:
    """What is known of the server at this URL."""
    file = place / "proof.json"
    proof = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if proof.get("url") != url:
        return f"the server at {url}; its adapters were not proved by this run"
    if "alone" not in proof:
        return "served by vLLM without an adapter: there was nothing to prove"
    each = [
        f"{name} {proof['alone'][name]:.1e} alone, {proof['batch'][name]:.1e} in a batch"
        for name in proof["alone"]
    ]
    return (
        f"served by vLLM; log-probabilities differ from PEFT's by at most {'; '.join(each)} (allowed {proof['tolerance']:g}), "
        f"between models by {min(proof['apart'].values()):.2g} or more"
    )


def _probes(run: Run) -> list[list[Message]]:
    """Beginnings of traces: the task, and the task with the first turn."""
    stores = [run.store(cell) for cell in run.profile.teachers()]
    traces = [
        episode for store in stores for episode in read_episodes(store, "make paper")[:PROBES]
    ]
    return [trace.messages()[: 2 if number % 2 else 4] for number, trace in enumerate(traces)]
