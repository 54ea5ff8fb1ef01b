"""The pocket base: a tokenizer and a 0.6 M-parameter Qwen3 that can copy, made from scratch in
minutes on a CPU.

    tokenizer = base_tokenizer(profile)
    model, report = train_base(tokenizer, profile.base, progress)
    save_base(folder, tokenizer, model, report)

The base learns to write out again what it was shown (training/sessions.py) and has never seen the
knapsack task. Optimisers: Muon (Jordan et al. 2024, torch.optim.Muon) on matrices, AdamW on the
rest.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable
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
from knapsack_lib.files import path_digest, write_whole
from knapsack_lib.policies.scripted import ScriptedPolicy
from knapsack_lib.profiles import RUNTIMES, Base, Cell, Profile
from knapsack_lib.prompts import REFUSALS
from knapsack_lib.rollouts import Rollouts, silent
from knapsack_lib.seeds import named_seed
from knapsack_lib.store import read_episodes
from knapsack_lib.training.optimizers import muon_with_adamw
from knapsack_lib.training.sessions import document, words

__all__ = [
    "base_tokenizer",
    "copy_accuracy",
    "make_tokenizer",
    "save_base",
    "tokenizer_texts",
    "train_base",
]

ASSETS = Path(__file__).parents[1] / "assets"
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
    for word, name in profile.difficulties.items():
        size = family.tokenizer_sizes.get(word, family.size(name))
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


def base_tokenizer(profile: Profile) -> Tokenizer:
    """The tokenizer of a base: fitted to what it is about, or that of the base which it goes on from."""
    if profile.base.begins_from:
        return Tokenizer.from_file(str(ASSETS / profile.base.begins_from / "tokenizer.json"))
    return make_tokenizer(tokenizer_texts(profile), profile.base.vocabulary)


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


class _Stream:
    """Rows of packed documents with loss weights; documents are cut where a row ends."""

    def __init__(self, chat: ChatTokenizer, settings: Base, purpose: str):
        self._chat, self._settings, self.share = chat, settings, settings.sessions_share
        self._rng = np.random.Generator(np.random.PCG64(named_seed(settings.seed, purpose)))

    def tokens(self, size: int) -> list[tuple[int, float, bool]]:
        """(id, loss weight, whether it is a copy) of each token of one document."""
        chat, shown, found = self._chat, self._settings.shown_weight, []
        for role, text, spans in document(self._rng, size, self.share, self._settings.wide):
            weight = self._settings.other_weight if role == "assistant" else shown
            found += [(i, shown, False) for i in chat.head(role)]
            for i, start, end in chat.spans(text):
                copy = any(first <= start and end <= last for first, last in spans)
                found.append((i, 1.0 if copy else weight, copy))
            found += [(chat.end, weight, False), *((i, shown, False) for i in chat.newline)]
        return found

    def rows(self, count: int, length: int, size: int) -> list[torch.Tensor]:
        """ids, loss weights, copies: three tensors of shape [count, length]."""
        rows = []
        for _ in range(count):
            row: list[tuple[int, float, bool]] = []
            while len(row) < length:
                row += self.tokens(size)
            rows.append(zip(*row[:length], strict=True))
        return [torch.tensor(column) for column in zip(*rows, strict=True)]


def train_base(
    tokenizer: Tokenizer, settings: Base, progress: Callable[[int, int], None] = silent
) -> tuple[Qwen3ForCausalLM, dict[str, Any]]:
    """Train from scratch, or on from a shipped base. Returns the model and a report with the curve and the held-out copy
    accuracy."""
    torch.set_num_threads(settings.threads)
    chat = ChatTokenizer(tokenizer)
    model = (
        Qwen3ForCausalLM.from_pretrained(ASSETS / settings.begins_from, dtype=torch.float32)
        if settings.begins_from
        else make_model(settings, tokenizer.get_vocab_size())
    )
    stream = _Stream(chat, settings, "base training")
    optimizer = muon_with_adamw(model, settings.muon_learning_rate, settings.learning_rate, 0.01)
    peaks = [group["lr"] for group in optimizer.param_groups]
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
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * scale
        ids, weights, copies = stream.rows(max(2, settings.tokens_per_step // length), length, size)
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.bf16):
            logits = model(ids[:, :-1]).logits.float()
        targets, weights, copies = ids[:, 1:], weights[:, 1:], copies[:, 1:]
        losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        loss = (losses.view_as(weights) * weights).sum() / weights.sum()
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        seen, step = seen + ids.numel(), step + 1
        if step % 50 == 0:
            right = (logits.argmax(-1) == targets)[copies].float().mean()
            curve.append([seen, round(loss.item(), 4), round(right.item(), 5)])
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
    hits = []
    for _ in range(rows // 4):
        ids, _, copies = stream.rows(4, settings.last_length, settings.largest)
        hits.append((model(ids[:, :-1]).logits.argmax(-1) == ids[:, 1:])[copies[:, 1:]])
    found = torch.cat(hits)
    return {
        "held_out_copy_accuracy": int(found.sum()) / len(found),
        "held_out_copied_tokens": len(found),
    }


def save_base(
    folder: Path, tokenizer: Tokenizer, model: Qwen3ForCausalLM, report: dict[str, Any]
) -> None:
    """Write model.safetensors, config.json, tokenizer files, chat template, report.json and
    SHA256SUMS."""
    model.float().save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=CHAT_TEMPLATE,
        model_max_length=model.config.max_position_embeddings,
        clean_up_tokenization_spaces=False,
    ).save_pretrained(folder)
    write_whole(folder / "report.json", json.dumps(report, indent=1, sort_keys=True) + "\n")
    files = sorted(path for path in folder.iterdir() if path.name != "SHA256SUMS")
    sums = "".join(f"{path_digest(path)}  {path.name}\n" for path in files)
    write_whole(folder / "SHA256SUMS", sums)
