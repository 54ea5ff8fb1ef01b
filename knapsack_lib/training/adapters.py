"""Fine-tuning: one adapter per regime, through TRL's SFTTrainer or Unsloth's, the same call at every scale.

    report = fine_tune(run, "reset", key, train_seed=2, progress=...)     # writes run.adapter("reset", 2)

Both arms get the same tasks in the same order, the same settings and the same number of steps; only the text differs.
Method `full` trains every weight, `lora` and `qlora` a PEFT adapter. The checkpoint is chosen by playing *validation*
tasks in the regime's own runtime with the pocket engine, which serves whole weights (an adapter is merged, and kept
beside them), or by validation loss; then the adapter alone is kept, since what is served is base + adapter.
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

from knapsack_lib.agent import Cast
from knapsack_lib.episodes import read_episodes
from knapsack_lib.families.base import read_tasks
from knapsack_lib.policies.pocket import PocketEngine
from knapsack_lib.profiles import Profile, Run, Training, UserError
from knapsack_lib.rollouts import play_tasks
from knapsack_lib.training import unsloth
from knapsack_lib.training.conversations import CHAT_TEMPLATE, Talk, Wording, base_folder, check_mask, encode_episode

# transformers, TRL and PEFT (and trainer.py, which needs them) are imported in functions: Unsloth has to come first.

__all__ = ["fine_tune", "talks_of"]

COMPLETE = "complete"  # the last file of a checkpoint; without it the checkpoint is half a one
ADAPTER = "adapter_model.safetensors"


def fine_tune(
    run: Run, train: str, key: str, progress: Callable[[int, int], None] = lambda done, total: None, *,
    train_seed: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """Train on the regime's teacher traces and choose a checkpoint. Returns the report that is written beside it.

    A finished adapter with the same key is left as it is; an interrupted training goes on from its last checkpoint.
    Raises UserError for traces that are missing or too long, and for a stack that is missing or cannot do it.
    """
    folder, setting = run.adapter(train, train_seed), run.profile.training
    work = folder.with_name(f"{folder.name}.work")
    if (folder / "training.json").exists() and _key(folder) == key:
        # A kill came after the adapter was in its place: before its checkpoints were removed, or while they were.
        if work.exists() and _key(work) in (key, ""):
            shutil.rmtree(work)
        return json.loads((folder / "training.json").read_text())
    _check(setting)
    from knapsack_lib.training.trainer import build_trainer, row_order

    _fresh_unless(work, key)
    torch.set_num_threads(setting.threads)
    talks, held_out = talks_of(run, train)
    trainer = build_trainer(run, train_seed, work, talks, held_out, progress)
    marks = sorted(work.glob("checkpoint-*"), key=_step)
    trainer.train(resume_from_checkpoint=str(marks[-1]) if marks else None)
    best, choice = _choose(run, Cast(train, train, "easy", train_seed), trainer, work)
    rows = row_order(run, train_seed, len(talks))
    report = {
        "train": train, "train_seed": train_seed, "method": setting.method, "steps": setting.steps, "chosen_step": best,
        **choice,
        "tokens_seen": sum(len(talks[i].input_ids) for i in rows),
        "assistant_tokens_seen": sum(sum(talks[i].mask) for i in rows),
        "traces": len(talks), "curve": _curve(trainer.state.log_history),
    }  # fmt: skip
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


def _check(setting: Training) -> None:
    if setting.choose == "loss" and setting.average_decay:
        raise UserError(
            "training.choose = loss judges weights as they are trained, not their average; set average_decay: 0"
        )
    if setting.trainer == "unsloth":
        unsloth.prepare(setting)


def _choose(run: Run, cast: Cast, trainer: Any, work: Path) -> tuple[int, dict[str, Any]]:
    """(step, what the report says of the choice). Its checkpoint, exported, lies in work/candidate-<step>."""
    setting, marks = run.profile.training, sorted(work.glob("checkpoint-*"), key=_step)
    if setting.choose == "loss":
        loss = {row["step"]: row["eval_loss"] for row in trainer.state.log_history if "eval_loss" in row}
        best = min(map(_step, marks), key=lambda step: (loss[step], step))
        _export(trainer, run.profile, work / f"checkpoint-{best}", work / f"candidate-{best}")
        return best, {"chosen_by": "validation loss", "validation_loss": {str(s): loss[s] for s in sorted(loss)}}
    played = {}
    for mark in marks[-setting.candidates :]:
        candidate = work / f"candidate-{_step(mark)}"
        _export(trainer, run.profile, mark, candidate)
        played[_step(mark)] = _play_validation(run, cast, candidate)
    best = max(played, key=lambda step: (played[step]["optimality"], played[step]["finished"], step))
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


def talks_of(run: Run, train: str) -> tuple[list[Talk], list[Talk]]:
    """(training, validation) conversations of one regime, in task order.

    Raises UserError when traces are missing, or longer than max_tokens.
    """
    mend = f"papermill notebooks/02_teacher.ipynb -p profile {run.profile.name} -p runtime {train}"
    episodes = read_episodes(run.teacher(train), mend)
    wording = Wording(Tokenizer.from_file(str(base_folder(run.profile) / "tokenizer.json")))
    longest = run.profile.training.max_tokens

    def encoded(kind: str) -> list[Talk]:
        talks = [encode_episode(wording, e) for e in episodes if f"-{kind}-" in e.task_id]
        check_mask(talks)
        too_long = sum(len(t.input_ids) > longest for t in talks)
        if too_long or not talks:
            raise UserError(f"{too_long} of {len(talks)} {kind} traces are over max_tokens = {longest}; raise it")
        return talks

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

    An adapter is merged into the base for the pocket engine, which plays the validation tasks; chosen by loss it is kept
    alone: its base is what the report names.
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
    """The base's tokenizer, and the template that says what was trained on: not the base's own, where it has another."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if (base / name).exists():
            shutil.copyfile(base / name, folder / name)
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)


def _save_adapter(model: Any, profile: Profile, folder: Path) -> None:
    """The adapter by itself, its base named as the profile does: a path of this machine would mean nothing elsewhere."""
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
    """What the adapter was trained on: the base's name and SHA-256 of its files, what of it was quantised and how.

    Read from the model that was trained, not from the settings. Counts are of weights; `kept` are those left as they are.
    """
    base = base_folder(profile)
    files = sorted(
        p for p in base.iterdir() if p.name == "config.json" or p.suffix == ".safetensors" or ".index." in p.name
    )
    # Its own parameter: PEFT's layer around a quantised one shows the same weight again.
    packed: list[Any] = [m for m in model.modules() if type(m._parameters.get("weight")).__name__ == "Params4bit"]
    kept, trained = Counter[str](), Counter[str]()
    for weight in model.parameters():
        if type(weight).__name__ != "Params4bit":
            (trained if weight.requires_grad else kept)[str(weight.dtype).removeprefix("torch.")] += weight.numel()
    how: dict[str, Any] = {"bits": 16 if set(kept) <= {"bfloat16", "float16"} else 32}
    if packed:
        states = [m.weight.quant_state for m in packed]
        how = {
            "bits": 4, "type": states[0].quant_type, "double": states[0].nested, "block": states[0].blocksize,
            "compute": str(packed[0].compute_dtype).removeprefix("torch."), "layers": len(packed),
            "weights": sum(state.shape.numel() for state in states),
        }  # fmt: skip
    return {
        "base": {"name": profile.training.base, "sha256": {p.name: _digest(p) for p in files}},
        "quantised": how | {"kept": dict(kept)}, "trained": dict(trained), "trainer": profile.training.trainer,
    }  # fmt: skip


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _play_validation(run: Run, cast: Cast, candidate: Path) -> dict[str, float]:
    """Mean optimality and share finished on the validation tasks, in the regime's own runtime."""
    profile = run.profile
    tasks = read_tasks(run.tasks("validation"), "papermill notebooks/01_generate.ipynb")
    engine = PocketEngine(candidate, profile.evaluation)
    with tempfile.TemporaryDirectory() as store:
        where = Path(store) / "play"
        play_tasks(tasks, engine, cast, profile, where, "validation", seed=run.seed, shard=profile.evaluation.shard)
        episodes = list(read_episodes(where, ""))
    return {
        "optimality": sum(e.outcome["optimality"] for e in episodes) / len(episodes),
        "finished": sum(e.finish == "finish" for e in episodes) / len(episodes),
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
