"""Fine-tuning: one adapter per regime, through TRL's SFTTrainer or Unsloth's, the same call at
every scale.

    report = train_cell(run, cell, progress)     # writes run.adapter(cell)

Both arms get the same tasks in the same order, the same settings and the same number of steps; only
the text differs. Method `full` trains every weight, `lora` and `qlora` a PEFT adapter. The
checkpoint is chosen by playing *validation* tasks in the regime's own runtime with the pocket
engine, which serves whole weights (an adapter is merged into them, and kept next to them), or by
validation loss; then the adapter alone is kept, since what is served is base + adapter.
"""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

from knapsack_lib import keys
from knapsack_lib.chat import chat_tokenizer
from knapsack_lib.episodes import EpisodeFile
from knapsack_lib.errors import UserError
from knapsack_lib.families.task_files import read_tasks
from knapsack_lib.files import write_whole
from knapsack_lib.policies.pocket import PocketEngine, check_decodable
from knapsack_lib.profiles import Cell, Run
from knapsack_lib.progress import Show
from knapsack_lib.provenance import write_provenance
from knapsack_lib.rollouts import Rollouts, silent
from knapsack_lib.store import read_episodes
from knapsack_lib.training import unsloth
from knapsack_lib.training.checkpoints import (
    checkpoints,
    export,
    lineage,
    open_work,
    read_key,
    step_of,
)
from knapsack_lib.training.examples import TokenizedEpisode, check_mask, encode_episode
from knapsack_lib.training.marks import trained_base
from knapsack_lib.training.parity import check_rendering

# transformers, TRL and PEFT (and trainer.py, which needs them) are imported in functions: Unsloth
# has to come first.

__all__ = ["fine_tune", "tokenized_traces", "traces_of", "train_cell"]


def train_cell(run: Run, cell: Cell, progress: Show = silent) -> dict[str, Any]:
    """Train the adapter of a cell under a key of everything that shapes it, with its provenance.
    Returns the report, as `fine_tune` does."""
    profile, traces = run.profile, traces_of(run, cell)
    base = trained_base(profile)
    compared = check_rendering(base, base, chat=profile.training.chat)
    print(f"training and serving spell a probe alike: {compared} tokens")
    if profile.training.bf16 and bfloat16_is_emulated():
        print(
            "this processor has no bfloat16 and emulates it, several times slower; training.bf16: false computes in float32"
        )
    inputs = {"traces": traces.path, "validation": run.tasks("validation"), "base": base}
    key = keys.store_key(run, inputs, cell.train, cell.train_seed, sources=keys.TRAINING)
    report = fine_tune(run, cell, key, progress)
    write_provenance(run, run.adapter(cell) / "provenance.json", inputs)
    return report


def bfloat16_is_emulated() -> bool:
    """Whether training runs on a processor that has no instructions for bfloat16."""
    cpu = torch.cpu
    native = cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported()
    return platform.machine() == "x86_64" and not torch.cuda.is_available() and not native


def fine_tune(run: Run, cell: Cell, key: str, progress: Show = silent) -> dict[str, Any]:
    """Train the adapter of a cell on its regime's teacher traces and choose a checkpoint. Returns
    the report that is written next to it (training.json).

    A finished adapter with the same key is left as it is; an interrupted training continues from
    its last checkpoint. Raises UserError for traces that are missing or too long, and for a stack
    that is missing or cannot do what the profile asks.
    """
    folder, setting = run.adapter(cell), run.profile.training
    work, file = folder.with_name(f"{folder.name}.work"), folder / "training.json"
    if file.exists() and read_key(folder) == key:
        # A kill may have come after the adapter was in its place, before its checkpoints were gone.
        if work.exists() and read_key(work) in (key, ""):
            shutil.rmtree(work)
        return json.loads(file.read_text(encoding="utf-8"))
    if setting.choose == "loss" and setting.ema_decay:
        raise UserError(
            "training.choose = loss judges weights as they are trained, not their average; set ema_decay: 0"
        )
    if setting.choose == "play":
        check_decodable(trained_base(run.profile))
    if setting.trainer == "unsloth":
        unsloth.prepare(setting)
    from knapsack_lib.training.trainer import build_trainer, row_order

    open_work(work, key)
    torch.set_num_threads(setting.threads)
    examples = tokenized_traces(run, cell)
    trainer = build_trainer(run, cell.train_seed, work, examples, progress)
    trainer.train(resume_from_checkpoint=bool(checkpoints(work)))
    chosen, choice = _choose(run, cell, trainer, work)
    traces = examples[0]
    rows = [traces[i] for i in row_order(run, cell.train_seed, len(traces))]
    report = {
        "train": cell.train,
        "train_seed": cell.train_seed,
        "method": setting.method,
        "steps": setting.steps,
        "chosen_step": step_of(chosen),
        **choice,
        "tokens_seen": sum(len(row.input_ids) for row in rows),
        "assistant_tokens_seen": sum(sum(row.mask) for row in rows),
        "traces": len(traces),
        "curve": _curve(trainer.state.log_history),
    }
    if setting.method != "full":
        report |= lineage(trainer.model, run.profile)
    write_whole(chosen / "key", f"{key}\n")
    write_whole(chosen / "training.json", json.dumps(report, indent=1, sort_keys=True) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    chosen.rename(folder)
    shutil.rmtree(work)
    return report


def traces_of(run: Run, cell: Cell) -> EpisodeFile:
    """The teacher's episodes that the adapter of a cell learns from. Raises UserError when there
    are none."""
    teacher = Cell(cell.family, "teacher", cell.train, "easy")
    hint = f"papermill notebooks/02_teacher.ipynb -p profile {run.profile.name} -p runtime {cell.train}"
    return read_episodes(run.store(teacher), hint)


def tokenized_traces(run: Run, cell: Cell) -> tuple[list[TokenizedEpisode], list[TokenizedEpisode]]:
    """(training, validation) examples of the regime that the cell was trained on, in task order.

    Raises UserError when traces are missing, or longer than max_tokens.
    """
    episodes, longest = traces_of(run, cell), run.profile.training.max_tokens
    chat = chat_tokenizer(run.profile)

    def encoded(split: str) -> list[TokenizedEpisode]:
        examples = [encode_episode(chat, e) for e in episodes if f"-{split}-" in e.task_id]
        check_mask(examples)
        too_long = sum(len(example.input_ids) > longest for example in examples)
        if too_long or not examples:
            raise UserError(
                f"{too_long} of {len(examples)} {split} traces are over max_tokens = {longest}; raise it"
            )
        return examples

    return encoded("train"), encoded("validation")


def _choose(run: Run, cell: Cell, trainer: Any, work: Path) -> tuple[Path, dict[str, Any]]:
    """(the chosen checkpoint, exported; what the report shows of the choice)."""
    profile, found = run.profile, checkpoints(work)
    if profile.training.choose == "loss":
        history = trainer.state.log_history
        loss = {row["step"]: row["eval_loss"] for row in history if "eval_loss" in row}
        best = min(found, key=lambda path: (loss[step_of(path)], step_of(path)))
        by_step = {str(step): loss[step] for step in sorted(loss)}
        choice = {"chosen_by": "validation loss", "validation_loss": by_step}
        return export(trainer, profile, best), choice
    exported = [export(trainer, profile, path) for path in found[-profile.training.candidates :]]
    played = {path: _play_validation(run, cell, path) for path in exported}
    best = max(
        played, key=lambda path: (played[path]["score"], played[path]["finished"], step_of(path))
    )
    return best, {"validation_play": {str(step_of(path)): one for path, one in played.items()}}


def _play_validation(run: Run, cell: Cell, candidate: Path) -> dict[str, float]:
    """Mean score and share finished on the validation tasks, in the regime's own runtime."""
    profile = run.profile
    tasks = read_tasks(run.tasks("validation"), "papermill notebooks/01_generate.ipynb")
    engine = PocketEngine(candidate, profile.evaluation, profile.training.chat)
    with tempfile.TemporaryDirectory() as store:
        where = Path(store) / "play"
        Rollouts(engine, cell, profile, run.seed).run(tasks, where, "validation")
        episodes = list(read_episodes(where, ""))
    return {
        "score": sum(e.result["score"] for e in episodes) / len(episodes),
        "finished": sum(e.finish_reason == "finish" for e in episodes) / len(episodes),
        "episodes": len(episodes),
    }


def _curve(history: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Rows {step, train_loss or validation_loss}, as logged."""
    names = {"loss": "train_loss", "eval_loss": "validation_loss"}
    return [
        {"step": row["step"], new: round(float(row[old]), 5)}
        for row in history
        for old, new in names.items()
        if old in row
    ]
