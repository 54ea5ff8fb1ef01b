"""The proof that adapters are live: the server's log-probabilities compared with PEFT's on the same
token ids.

A server that ignores an adapter, or takes the wrong one when requests are batched, gives answers
that look just as good. So every model is asked one request at a time and then all of them at once,
for the log-probabilities of the tokens that PEFT finds likeliest and of no others: a search through
the vocabulary at every step is not needed. (A vLLM that cannot name tokens gives its own likeliest.)
With requests to the base among them, the CPU build of vLLM 0.32 fails that second part unless it
has a slot to spare (vllm.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from knapsack_lib.chat import ChatTokenizer
from knapsack_lib.errors import UserError
from knapsack_lib.messages import Message
from knapsack_lib.serving.client import BASE, ask

__all__ = ["Proof", "Reference", "peft_reference", "prove_adapters"]

STEPS = 6  # tokens that are generated for each probe
TOP = 5  # log-probabilities compared at each of them
ROUNDS = 2  # how often every request comes in the mixed batch
CONCURRENCY = 32  # requests under way at once in it
# Tokens of a probe that are read, from its end, where there is no GPU: reading is most of the time.
LONGEST = 128

# Per step: the token that was taken, and the log-probabilities of the likeliest.
Answer = list[tuple[int, dict[int, float]]]
Answers = list[tuple[int, Answer]]  # with the number of the probe


@dataclass(frozen=True)
class Reference:
    """What PEFT answers. Per model and probe: the ids of STEPS greedy tokens, and before each of
    them the log-probability (nats) of every token [STEPS, vocabulary]. `prompts` are token ids as
    in training."""

    prompts: list[list[int]]
    ids: dict[str, list[list[int]]]
    values: dict[str, list[np.ndarray]]

    def distance(self, name: str, answers: Answers) -> float:
        """The largest difference of log-probabilities (nats) from this model's. An answer counts up
        to where the two took different tokens and so read different texts."""
        furthest = 0.0
        for at, answer in answers:
            steps = zip(answer, self.ids[name][at], self.values[name][at], strict=True)
            for (taken, top), expected, row in steps:
                gaps = np.abs(np.array(list(top.values())) - row[list(top)])
                gaps[np.isnan(gaps)] = np.inf
                furthest = max(furthest, float(gaps.max()))
                if taken != expected:
                    break
        return furthest

    def likeliest(self, name: str, at: int) -> list[list[int]]:
        """Of one model and probe, at each of the STEPS: the tokens that are compared."""
        return [[int(i) for i in np.argsort(row)[-TOP:]] for row in self.values[name][at]]

    def apart(self, one: str, other: str) -> float:
        """How far two models' answers are from each other: the smaller of the two ways, since one
        that has learned a token more finds the other's likeliest ones as likely as ever."""
        ways = []
        for asked, compared in ((one, other), (other, one)):
            tops = [
                [{i: float(row[i]) for i in ids} for ids, row in zip(likely, rows, strict=True)]
                for at, rows in enumerate(self.values[asked])
                for likely in [self.likeliest(asked, at)]
            ]
            steps = map(zip, self.ids[asked], tops)
            ways.append(self.distance(compared, list(enumerate(map(list, steps)))))
        return min(ways)


@dataclass(frozen=True)
class Proof:
    """Largest differences of log-probabilities (nats). `alone` and `batch`: the server's from
    PEFT's, per model; `apart`: one model's answers from another's, per pair. `requests` were asked
    in the mixed batch."""

    tolerance: float
    probes: int
    requests: int
    alone: dict[str, float]
    batch: dict[str, float]
    apart: dict[str, float]


def prove_adapters(
    url: str, reference: Reference, tolerance: float, seconds: float = 120.0
) -> Proof:
    """Compare the server's log-probabilities of the likeliest tokens with PEFT's, alone and in a
    batch of all models.

    `tolerance` is the largest difference allowed (nats), `seconds` are for one request. Raises
    UserError when the models are too alike to be told apart on the probes, or when the server
    differs from PEFT.
    """
    names, count = list(reference.ids), len(reference.prompts)
    apart = {
        f"{one} | {other}": reference.apart(one, other) for one, other in combinations(names, 2)
    }
    for pair, gap in apart.items():
        if gap <= tolerance:
            raise UserError(
                f"{pair.replace(' | ', ' and ')} are too alike: what one answers to the {count} probes is within "
                f"{gap:.2g} nats of the other, the tolerance is {tolerance:g}; take other probes or look at how the "
                "adapter was trained"
            )

    def answers(asked: Sequence[tuple[str, int]], salt: str, threads: int) -> dict[str, Answers]:
        # The salt keeps vLLM's cache of prefixes from reusing what was computed for another part of
        # the proof, and what a wrong batch has left in it from reaching an episode.
        bodies = [
            {"model": name, "prompt": reference.prompts[at], "cache_salt": f"proof {salt}"}
            for name, at in asked
        ]
        likeliest = [reference.likeliest(name, at) for name, at in asked]
        found: dict[str, Answers] = {name: [] for name in names}
        with ThreadPoolExecutor(threads) as pool:
            given = pool.map(partial(_answer, url, seconds), bodies, likeliest)
            for (name, at), answer in zip(asked, given, strict=True):
                found[name].append((at, answer))
        return found

    each = [(name, at) for at in range(count) for name in names]
    alone, batch = answers(each, "alone", 1), answers(each * ROUNDS, "batch", CONCURRENCY)
    proof = Proof(
        tolerance,
        count,
        ROUNDS * len(each),
        {name: reference.distance(name, alone[name]) for name in names},
        {name: reference.distance(name, batch[name]) for name in names},
        apart,
    )
    _judge(proof, reference, alone, batch)
    return proof


def peft_reference(
    base: Path,
    adapters: Mapping[str, Path],
    probes: Iterable[Sequence[Message]],
    dtype: str = "float32",
    chat: ChatTokenizer | None = None,
) -> Reference:
    """What transformers and PEFT answer to the probes (conversations whose next reply is the
    model's; `chat` spells them, ours if left out), the base alone and with each adapter. On the GPU
    if there is one: call it before the server takes its memory."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    chat = chat or ChatTokenizer.from_folder(base)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    prompts = [chat.prompt(probe) for probe in probes]
    if device == "cpu":
        prompts = [prompt[-LONGEST:] for prompt in prompts]
    found = Reference(prompts, {}, {})
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=getattr(torch, dtype))
    model = model.to(device).eval()
    with torch.inference_mode():
        for name, folder in {BASE: None, **adapters}.items():
            # PEFT wraps the base once and then takes more adapters.
            if isinstance(model, PeftModel):
                model.load_adapter(str(folder), adapter_name=name)
            elif folder:
                model = PeftModel.from_pretrained(model, str(folder), adapter_name=name).eval()
            if folder:
                model.set_adapter(name)
            answers = [_greedy(model, prompt) for prompt in found.prompts]
            found.ids[name], found.values[name] = map(list, zip(*answers, strict=True))
    return found


def _greedy(model: Any, prompt: list[int]) -> tuple[list[int], np.ndarray]:
    import torch

    ids, values, cache, fresh = [], [], None, prompt
    for _ in range(STEPS):
        given = torch.tensor([fresh], device=model.device)
        out = model(given, past_key_values=cache, use_cache=True)
        values.append(torch.log_softmax(out.logits[0, -1].float(), -1).cpu().numpy())
        ids.append(int(values[-1].argmax()))
        cache, fresh = out.past_key_values, ids[-1:]
    return ids, np.stack(values)


def _answer(
    url: str, seconds: float, body: Mapping[str, Any], likeliest: list[list[int]]
) -> Answer:
    """The server's greedy continuation, however it would end, with the log-probabilities of the
    tokens that are compared at each step."""
    greedy = {
        "max_tokens": STEPS,
        "temperature": 0,
        "logprobs": TOP,
        "logprob_token_ids": sorted({i for step in likeliest for i in step}),
        "ignore_eos": True,
        "return_tokens_as_token_ids": True,
    }
    found = ask(f"{url}/completions", {**body, **greedy}, seconds)["choices"][0]["logprobs"]
    try:
        tops = [{_id(t): float(v) for t, v in top.items()} for top in found["top_logprobs"]]
        tops = [
            {i: top[i] for i in step} if top.keys() >= set(step) else top
            for step, top in zip(likeliest, tops, strict=True)
        ]
        answer = list(zip(map(_id, found["tokens"]), tops, strict=True))
        if len(answer) != STEPS or not all(tops):
            raise ValueError
        return answer
    except (TypeError, KeyError, ValueError):
        raise UserError(
            f"the server at {url} gives no log-probabilities by token id; it is no vLLM"
        ) from None


def _id(token: str) -> int:
    return int(token.removeprefix("token_id:"))


def _judge(
    proof: Proof, reference: Reference, alone: Mapping[str, Answers], batch: Mapping[str, Answers]
) -> None:
    allowed = f"allowed are {proof.tolerance:g}; do not use this server's episodes"
    for name in proof.alone:
        like = [
            other
            for answers in (alone[name], batch[name])
            for other in proof.alone
            if other != name and reference.distance(other, answers) <= proof.tolerance
        ]
        if (gap := proof.alone[name]) > proof.tolerance:
            known = f"{like[0]} does" if like else "no model of PEFT's does"
            raise UserError(
                f"the server's {name} answers as {known}: its log-probabilities are up to {gap:.2g} nats "
                f"from PEFT's, {allowed}"
            )
        if (gap := proof.batch[name]) > proof.tolerance:
            raise UserError(
                f"the server's {name} is right alone and wrong among {proof.requests} requests to all "
                f"models: {gap:.2g} nats from PEFT's, {allowed}"
            )
        # An error that is allowed may cover the whole way between two models that are hardly
        # further apart.
        if like:
            raise UserError(
                f"the server's {name} answers as {like[0]} does too, within the tolerance of "
                f"{proof.tolerance:g} nats: nothing could be proved; lower evaluation.serving.agreement "
                "or take other probes"
            )
