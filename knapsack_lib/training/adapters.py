"""Fine-tuning: one adapter per regime, through TRL's SFTTrainer, the same call at every scale.

    report = fine_tune(run, "reset", key, train_seed=2, progress=...)     # writes run.adapter("reset", 2)

Both arms get the same tasks in the same order, the same settings and the same number of steps; only the text differs.
Method `full` trains every weight, `lora` and `qlora` a PEFT adapter (merged for the pocket engine, kept beside it).
The checkpoint is chosen by playing *validation* tasks in the regime's own runtime.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, TrainerCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling, SFTTrainer

from knapsack_lib.agent import Cast
from knapsack_lib.episodes import Episode, read_episodes
from knapsack_lib.families.base import read_tasks
from knapsack_lib.policies.pocket import PocketEngine
from knapsack_lib.profiles import Profile, Run, Training, UserError
from knapsack_lib.rollouts import play_tasks
from knapsack_lib.training.base_model import optimizers_for
from knapsack_lib.training.conversations import Talk, Wording, base_folder, check_mask, encode_episode

__all__ = ["fine_tune"]

COMPLETE = "complete"  # the last file of a checkpoint; without it the checkpoint is half a one
LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def fine_tune(
    run: Run, train: str, key: str, progress: Callable[[int, int], None] = lambda done, total: None, *,
    train_seed: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """Train on the regime's teacher traces and choose a checkpoint. Returns the report that is written beside it.

    A finished adapter with the same key is left as it is; an interrupted training goes on from its last checkpoint.
    """
    folder, setting = run.adapter(train, train_seed), run.profile.training
    if (folder / "training.json").exists() and (folder / "key").read_text().strip() == key:
        return json.loads((folder / "training.json").read_text())
    work = folder.with_name(f"{folder.name}.work")
    _fresh_unless(work, key)
    torch.set_num_threads(setting.threads)
    talks, held_out = _talks(run, train)
    trainer = _trainer(run, train_seed, work, talks, held_out, progress)
    marks = sorted(work.glob("checkpoint-*"), key=_step)
    trainer.train(resume_from_checkpoint=str(marks[-1]) if marks else None)
    played = {}
    for mark in sorted(work.glob("checkpoint-*"), key=_step)[-setting.candidates :]:
        candidate = work / f"candidate-{_step(mark)}"
        _export(trainer, run.profile, mark, candidate)
        played[_step(mark)] = _play_validation(run, Cast(train, train, "easy", train_seed), candidate)
    best = max(played, key=lambda step: (played[step]["optimality"], played[step]["finished"], step))
    rows = _order(run, train_seed, len(talks))
    report = {
        "train": train, "train_seed": train_seed, "method": setting.method, "steps": setting.steps, "chosen_step": best,
        "validation_play": {str(step): result for step, result in played.items()},
        "tokens_seen": sum(len(talks[i].input_ids) for i in rows),
        "assistant_tokens_seen": sum(sum(talks[i].mask) for i in rows),
        "traces": len(talks), "curve": _curve(trainer.state.log_history),
    }  # fmt: skip
    final = work / f"candidate-{best}"
    (final / "key").write_text(key + "\n")
    (final / "training.json").write_text(json.dumps(report, indent=1, sort_keys=True) + "\n")
    if folder.exists():
        shutil.rmtree(folder)
    final.rename(folder)
    shutil.rmtree(work)
    return report


def _step(folder: Path) -> int:
    return int(folder.name.split("-")[1])


def _fresh_unless(work: Path, key: str) -> None:
    """Keep a half-done training only when it was started from the same inputs."""
    mark = work / "key"
    if work.exists() and not (mark.exists() and mark.read_text().strip() == key):
        shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    mark.write_text(key + "\n")
    for part in work.glob("candidate-*"):
        shutil.rmtree(part)
    for part in work.glob("checkpoint-*"):
        if not (part / COMPLETE).exists():
            shutil.rmtree(part)


def _talks(run: Run, train: str) -> tuple[list[Talk], list[Talk]]:
    """(training, validation) conversations of one regime, in task order."""
    mend = f"papermill notebooks/02_teacher.ipynb -p profile {run.profile.name} -p runtime {train}"
    episodes = read_episodes(run.teacher(train), mend)
    wording = Wording(Tokenizer.from_file(str(base_folder(run.profile) / "tokenizer.json")))
    longest = run.profile.training.max_tokens

    def encoded(kind: str) -> list[Talk]:
        chosen: list[Episode] = [e for e in episodes if f"-{kind}-" in e.task_id]
        talks = [encode_episode(wording, e) for e in chosen]
        check_mask(talks)
        too_long = sum(len(t.input_ids) > longest for t in talks)
        if too_long or not talks:
            raise UserError(f"{too_long} of {len(talks)} {kind} traces are over max_tokens = {longest}; raise it")
        return talks

    return encoded("train"), encoded("validation")


def _order(run: Run, train_seed: int, traces: int) -> list[int]:
    """Which trace each row of training is: whole passes in a drawn order, the same in both arms."""
    setting = run.profile.training
    rng = np.random.Generator(np.random.PCG64(run.training_seed("training order", train_seed)))
    rows = setting.steps * setting.episodes_per_step
    passes = [rng.permutation(traces) for _ in range(-(-rows // traces))]
    return np.concatenate(passes)[:rows].tolist()


def _dataset(talks: list[Talk]) -> Dataset:
    return Dataset.from_dict({
        "input_ids": [t.input_ids for t in talks],
        "assistant_masks": [t.mask for t in talks],
    })  # fmt: skip


class _PadRight(DataCollatorForLanguageModeling):
    """TRL's collator with padding left unmasked: under causal attention nothing sees what is padded on its right, and
    without a mask the kernel may skip the upper half (docs/log.md has the gain)."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        batch = super().torch_call(examples)
        batch["attention_mask"] = torch.ones_like(batch["attention_mask"])
        return batch


def _trainer(
    run: Run, train_seed: int, work: Path, talks: list[Talk], held_out: list[Talk],
    progress: Callable[[int, int], None],
) -> SFTTrainer:  # fmt: skip
    setting = run.profile.training
    seed = run.training_seed("fine-tune", train_seed) % 2**31  # the same in both arms: same initial adapter
    config = SFTConfig(
        output_dir=str(work), max_steps=setting.steps, per_device_train_batch_size=setting.episodes_per_step,
        per_device_eval_batch_size=4, learning_rate=setting.learning_rate, weight_decay=setting.weight_decay,
        max_length=setting.max_tokens, packing=False, seed=seed, data_seed=seed, use_cpu=not torch.cuda.is_available(),
        bf16=setting.bf16, eval_strategy="steps", eval_steps=setting.check_every, save_steps=setting.check_every,
        save_strategy="steps", save_total_limit=setting.candidates + 1, logging_steps=min(10, setting.check_every), report_to="none",
        train_sampling_strategy="sequential", disable_tqdm=True, gradient_checkpointing=False, max_grad_norm=1.0, dataloader_num_workers=0,
    )  # fmt: skip
    model = _model(run.profile)
    lora = None
    if setting.method != "full":
        lora = LoraConfig(
            r=setting.lora_rank, lora_alpha=setting.lora_alpha, lora_dropout=setting.lora_dropout,
            target_modules=LAYERS, task_type="CAUSAL_LM",
        )  # fmt: skip
    callbacks: list[TrainerCallback] = [_Progress(progress)]
    if setting.average_decay:
        callbacks.append(_Average(setting.average_decay))
    callbacks.append(_Complete())  # after what else writes into a checkpoint
    tokenizer = AutoTokenizer.from_pretrained(base_folder(run.profile))
    trainer = SFTTrainer(
        model=model, args=config, train_dataset=_dataset([talks[i] for i in _order(run, train_seed, len(talks))]), eval_dataset=_dataset(held_out),
        processing_class=tokenizer,
        data_collator=_PadRight(tokenizer.pad_token_id), peft_config=lora, callbacks=callbacks,
    )  # fmt: skip
    assert isinstance(trainer.model, torch.nn.Module)
    optimizer = _optimizer(trainer.model, setting)
    trainer.optimizer = optimizer
    trainer.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, setting))
    return trainer


def _model(profile: Profile) -> Any:
    setting = profile.training
    quantised = None
    if setting.method == "qlora":
        quantised = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )  # fmt: skip
    return AutoModelForCausalLM.from_pretrained(
        base_folder(profile), quantization_config=quantised, dtype=torch.float32, attn_implementation="sdpa"
    )


def _rate(step: int, setting: Training) -> float:
    """Warm up linearly, hold, then fall linearly to 2% over the last `decay_share` of the steps."""
    rising = (step + 1) / max(1.0, setting.warmup_share * setting.steps)
    falling = (1 - step / setting.steps) / setting.decay_share
    return min(1.0, rising, max(0.02, falling))


class _Joint(torch.optim.Optimizer):
    """Two optimisers over disjoint weights as one, so that a Trainer can drive Muon beside AdamW."""

    def __init__(self, parts: list[torch.optim.Optimizer]):
        self.parts = parts
        super().__init__([p for part in parts for group in part.param_groups for p in group["params"]], {})
        self.param_groups = [group for part in parts for group in part.param_groups]  # shared: one schedule for both

    def step(self, closure: Any = None) -> Any:
        for part in self.parts:
            part.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for part, saved in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(saved)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def _optimizer(model: torch.nn.Module, setting: Training) -> torch.optim.Optimizer:
    if setting.optimizer == "adamw":
        weights = [p for p in model.parameters() if p.requires_grad]
        return torch.optim.AdamW(weights, lr=setting.learning_rate, weight_decay=setting.weight_decay)
    return _Joint(optimizers_for(model, setting.matrix_rate, setting.learning_rate, setting.weight_decay))


class _Progress(TrainerCallback):
    def __init__(self, progress: Callable[[int, int], None]):
        self._progress = progress

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._progress(state.global_step, state.max_steps)


class _Average(TrainerCallback):
    """A running average of the trained weights (Polyak 1992), saved with every checkpoint: less noisy than the last."""

    def __init__(self, decay: float):
        self._decay = decay
        self._mean: dict[str, torch.Tensor] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        saved = Path(args.output_dir) / f"checkpoint-{state.global_step}" / "average.safetensors"
        self._mean = load_file(saved) if saved.exists() else {n: p.detach().clone() for n, p in _trained(model)}

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        decay = min(self._decay, (1 + state.global_step) / (10 + state.global_step))
        for name, weight in _trained(model):
            self._mean[name].lerp_(weight.detach(), 1 - decay)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        save_file(self._mean, Path(args.output_dir) / f"checkpoint-{state.global_step}" / "average.safetensors")


class _Complete(TrainerCallback):
    """Marks a checkpoint once the Trainer and the callbacks before this one have written all of it."""

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        (Path(args.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE).touch()


def _trained(model: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    return [(n, p) for n, p in model.named_parameters() if p.requires_grad]


def _export(trainer: SFTTrainer, profile: Profile, mark: Path, folder: Path) -> None:
    """A checkpoint as a folder the engine can serve: whole weights, config, tokenizer; a PEFT adapter beside them."""
    model: Any = trainer.model
    average = mark / "average.safetensors"
    if average.exists():
        weights = dict(model.named_parameters())
        with torch.no_grad():
            for name, value in load_file(average).items():
                weights[name].copy_(value)
    base = base_folder(profile)
    if profile.training.method == "full":
        model.save_pretrained(folder)
    else:
        model.save_pretrained(folder / "adapter")
        with tempfile.TemporaryDirectory() as copy:  # merge into a copy in full precision, not into the trained model
            from peft import PeftModel

            model.save_pretrained(copy)
            whole = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
            PeftModel.from_pretrained(whole, copy).merge_and_unload().save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(base / name, folder / name)


def _play_validation(run: Run, cast: Cast, candidate: Path) -> dict[str, float]:
    """Mean optimality and share finished on the validation tasks, in the regime's own runtime."""
    profile = run.profile
    tasks = read_tasks(run.tasks("validation"), "papermill notebooks/01_generate.ipynb")
    engine = PocketEngine(candidate, profile.evaluation)
    with tempfile.TemporaryDirectory() as store:
        where = Path(store) / "play"
        play_tasks(tasks, engine, cast, profile, where, "validation", seed=run.seed, shard=profile.evaluation.shard)
        episodes = read_episodes(where, "")
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
