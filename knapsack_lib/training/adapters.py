"""Fine-tuning: one adapter per regime, through TRL's SFTTrainer or Unsloth's, the same call at
every scale.

    report = fine_tune(run, cell, key, progress)     # writes run.adapter(cell)

Both arms get the same tasks in the same order, the same settings and the same number of steps; only
the text differs. Method `full` trains every weight, `lora` and `qlora` a PEFT adapter. The
checkpoint is chosen by playing *validation* tasks in the regime's own runtime with the pocket
engine, which serves whole weights (an adapter is merged, and kept beside them), or by validation
loss; then the adapter alone is kept, since what is served is base + adapter.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from knapsack_lib.chat import CHAT_TEMPLATE, ChatTokenizer
from knapsack_lib.episodes import EpisodeFile
from knapsack_lib.errors import UserError
from knapsack_lib.families.task_files import read_tasks
from knapsack_lib.hub import base_folder
from knapsack_lib.keys import TRAINING as TRAINING_SOURCES
from knapsack_lib.keys import store_key
from knapsack_lib.policies.pocket import PocketEngine
from knapsack_lib.profiles import Cell, Profile, Run, Training
from knapsack_lib.provenance import write_provenance
from knapsack_lib.rollouts import Rollouts
from knapsack_lib.store import read_episodes
from knapsack_lib.training import unsloth
from knapsack_lib.training.examples import TokenizedEpisode, check_mask, encode_episode
from knapsack_lib.training.parity import check_rendering

# transformers, TRL and PEFT (and trainer.py, which needs them) are imported in functions: Unsloth
# has to come first.

__all__ = ["fine_tune", "tokenized_traces", "traces_of", "train_cell"]

COMPLETE = "complete"  # the last file of a checkpoint; without it the checkpoint is half a one
ADAPTER = "adapter_model.safetensors"


def fine_tune(
    run: Run,
    cell: Cell,
    key: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Train the adapter of a cell on its regime's teacher traces and choose a checkpoint. Returns the report that is
    written beside it.

    A finished adapter with the same key is left as it is; an interrupted training goes on from its
    last checkpoint. Raises UserError for traces that are missing or too long, and for a stack that
    is missing or cannot do it.
    """
    folder, setting = run.adapter(cell), run.profile.training
    train, train_seed = cell.train, cell.train_seed
    work = folder.with_name(f"{folder.name}.work")
    if (folder / "training.json").exists() and _key(folder) == key:
        # A kill came after the adapter was in its place: before its checkpoints were removed, or
        # while they were.
        if work.exists() and _key(work) in (key, ""):
            shutil.rmtree(work)
        return json.loads((folder / "training.json").read_text())
    _check(setting)
    from knapsack_lib.training.trainer import build_trainer, row_order

    _fresh_unless(work, key)
    torch.set_num_threads(setting.threads)
    examples, held_out = tokenized_traces(run, cell)
    trainer = build_trainer(run, train_seed, work, examples, held_out, progress)
    checkpoints = sorted(work.glob("checkpoint-*"), key=_step)
    trainer.train(resume_from_checkpoint=str(checkpoints[-1]) if checkpoints else None)
    best, choice = _choose(run, cell, trainer, work)
    rows = row_order(run, train_seed, len(examples))
    report = {
        "train": train,
        "train_seed": train_seed,
        "method": setting.method,
        "steps": setting.steps,
        "chosen_step": best,
        **choice,
        "tokens_seen": sum(len(examples[i].input_ids) for i in rows),
        "assistant_tokens_seen": sum(sum(examples[i].mask) for i in rows),
        "traces": len(examples),
        "curve": _curve(trainer.state.log_history),
    }
    if setting.method != "full":
        report |= _lineage(trainer.model, run.profile)
    final = work / f"candidate-{best}"
    (final / "key").write_text(key + "\n")
    (final / "training.json").write_text(json.dumps(report, indent=1, sort_keys=True) + "\n")
    if folder.exists():
        shutil.rmtree(folder)
    final.rename(folder)
    shutil.rmtree(work)
    return report


def traces_of(run: Run, cell: Cell) -> EpisodeFile:
    """The teacher's episodes that the adapter of a cell learns from."""
    teacher = Cell(cell.family, "teacher", cell.train, "easy")
    hint = f"papermill notebooks/02_teacher.ipynb -p profile {run.profile.name} -p runtime {cell.train}"
    return read_episodes(run.store(teacher), hint)


def train_cell(
    run: Run, cell: Cell, progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, Any]:
    """Train the adapter of a cell under a key of everything that shapes it, with its provenance."""
    base, traces = base_folder(run.profile), traces_of(run, cell)
    print(
        f"a served conversation is spelled as here, checked on {check_rendering(base, base)} tokens"
    )
    inputs = {"traces": traces.path, "validation": run.tasks("validation"), "base": base}
    key = store_key(run, inputs, cell.train, cell.train_seed, sources=TRAINING_SOURCES)
    report = fine_tune(run, cell, key, progress)
    write_provenance(run, run.adapter(cell) / "provenance.json", inputs)
    return report


def _check(setting: Training) -> None:
    if setting.choose == "loss" and setting.ema_decay:
        raise UserError(
            "training.choose = loss judges weights as they are trained, not their average; set ema_decay: 0"
        )
    if setting.trainer == "unsloth":
        unsloth.prepare(setting)


def _choose(run: Run, cell: Cell, trainer: Any, work: Path) -> tuple[int, dict[str, Any]]:
    """(step, what the report says of the choice). Its checkpoint, exported, lies in
    work/candidate-<step>."""
    setting, checkpoints = run.profile.training, sorted(work.glob("checkpoint-*"), key=_step)
    if setting.choose == "loss":
        loss = {
            row["step"]: row["eval_loss"] for row in trainer.state.log_history if "eval_loss" in row
        }
        best = min(map(_step, checkpoints), key=lambda step: (loss[step], step))
        _export(trainer, run.profile, work / f"checkpoint-{best}", work / f"candidate-{best}")
        return best, {
            "chosen_by": "validation loss",
            "validation_loss": {str(s): loss[s] for s in sorted(loss)},
        }
    played = {}
    for checkpoint in checkpoints[-setting.candidates :]:
        candidate = work / f"candidate-{_step(checkpoint)}"
        _export(trainer, run.profile, checkpoint, candidate)
        played[_step(checkpoint)] = _play_validation(run, cell, candidate)
    best = max(played, key=lambda step: (played[step]["score"], played[step]["finished"], step))
    return best, {"validation_play": {str(step): result for step, result in played.items()}}


def _step(folder: Path) -> int:
    return int(folder.name.split("-")[1])


def _key(folder: Path) -> str:
    """What the folder's contents were made from; "" where that is not written."""
    mark = folder / "key"
    return mark.read_text().strip() if mark.exists() else ""


def _fresh_unless(work: Path, key: str) -> None:
    """Keep a half-done training only when it was started from the same inputs."""
    if work.exists() and _key(work) != key:
        shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    (work / "key").write_text(key + "\n")
    for part in work.glob("candidate-*"):
        shutil.rmtree(part)
    for part in work.glob("checkpoint-*"):
        if not (part / COMPLETE).exists():
            shutil.rmtree(part)


def tokenized_traces(run: Run, cell: Cell) -> tuple[list[TokenizedEpisode], list[TokenizedEpisode]]:
    """(training, validation) examples of the regime that the cell was trained on, in task order.

    Raises UserError when traces are missing, or longer than max_tokens.
    """
    episodes = traces_of(run, cell)
    chat = ChatTokenizer(Tokenizer.from_file(str(base_folder(run.profile) / "tokenizer.json")))
    longest = run.profile.training.max_tokens

    def encoded(kind: str) -> list[TokenizedEpisode]:
        examples = [encode_episode(chat, e) for e in episodes if f"-{kind}-" in e.task_id]
        check_mask(examples)
        too_long = sum(len(t.input_ids) > longest for t in examples)
        if too_long or not examples:
            raise UserError(
                f"{too_long} of {len(examples)} {kind} traces are over max_tokens = {longest}; raise it"
            )
        return examples

    return encoded("train"), encoded("validation")


def _restore(trainer: Any, mark: Path) -> None:
    """Put a checkpoint's weights into the trained model: their running average where there is one."""
    average, adapter = mark / "average.safetensors", mark / ADAPTER
    if average.exists():
        weights = dict(trainer.model.named_parameters())
        with torch.no_grad():
            for name, value in load_file(average).items():
                weights[name].copy_(value)
    elif adapter.exists():
        from peft import set_peft_model_state_dict

        set_peft_model_state_dict(trainer.model, load_file(adapter))
    else:  # a tied weight is saved once and filled in at both places
        trainer.model.load_state_dict(load_file(mark / "model.safetensors"), strict=False)


def _export(trainer: Any, profile: Profile, mark: Path, folder: Path) -> None:
    """A checkpoint as a folder to serve: weights, config, tokenizer; a PEFT adapter in `adapter`.

    An adapter is merged into the base for the pocket engine, which plays the validation tasks;
    chosen by loss it is kept alone: its base is what the report names.
    """
    model: Any = trainer.model
    base = base_folder(profile)
    _restore(trainer, mark)
    if profile.training.method == "full":
        model.save_pretrained(folder)
    else:
        _save_adapter(model, profile, folder / "adapter")
        if profile.training.choose == "play":
            _merge(model, base, folder)
    _with_wording(base, folder)


def _with_wording(base: Path, folder: Path) -> None:
    """The base's tokenizer, and the template that says what was trained on: not the base's own,
    where it has another."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if (base / name).exists():
            shutil.copyfile(base / name, folder / name)
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)


def _save_adapter(model: Any, profile: Profile, folder: Path) -> None:
    """The adapter by itself, its base named as the profile does: a path of this machine would mean
    nothing elsewhere."""
    model.save_pretrained(folder)
    config = folder / "adapter_config.json"
    named = json.loads(config.read_text()) | {"base_model_name_or_path": profile.training.base}
    # PEFT writes target_modules from a set, in another order each time.
    named["target_modules"] = sorted(named["target_modules"])
    config.write_text(json.dumps(named, indent=2, sort_keys=True) + "\n")
    (folder / "README.md").unlink(missing_ok=True)  # a model card with nothing filled in


def _merge(model: Any, base: Path, folder: Path) -> None:
    """Merge into a copy of the base in full precision, not into the trained model."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    with tempfile.TemporaryDirectory() as copy:
        model.save_pretrained(copy)
        whole = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        PeftModel.from_pretrained(whole, copy).merge_and_unload().save_pretrained(folder)


def _lineage(model: torch.nn.Module, profile: Profile) -> dict[str, Any]:
    """What the adapter was trained on: the base's name and SHA-256 of its files, what of it was
    quantised and how.

    Read from the model that was trained, not from the settings. Counts are of weights; `kept` are
    those left as they are.
    """
    base = base_folder(profile)
    files = sorted(
        p
        for p in base.iterdir()
        if p.name == "config.json" or p.suffix == ".safetensors" or ".index." in p.name
    )
    # Its own parameter: PEFT's layer around a quantised one shows the same weight again.
    packed: list[Any] = [
        m for m in model.modules() if type(m._parameters.get("weight")).__name__ == "Params4bit"
    ]
    kept, trained = Counter[str](), Counter[str]()
    for weight in model.parameters():
        if type(weight).__name__ != "Params4bit":
            (trained if weight.requires_grad else kept)[
                str(weight.dtype).removeprefix("torch.")
            ] += weight.numel()
    how: dict[str, Any] = {"bits": 16 if set(kept) <= {"bfloat16", "float16"} else 32}
    if packed:
        states = [m.weight.quant_state for m in packed]
        how = {
            "bits": 4,
            "type": states[0].quant_type,
            "double": states[0].nested,
            "block": states[0].blocksize,
            "compute": str(packed[0].compute_dtype).removeprefix("torch."),
            "layers": len(packed),
            "weights": sum(state.shape.numel() for state in states),
        }
    return {
        "base": {"name": profile.training.base, "sha256": {p.name: _digest(p) for p in files}},
        "quantised": how | {"kept": dict(kept)},
        "trained": dict(trained),
        "trainer": profile.training.trainer,
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _play_validation(run: Run, cell: Cell, candidate: Path) -> dict[str, float]:
    """Mean score and share finished on the validation tasks, in the regime's own runtime."""
    profile = run.profile
    tasks = read_tasks(run.tasks("validation"), "papermill notebooks/01_generate.ipynb")
    engine = PocketEngine(candidate, profile.evaluation)
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
