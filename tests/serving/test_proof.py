"""The proof of adapters, on a stand-in for vLLM (vLLM itself: make check-vllm): each way of serving a
wrong model is found out, in one line."""

import re

import numpy as np
import pytest
import torch
from common import one_line
from fake_vllm import BASE, reference, served
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from knapsack_lib.chat import CHAT_TEMPLATE, ChatTokenizer
from knapsack_lib.errors import UserError
from knapsack_lib.serving import Reference, peft_reference, proof, prove_adapters

PROBES = [
    [{"role": "system", "content": "You pack."}, {"role": "user", "content": text}]
    for text in ("one", "two")
]


def test_a_good_server_is_proved_live(tmp_path):
    with served(tmp_path, "good") as server:
        found = prove_adapters(server.url, reference(), 0.01)
    assert max(*found.alone.values(), *found.batch.values()) < 1e-6
    assert min(found.apart.values()) > 0.1
    assert list(found.alone) == list(found.batch) == ["base", "persistent", "reset"]


def test_a_server_is_asked_for_the_compared_tokens_and_for_no_others(tmp_path):
    """A search through a large vocabulary at every step is what a small machine has no time for."""
    known = reference()
    with served(tmp_path, "good") as server:
        prove_adapters(server.url, known, 0.01)
    log = (tmp_path / "logs" / "vllm.log").read_text(encoding="utf-8")
    asked = [set(map(int, row.split()[1:])) for row in log.splitlines() if row.startswith("named")]
    likeliest = [
        {int(i) for row in rows for i in np.argsort(row)[-proof.TOP :]}
        for model in known.values.values()
        for rows in model
    ]
    assert len(asked) == 3 * len(likeliest)  # alone, and twice in the batch
    assert all(ids in likeliest for ids in asked) and all(ids in asked for ids in likeliest)
    assert max(map(len, asked)) <= proof.STEPS * proof.TOP


@pytest.mark.parametrize(
    "mode, message", [("older", ""), ("older-ignored", "answers as base does")]
)
def test_a_server_that_knows_no_named_tokens_is_judged_by_its_own_likeliest(
    tmp_path, mode, message
):
    with served(tmp_path, mode) as server:
        if not message:
            found = prove_adapters(server.url, reference(), 0.01)
            assert max(*found.alone.values(), *found.batch.values()) < 1e-6
            return
        with pytest.raises(UserError, match=message):
            prove_adapters(server.url, reference(), 0.01)


def test_on_a_processor_the_ends_of_long_probes_are_read():
    """Reading them whole is most of the time that a proof takes there."""
    long = [[{"role": "user", "content": "Look at BaKo. " * 200}], PROBES[0]]
    found = peft_reference(BASE, {}, long)
    chat = ChatTokenizer(Tokenizer.from_file(str(BASE / "tokenizer.json")))
    cut = len(found.prompts[0])
    whole = chat.prompt(long[0])
    assert found.prompts[0] == whole[-cut:] and found.prompts[1] == chat.prompt(PROBES[0])
    assert cut == (len(whole) if torch.cuda.is_available() else proof.LONGEST) < 600


@pytest.mark.parametrize(
    "mode, message",
    [
        ("ignored", "persistent answers as base does"),
        ("batch", "right alone and wrong among 12 requests"),
    ],
)
def test_a_server_that_serves_another_model_than_was_asked_for_is_found_out(
    tmp_path, mode, message
):
    with served(tmp_path, mode) as server, pytest.raises(UserError, match=message) as error:
        prove_adapters(server.url, reference(), 0.01)
    one_line(error)


def test_models_that_are_too_alike_prove_nothing():
    with pytest.raises(UserError, match="base and persistent are too alike"):
        prove_adapters("http://nowhere", reference(), 100)


def learned(share: float) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities of a base, and of an adapter that gives one token more this share of all."""
    likely = np.array([0.5, 0.2, 0.12, 0.1, 0.05, 0.029, *[1e-6] * 6])
    more = likely.copy()
    more[7] = share / (1 - share)
    return np.log(likely / likely.sum()), np.log(more / more.sum())


@pytest.mark.parametrize(
    "share, error, message",
    [
        (
            0.06,
            0.0,
            "base and reset are too alike: what one answers to the 1 probes is within 0.062 nats of the other",
        ),
        (
            0.14,
            0.06,
            "the server's base answers as reset does too, within the tolerance of 0.1 nats",
        ),
    ],
)
def test_an_ignored_adapter_is_found_out_though_it_adds_to_the_base_and_takes_nothing_away(
    monkeypatch, share, error, message
):
    """The base's likeliest tokens are nearly as likely to the adapter; the other way round the two
    are far apart."""
    base, adapter = learned(share)
    answers = {"base": base, "reset": adapter}
    taken = {name: [[0] * proof.STEPS] for name in answers}
    known = Reference(
        [[1, 2, 3]], taken, {name: [np.stack([row] * proof.STEPS)] for name, row in answers.items()}
    )

    def ignores(url, seconds, body, likeliest):
        top = {int(token): float(base[token]) - error for token in np.argsort(base)[-proof.TOP :]}
        return [(0, top)] * proof.STEPS

    monkeypatch.setattr(proof, "_answer", ignores)
    with pytest.raises(UserError, match=re.escape(message)) as refused:
        prove_adapters("http://nowhere", known, 0.1)
    one_line(refused)


def test_no_server_and_a_refusal_are_one_line_each(tmp_path):
    with served(tmp_path, "good", adapters=()) as server:
        alone = prove_adapters(server.url, reference(["base"]), 0.01)
        assert list(alone.alone) == ["base"] and alone.apart == {}
        with pytest.raises(UserError, match=r"refuses the request \(404\).*no such model"):
            prove_adapters(server.url, reference(), 0.01)
    with pytest.raises(UserError, match="is it running"):
        prove_adapters(server.url, reference(), 0.01)


def test_the_reference_is_peft_s_and_its_prompts_are_training_s(tmp_path):
    """An adapter drawn here, against the same model with the adapter merged into its weights."""
    load = lambda: AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)  # noqa: E731
    torch.manual_seed(1)
    config = LoraConfig(
        r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False, task_type="CAUSAL_LM"
    )
    get_peft_model(load(), config).save_pretrained(tmp_path / "drawn")
    found = peft_reference(BASE, {"drawn": tmp_path / "drawn"}, PROBES)
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    for probe, prompt in zip(PROBES, found.prompts, strict=True):
        text = tokenizer.apply_chat_template(
            probe, chat_template=CHAT_TEMPLATE, tokenize=False, add_generation_prompt=True
        )
        assert ChatTokenizer(Tokenizer.from_file(str(BASE / "tokenizer.json")))._ids(text) == tuple(
            prompt
        )
    merged = PeftModel.from_pretrained(load(), str(tmp_path / "drawn")).merge_and_unload()
    for name, model in (("base", load()), ("drawn", merged)):
        for at, prompt in enumerate(found.prompts):
            whole = torch.tensor([prompt + found.ids[name][at][:-1]])
            with torch.inference_mode():
                values = torch.log_softmax(model(whole).logits[0, len(prompt) - 1 :], -1).numpy()
            assert np.abs(values - found.values[name][at]).max() < 1e-3
            assert (values.argmax(-1) == found.ids[name][at]).all()
    assert np.abs(found.values["base"][0] - found.values["drawn"][0]).max() > 0.1
