"""The proof that adapters are live: the server's log-probabilities held against PEFT's on the same
token ids.

A server that ignores an adapter, or takes the wrong one when requests are batched, answers just as
politely. So every model is asked one request at a time and then all of them at once. With requests
to the base among them, the CPU build of vLLM 0.32 fails that second part unless it has a slot to
spare (vllm.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from knapsack_lib.chat import ChatTokenizer
from knapsack_lib.errors import UserError
from knapsack_lib.messages import Message
from knapsack_lib.serving.asking import BASE, ask

__all__ = ["Proof", "Reference", "check_template", "peft_reference", "prove_adapters"]

STEPS, TOP = (
    6,
    5,
)  # tokens that each probe lets the model say, and log-probabilities compared at each
ROUNDS, TOGETHER = (
    2,
    32,
)  # how often every request comes in the mixed batch, and how many are under way at once


@dataclass(frozen=True)
class Reference:
    """What PEFT says. Per model and probe: the ids of STEPS greedy tokens, and before each of them
    the log-probability (nats) of every token [STEPS, vocabulary]. `prompts` are token ids as
    training spells them."""

    prompts: list[list[int]]
    ids: dict[str, list[list[int]]]
    values: dict[str, list[np.ndarray]]


@dataclass(frozen=True)
class Proof:
    """Largest differences of log-probabilities (nats). `alone` and `batch`: the server's from
    PEFT's, per model; `apart`: one model's answers from another's, per pair the smaller of the two
    ways. `requests` were asked in the mixed batch."""

    tolerance: float
    probes: int
    requests: int
    alone: dict[str, float]
    batch: dict[str, float]
    apart: dict[str, float]

    def rows(self) -> list[dict[str, Any]]:
        """One row per model, for a table."""
        return [
            {
                "model": name,
                "alone": self.alone[name],
                "in a mixed batch": self.batch[name],
                "allowed": self.tolerance,
                "from the nearest other model": min(
                    (gap for pair, gap in self.apart.items() if name in pair.split(" | ")),
                    default=float("inf"),
                ),
            }
            for name in self.alone
        ]


Said = list[
    tuple[int, dict[int, float]]
]  # per step: the token that was taken, and log-probabilities of the likeliest
Answers = list[tuple[int, Said]]  # to probes, by their number


def prove_adapters(
    url: str,
    base: Path | str,
    adapters: Mapping[str, Path],
    probes: Sequence[Sequence[Message]],
    tolerance: float,
    *,
    reference: Reference | None = None,
    seconds: float = 120.0,
) -> Proof:
    """Hold the server's log-probabilities of the likeliest tokens against PEFT's, alone and in a
    batch of all models.

    `probes` are conversations that the model is to answer; `tolerance` is the largest difference
    allowed (nats); `reference` is computed here, on the CPU, when it is not given; `seconds` are
    for one request. Raises UserError when the models are too alike to be told apart on the probes,
    or when the server differs from PEFT.
    """
    known = reference or peft_reference(base, adapters, probes, device="cpu")
    names, count = [BASE, *adapters], len(known.prompts)
    apart = {
        # The smaller: one that has learned a token more finds the other's likeliest ones as likely
        # as ever.
        f"{one} | {other}": min(_between(known, one, other), _between(known, other, one))
        for at, one in enumerate(names)
        for other in names[at + 1 :]
    }
    for pair, gap in apart.items():
        if gap <= tolerance:
            raise UserError(
                f"{pair.replace(' | ', ' and ')} are too alike: what one answers to the {count} probes is within {gap:.2g} nats "
                f"of the other, the tolerance is {tolerance:g}; take other probes or look at how the adapter was trained"
            )
    alone = {
        name: [(at, _answer(url, name, known.prompts[at], seconds)) for at in range(count)]
        for name in names
    }
    mixed = [(name, at) for at in range(count) for name in names] * ROUNDS
    with ThreadPoolExecutor(min(TOGETHER, len(mixed))) as threads:
        answers = list(
            threads.map(
                lambda one: _answer(url, one[0], known.prompts[one[1]], seconds, "batch"), mixed
            )
        )
    batch: dict[str, Answers] = {name: [] for name in names}
    for (name, at), said in zip(mixed, answers, strict=True):
        batch[name].append((at, said))
    proof = Proof(
        tolerance,
        count,
        len(mixed),
        {name: _furthest(known, name, alone[name]) for name in names},
        {name: _furthest(known, name, batch[name]) for name in names},
        apart,
    )
    _judge(proof, known, alone, batch)
    return proof


def peft_reference(
    base: Path | str,
    adapters: Mapping[str, Path],
    probes: Iterable[Sequence[Message]],
    *,
    device: str = "",
    dtype: str = "float32",
) -> Reference:
    """What transformers and PEFT say to the probes, the base alone and with each adapter.

    `device`: empty takes the GPU if there is one; call it before the server takes the memory.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    chat = _wording(base)
    prompts = [_prompt(chat, probe) for probe in probes]
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=getattr(torch, dtype))
    model = model.to(device).eval()
    ids, values = {}, {}

    def note(name: str) -> None:
        ids[name], values[name] = map(
            list, zip(*(_greedy(model, prompt) for prompt in prompts), strict=True)
        )

    with torch.inference_mode():
        note(BASE)
        for (
            name,
            folder,
        ) in adapters.items():  # PEFT wraps the base once and then takes more adapters
            if isinstance(model, PeftModel):
                model.load_adapter(str(folder), adapter_name=name)
            else:
                model = PeftModel.from_pretrained(model, str(folder), adapter_name=name).eval()
            model.set_adapter(name)
            note(name)
    return Reference(prompts, ids, values)


def check_template(
    url: str, base: Path | str, probes: Iterable[Sequence[Message]], model: str = BASE
) -> None:
    """Raise UserError unless vLLM's chat template gives the probes the token ids that training
    gives them."""
    chat = _wording(base)
    for number, probe in enumerate(probes):
        body = {"model": model, "messages": list(probe), "add_generation_prompt": True}
        served = ask(f"{url.removesuffix('/v1')}/tokenize", body, 60)["tokens"]
        if served != _prompt(chat, probe):
            raise UserError(
                f"the server at {url} renders probe {number} in {len(served)} tokens, unlike training in "
                f"{len(_prompt(chat, probe))}; give it our chat template, or serving.prompts: tokens"
            )


def _prompt(chat: ChatTokenizer, probe: Sequence[Message]) -> list[int]:
    return [i for message in probe for i in chat.message(message)] + list(chat.ask)


def _wording(base: Path | str) -> ChatTokenizer:
    file = Path(base) / "tokenizer.json"
    if file.is_file():
        from tokenizers import Tokenizer

        return ChatTokenizer(Tokenizer.from_file(str(file)))
    from transformers import AutoTokenizer

    return ChatTokenizer(AutoTokenizer.from_pretrained(base).backend_tokenizer)


def _greedy(model: Any, prompt: list[int]) -> tuple[list[int], np.ndarray]:
    import torch

    ids, values, cache, fresh = [], [], None, prompt
    for _ in range(STEPS):
        out = model(
            torch.tensor([fresh], device=model.device), past_key_values=cache, use_cache=True
        )
        values.append(torch.log_softmax(out.logits[0, -1].float(), -1).cpu().numpy())
        ids.append(int(values[-1].argmax()))
        cache, fresh = out.past_key_values, ids[-1:]
    return ids, np.stack(values)


def _answer(url: str, model: str, prompt: list[int], seconds: float, salt: str = "alone") -> Said:
    """The server's greedy continuation, however it would end, with the log-probabilities of the
    likeliest tokens."""
    # The salt keeps vLLM's cache of prefixes from handing on what was computed for another part of
    # the proof, and what a wrong batch has left in it from reaching an episode.
    body = {
        "model": model,
        "prompt": prompt,
        "max_tokens": STEPS,
        "temperature": 0,
        "logprobs": TOP,
        "ignore_eos": True,
        "return_tokens_as_token_ids": True,
        "cache_salt": f"proof {salt}",
    }
    found = ask(f"{url}/completions", body, seconds)["choices"][0]["logprobs"]
    try:
        tops = [
            {_id(token): float(value) for token, value in top.items()}
            for top in found["top_logprobs"]
        ]
        said = list(zip(map(_id, found["tokens"]), tops, strict=True))
        if len(said) != STEPS or not all(tops):
            raise ValueError
        return said
    except (TypeError, KeyError, ValueError):
        raise UserError(
            f"the server at {url} gives no log-probabilities by token id; it is no vLLM"
        ) from None


def _id(token: str) -> int:
    return int(token.removeprefix("token_id:"))


def _distance(said: Said, ids: list[int], values: np.ndarray) -> float:
    """The largest difference, up to where the two took different tokens and so read different
    texts."""
    furthest = 0.0
    for (taken, top), expected, row in zip(said, ids, values, strict=True):
        gaps = [abs(value - float(row[token])) for token, value in top.items()]
        furthest = max(
            [furthest, *(gap if np.isfinite(gap) else np.inf for gap in gaps)]
        )  # a NaN is no agreement
        if taken != expected:
            break
    return furthest


def _furthest(known: Reference, name: str, answers: Iterable[tuple[int, Said]]) -> float:
    return max(_distance(said, known.ids[name][at], known.values[name][at]) for at, said in answers)


def _between(known: Reference, one: str, other: str) -> float:
    """How far one model's answers are from another's, both by PEFT."""

    def said(at: int) -> Said:
        rows = known.values[one][at]
        tops = [{int(i): float(row[i]) for i in np.argsort(row)[-TOP:]} for row in rows]
        return list(zip(known.ids[one][at], tops, strict=True))

    return _furthest(known, other, ((at, said(at)) for at in range(len(known.prompts))))


def _judge(
    proof: Proof, known: Reference, alone: Mapping[str, Answers], batch: Mapping[str, Answers]
) -> None:
    def like(name: str, answers: Answers) -> list[str]:
        return [
            o for o in proof.alone if o != name and _furthest(known, o, answers) <= proof.tolerance
        ]

    for name, gap in proof.alone.items():
        if gap > proof.tolerance:
            others = like(name, alone[name])
            answers = (
                f"answers as {others[0]} does" if others else "answers as no model of PEFT's does"
            )
            raise UserError(
                f"the server's {name} {answers}: its log-probabilities are up to {gap:.2g} nats from PEFT's, allowed are "
                f"{proof.tolerance:g}; do not use this server's episodes"
            )
    for name, gap in proof.batch.items():
        if gap > proof.tolerance:
            raise UserError(
                f"the server's {name} is right alone and wrong among {proof.requests} requests to all models: "
                f"{gap:.2g} nats from PEFT's, allowed are {proof.tolerance:g}; do not use this server's episodes"
            )
        # An error that is allowed may cover the whole way between two models that are hardly
        # further apart.
        for other in like(name, alone[name]) + like(name, batch[name]):
            raise UserError(
                f"the server's {name} answers as {other} does too, within the tolerance of {proof.tolerance:g} nats: nothing "
                "could be proved; lower evaluation.serving.agreement or take other probes"
            )
