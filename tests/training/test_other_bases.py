"""Bases with other marks than ours, through a whole fine-tune: what training saw is what is served,
and the adapter's folder gives back what was trained."""

import json

import pytest
import torch
from bases import make_base
from common import one_line
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from knapsack_lib.chat import MARKS, ChatTokenizer
from knapsack_lib.errors import UserError
from knapsack_lib.profiles import Cell, Profile, load_profile
from knapsack_lib.profiles.settings import Training
from knapsack_lib.training import adapters
from knapsack_lib.training.adapters import fine_tune, tokenized_traces, traces_of
from knapsack_lib.training.examples import encode_episode
from knapsack_lib.training.marks import mark_ids, trained_base
from knapsack_lib.training.parity import check_rendering

PERSISTENT = Cell("knapsack", "persistent", "persistent", "easy", 1)
TRAINING = {
    "method": "lora",
    "steps": 2,
    "eval_steps": 2,
    "episodes_per_step": 2,
    "optimizer": "adamw",
    "learning_rate": 0.05,
    "weight_decay": 0.0,
    "warmup_ratio": 0.0,
    "lora_rank": 4,
    "max_tokens": 8192,
    "ema_decay": 0.0,
    "choose": "loss",
    "bf16": False,
}


@pytest.fixture
def tuned(scratch, tmp_path, monkeypatch):
    """tuned(kind, chat): (run, base, the logits that the trained model gives for TEXT's ids, ids)."""

    def make(kind, chat, **changed):
        base = make_base(kind, tmp_path / kind, tied=changed.pop("tied", False))
        run = scratch(f"{kind}-{chat}", base=str(base), chat=chat, **{**TRAINING, **changed})
        ids = tokenized_traces(run, PERSISTENT)[0][0].input_ids[:300]
        seen = []
        exported = adapters.export

        def watched(trainer, *rest):
            folder = exported(trainer, *rest)
            seen.append(logits(trainer.model.eval(), ids))
            return folder

        monkeypatch.setattr(adapters, "export", watched)
        fine_tune(run, PERSISTENT, "key")
        return run, base, seen[-1], ids

    return make


@torch.inference_mode()
def logits(model, ids):
    return model(torch.tensor([ids])).logits[0]


def loaded(folder, rows=0):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if rows:
        model.resize_token_embeddings(rows, mean_resizing=False)
    return model.eval()


@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_with_its_own_template_a_base_is_tuned_saved_and_gives_the_same_logits_again(tuned, kind):
    run, base, expected, ids = tuned(kind, "own")
    folder = run.adapter(PERSISTENT)
    again = PeftModel.from_pretrained(loaded(base), folder / "adapter").eval()
    assert torch.allclose(logits(again, ids), expected, atol=1e-4)
    assert (logits(loaded(base), ids) - expected).abs().max() > 1e-2
    assert check_rendering(base, folder, chat="own") > 150
    template = AutoTokenizer.from_pretrained(base).chat_template
    assert (folder / "chat_template.jinja").read_text(encoding="utf-8") == template
    assert not (folder / "model.safetensors").exists()


@pytest.mark.parametrize("kind, tied", [("llama", False), ("llama", True), ("mistral", False)])
def test_added_marks_are_trained_and_come_back_from_the_adapter_s_folder(tuned, kind, tied):
    run, base, expected, ids = tuned(kind, "add", tied=tied)
    folder, marked = run.adapter(PERSISTENT), trained_base(run.profile)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    marks = tokenizer.convert_tokens_to_ids(list(MARKS))
    assert tokenizer.eos_token == MARKS[1] and set(marks) <= set(ids)

    # The base as it came, with room for the marks, and the adapter's folder: nothing else.
    again = loaded(base, rows=len(tokenizer))
    again = PeftModel.from_pretrained(again, folder / "adapter").eval()
    assert torch.allclose(logits(again, ids), expected, atol=1e-4)
    # What any server can take: the weights with the adapter in them.
    whole = loaded(folder)
    assert torch.allclose(logits(whole, ids), expected, atol=1e-3)
    assert whole.config.eos_token_id == marks[1]

    started, ended = loaded(marked), whole
    for side in ("get_input_embeddings", "get_output_embeddings"):
        before, after = (getattr(model, side)().weight for model in (started, ended))
        moved = [i for i in range(len(before)) if not torch.equal(before[i], after[i])]
        assert moved == sorted(marks)
    kept = load_file(folder / "adapter" / "adapter_model.safetensors")
    rows = {name: weight for name, weight in kept.items() if "lora" not in name}
    assert len(rows) == (1 if tied else 2) and all(len(weight) == 2 for weight in rows.values())
    config = json.loads((folder / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["trainable_token_indices"] == mark_ids(marked, started)
    assert check_rendering(marked, folder, chat="add") > 150


def test_a_marked_base_is_the_same_each_time_and_made_anew_for_another_base(scratch, tmp_path):
    base = make_base("llama", tmp_path / "llama")
    profile = scratch("again", base=str(base), chat="add", **TRAINING).profile
    folder = trained_base(profile)
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "key").unlink()
    trained_base(profile)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first
    weights = load_file(folder / "model.safetensors")["model.embed_tokens.weight"]
    assert not torch.equal(weights[-1], weights[-2]) and len(weights) == len(
        AutoTokenizer.from_pretrained(folder)
    )
    make_base("mistral", base)
    trained_base(profile)
    assert (folder / "tokenizer.json").read_bytes() != first["tokenizer.json"]
    assert {path.name for path in folder.parent.iterdir() if "part" in path.name} == set()


def test_an_interrupted_training_of_added_marks_continues(scratch, tmp_path, monkeypatch):
    base = make_base("llama", tmp_path / "llama")
    run = scratch("broken", base=str(base), chat="add", **TRAINING)
    with monkeypatch.context() as cut, pytest.raises(KeyboardInterrupt):
        cut.setattr(adapters, "_choose", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        fine_tune(run, PERSISTENT, "key")
    assert list(run.root.glob("adapters/*.work/checkpoint-2/complete"))
    fine_tune(run, PERSISTENT, "key")
    before = load_file(trained_base(run.profile) / "model.safetensors")
    after = load_file(run.adapter(PERSISTENT) / "model.safetensors")
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        assert (before[name] != after[name]).any(1).nonzero().flatten().tolist() == [
            len(before[name]) - 2,
            len(before[name]) - 1,
        ]


@pytest.mark.parametrize("kind, chat", [("llama", "own"), ("mistral", "own"), ("mistral", "add")])
def test_training_reads_token_for_token_what_is_served(scratch, tmp_path, kind, chat):
    base = make_base(kind, tmp_path / kind)
    run = scratch("spelled", base=str(base), chat=chat, **TRAINING)
    spoken = ChatTokenizer.from_folder(base, chat)
    tokenizer = AutoTokenizer.from_pretrained(trained_base(run.profile))
    for episode in traces_of(run, PERSISTENT)[:3]:
        example, messages = encode_episode(spoken, episode), episode.messages()
        for at, message in enumerate(messages):
            if message["role"] == "assistant":
                text = tokenizer.apply_chat_template(
                    spoken.sent(messages[:at]), add_generation_prompt=True, tokenize=False
                )
                served = tokenizer.encode(text, add_special_tokens=False)
                reply = list(spoken.content(message["content"]))
                both = [*served, *reply]
                assert example.input_ids[: len(both)] == both
                if any(example.mask[len(served) : len(both)]):  # a slip teaches nothing
                    assert all(example.mask[len(served) : len(both)])
        assert sum(example.mask) > 50


def test_settings_that_no_stack_can_follow_are_refused_with_the_profile(smoke):
    add = {**smoke.training.model_dump(), **TRAINING, "chat": "add"}
    Training.model_validate(add)
    with pytest.raises(ValueError, match="take trainer trl"):
        Training.model_validate({**add, "trainer": "unsloth", "method": "qlora"})
    served = load_profile("served-smoke").model_dump()
    with pytest.raises(ValueError, match="vLLM takes from no adapter"):
        Profile.model_validate(served | {"training": add})
    served["evaluation"]["serving"]["url"] = "http://localhost:8000/v1"
    assert Profile.model_validate(served | {"training": add}).training.chat == "add"


def test_what_cannot_be_tuned_is_one_line_before_anything_is_trained(scratch, tmp_path):
    base = make_base("llama", tmp_path / "llama", template=None)
    for changed, said in (
        ({}, r"no <\|im_start\|> and no <\|im_end\|>"),
        ({"chat": "own"}, "brings none"),
        ({"chat": "add", "choose": "play"}, "decodes models of the type qwen3"),
    ):
        run = scratch("refused", base=str(base), **{**TRAINING, **changed})
        with pytest.raises(UserError, match=said) as error:
            fine_tune(run, PERSISTENT, "key")
        one_line(error)
        assert not run.adapter(PERSISTENT).exists()
        assert not list(run.root.glob("adapters/*.work/checkpoint-*"))
