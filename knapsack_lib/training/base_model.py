"""The pocket base: a tokenizer and a 0.6 M-parameter Qwen3 that can copy, made from scratch in
minutes on a CPU.

    tokenizer = make_tokenizer(tokenizer_texts(profile), profile.base.vocabulary)
    model, report = train_base(tokenizer, profile.base, progress)
    save_base(folder, tokenizer, model, report)

The base learns to write out again what it was shown (training/sessions.py) and has never seen the
knapsack task. Optimisers: Muon (Jordan et al. 2024, torch.optim.Muon) on matrices, AdamW on the
rest.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from knapsack_lib.chat import CHAT_TEMPLATE, ChatTokenizer
from knapsack_lib.families import family_named
from knapsack_lib.families.ids import SYLLABLES
from knapsack_lib.policies.scripted import ScriptedPolicy
from knapsack_lib.profiles import RUNTIMES, Base, Cell, Profile
from knapsack_lib.prompts import REFUSALS
from knapsack_lib.rollouts import Rollouts
from knapsack_lib.seeds import named_seed
from knapsack_lib.store import read_episodes
from knapsack_lib.training.sessions import document, words

__all__ = [
    "copy_accuracy",
    "make_tokenizer",
    "optimizers_for",
    "save_base",
    "tokenizer_texts",
    "train_base",
]

# Fixed apart from the study's sizes: the shipped base depends on these texts
TOKENIZER_ITEMS = (
    (8, 10),
    (11, 13),
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
# Two-syllable ids fall into their syllables, numbers below 100 into one piece, code into words and
# runs of punctuation.
PIECES = r"[BDFGKLMNRT][aeiou](?=[BDFGKLMNRT'\"])|[0-9]{1,2}|\n *| ?[A-Za-z_]+(?![0-9])|(?: ?[^A-Za-z0-9_\n ]+)+(?: (?=[0-9]))?| "


def tokenizer_texts(profile: Profile) -> list[str]:
    """What the tokenizer is fitted to: made-up sessions, expert traces of 400 tasks used for
    nothing else, and every prompt. Only the tokenizer sees the traces; the base model never does.
    """
    rng = np.random.Generator(np.random.PCG64(named_seed(0, "tokenizer sessions")))
    texts = [text for _ in range(3000) for _, text, _ in document(rng, 12, 0.7)]
    family = family_named(profile.family)
    for (word, name), items in zip(profile.difficulties.items(), TOKENIZER_ITEMS, strict=True):
        size = replace(family.size(name), items=items)
        tasks = [family.make_task(size, seed=0, split="tokenizer", index=i) for i in range(100)]
        for style in RUNTIMES:
            cell = Cell(family.name, "teacher", style, word)
            policy = ScriptedPolicy(family.name, style, profile.teacher)
            with tempfile.TemporaryDirectory() as folder:
                store = Path(folder) / "store"
                Rollouts(policy, cell, profile, seed=0, shard=50).run(tasks, store, "key")
                episodes = list(read_episodes(store, ""))
            texts += [m["content"] for e in episodes for m in e.messages()]
            texts += [m["content"] for m in episodes[0].opening] * 1500
    texts += [*REFUSALS.values(), *family.sentences] * 300
    return texts + ["system", "user", "assistant"] * 6000 + sorted(words()) * 100


def make_tokenizer(texts: Iterable[str], vocabulary: int = 960) -> Tokenizer:
    """Byte-level BPE that reads any text; syllables and numbers below 100 are always single pieces."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    always = [f"'{s}'" for s in SYLLABLES] * 500 + [str(i) for i in range(100)] * 500
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator([*texts, *always], trainer)
    return tokenizer


def make_model(settings: Base, vocabulary: int) -> Qwen3ForCausalLM:
    torch.manual_seed(named_seed(settings.seed, "base weights"))
    config = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=settings.hidden,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        head_dim=settings.hidden // settings.heads,
        intermediate_size=settings.feed_forward,
        max_position_embeddings=settings.context,
        tie_word_embeddings=True,
        attention_bias=False,
        rope_parameters={"rope_type": "default", "rope_theta": settings.rope_theta},
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=0,
    )
    return Qwen3ForCausalLM(config)


def optimizers_for(
    model: torch.nn.Module, muon_learning_rate: float, rate: float, weight_decay: float
) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks, AdamW for embeddings and norms."""
    inner = [
        p
        for n, p in model.named_parameters()
        if p.requires_grad and p.ndim == 2 and "embed" not in n
    ]
    outer = [
        p
        for n, p in model.named_parameters()
        if p.requires_grad and not (p.ndim == 2 and "embed" not in n)
    ]
    return [
        torch.optim.Muon(
            inner, lr=muon_learning_rate, weight_decay=weight_decay, adjust_lr_fn="original"
        ),
        torch.optim.AdamW(outer, lr=rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


class _Stream:
    """Rows of packed documents with loss weights; documents are cut where a row ends."""

    def __init__(self, chat: ChatTokenizer, settings: Base, purpose: str):
        self._wording, self._settings, self.share = chat, settings, settings.sessions_share
        self._rng = np.random.Generator(np.random.PCG64(named_seed(settings.seed, purpose)))

    def tokens(self, size: int) -> tuple[list[int], list[float], list[bool]]:
        """(ids, weight, is a copy) of one document."""
        ids: list[int] = []
        weights: list[float] = []
        copies: list[bool] = []
        chosen = self._settings
        for role, text, spans in document(self._rng, size, self.share):
            head, body = self._wording.head(role), self._wording.spans(text)
            base = chosen.other_weight if role == "assistant" else chosen.shown_weight
            ids += [*head, *(i for i, _, _ in body), self._wording.end, *self._wording.newline]
            is_copy = [any(a <= start and end <= b for a, b in spans) for _, start, end in body]
            weights += (
                [chosen.shown_weight] * len(head)
                + [1.0 if c else base for c in is_copy]
                + [base, chosen.shown_weight]
            )
            copies += [False] * len(head) + is_copy + [False, False]
        return ids, weights, copies

    def rows(
        self, count: int, length: int, size: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Three tensors of shape [count, length]."""
        ids, weights, copies = [], [], []
        for _ in range(count):
            row: tuple[list[int], list[float], list[bool]] = ([], [], [])
            while len(row[0]) < length:
                more = self.tokens(size)
                row[0].extend(more[0])
                row[1].extend(more[1])
                row[2].extend(more[2])
            ids.append(row[0][:length])
            weights.append(row[1][:length])
            copies.append(row[2][:length])
        return torch.tensor(ids), torch.tensor(weights), torch.tensor(copies)


def train_base(
    tokenizer: Tokenizer,
    settings: Base,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Qwen3ForCausalLM, dict[str, Any]]:
    """Train from scratch. Returns the model and a report with the curve and the held-out copy
    accuracy."""
    torch.set_num_threads(settings.threads)
    chat = ChatTokenizer(tokenizer)
    model = make_model(settings, tokenizer.get_vocab_size())
    stream = _Stream(chat, settings, "base training")
    optimizers = optimizers_for(model, settings.muon_learning_rate, settings.learning_rate, 0.01)
    peaks = [group["lr"] for o in optimizers for group in o.param_groups]
    seen, step, curve = 0, 0, []
    while seen < settings.tokens:
        done = seen / settings.tokens
        stage = min(1.0, done / settings.grow_until)
        length = int(
            settings.first_length * (settings.last_length / settings.first_length) ** stage
        )
        size = 2 + int((settings.largest - 2) * stage**1.5)
        stream.share = settings.sessions_share if stage >= settings.sessions_from else 0.0
        scale = min(1.0, (step + 1) / 50) * min(1.0, max(0.02, (1 - done) / settings.decay_ratio))
        for group, peak in zip((g for o in optimizers for g in o.param_groups), peaks, strict=True):
            group["lr"] = peak * scale
        ids, weights, copies = stream.rows(max(2, settings.tokens_per_step // length), length, size)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(ids[:, :-1]).logits.float()
        losses = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none").view(
            len(ids), -1
        )
        loss = (losses * weights[:, 1:]).sum() / weights[:, 1:].sum()
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        seen, step = seen + ids.numel(), step + 1
        if step % 50 == 0:
            right = (logits.argmax(-1) == ids[:, 1:]) & copies[:, 1:]
            curve.append(
                [seen, round(loss.item(), 4), round((right.sum() / copies[:, 1:].sum()).item(), 5)]
            )
        progress(min(seen, settings.tokens), settings.tokens)
    report = {"settings": settings.model_dump(), "steps": step, "tokens": seen, "curve": curve}
    return model, report | copy_accuracy(model, chat, settings)


@torch.no_grad()
def copy_accuracy(
    model: Qwen3ForCausalLM, chat: ChatTokenizer, settings: Base, rows: int = 40
) -> dict[str, Any]:
    """Share of copied tokens that the model ranks first, on documents of full size and length never
    trained on."""
    stream = _Stream(chat, settings, "base held out")
    right = total = 0
    for _ in range(rows // 4):
        ids, _, copies = stream.rows(4, settings.last_length, settings.largest)
        hit = model(ids[:, :-1]).logits.argmax(-1) == ids[:, 1:]
        right += int((hit & copies[:, 1:]).sum())
        total += int(copies[:, 1:].sum())
    return {"held_out_copy_accuracy": right / total, "held_out_copied_tokens": total}


def save_base(
    folder: Path, tokenizer: Tokenizer, model: Qwen3ForCausalLM, report: dict[str, Any]
) -> None:
    """Write model.safetensors, config.json, tokenizer files, chat template, report.json and
    SHA256SUMS."""
    folder.mkdir(parents=True, exist_ok=True)
    model.float().save_pretrained(folder)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=CHAT_TEMPLATE,
        model_max_length=model.config.max_position_embeddings,
        clean_up_tokenization_spaces=False,
    )
    wrapped.save_pretrained(folder)
    (folder / "report.json").write_text(json.dumps(report, indent=1, sort_keys=True) + "\n")
    names = sorted(p.name for p in folder.iterdir() if p.name != "SHA256SUMS")
    sums = [f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in names]
    (folder / "SHA256SUMS").write_text("".join(sums))
