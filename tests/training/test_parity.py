"""Training and serving spell conversations alike, and a check finds it when they do not."""

import gzip
import json
import shutil
from pathlib import Path

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from knapsack_lib.chat import CHAT_TEMPLATE, ChatTokenizer
from knapsack_lib.errors import UserError
from knapsack_lib.files import project_root
from knapsack_lib.hub import base_folder
from knapsack_lib.profiles import load_profile
from knapsack_lib.training.checkpoints import copy_tokenizer
from knapsack_lib.training.parity import PROBE, check_rendering

BASE = base_folder(load_profile("pocket"))

# How Qwen cuts a text before its merges (the pattern in its published tokenizer.json).
QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


@pytest.fixture(scope="module")
def qwen(tmp_path_factory) -> Path:
    """A model folder with a tokenizer that joins newlines as Qwen's does, and blanks to them; its
    other tokens are bytes."""
    pieces = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ċ", "Ċ"), ("ĊĊ", "Ċ"), ("Ġ", "Ċ"), ("ĠĊ", "Ċ"), ("č", "Ċ")]
    vocabulary = {piece: i for i, piece in enumerate([*pieces, *(a + b for a, b in merges)])}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(
        [AddedToken(f"<|{name}|>", special=True) for name in ("endoftext", "im_start", "im_end")]
    )
    folder = tmp_path_factory.mktemp("qwen")
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    wrapped.save_pretrained(folder)
    return folder


def chat_tokenizer(folder: Path) -> ChatTokenizer:
    return ChatTokenizer(Tokenizer.from_file(str(folder / "tokenizer.json")))


@pytest.fixture
def served(tmp_path):
    """served(old, new): a copy of the base whose template was changed."""

    def make(old, new):
        folder = Path(shutil.copytree(BASE, tmp_path / "served"))
        template = (folder / "chat_template.jinja").read_text(encoding="utf-8")
        assert old in template
        (folder / "chat_template.jinja").write_text(template.replace(old, new, 1), encoding="utf-8")
        return folder

    return make


def test_the_shipped_template_spells_what_training_spells_marks_inside_texts_too(served):
    assert check_rendering(BASE, BASE) > 300
    assert check_rendering(BASE, served("", "")) > 300
    assert "<|im_end|>" in PROBE[3]["content"]


@pytest.mark.parametrize(
    "shown", ["\n7", "\n\n7", "\r\n7", " \n7", "  7", "\t7", "", "\n", "7\n\n", "\n<|im_end|>\n\n"]
)
def test_a_tokenizer_that_joins_newlines_is_trained_on_what_it_is_served(qwen, shown):
    """A block may print an empty line first, which then stands behind that of the message's head."""
    assert check_rendering(qwen, qwen) > 300
    example = (
        {"role": "system", "content": shown},
        {"role": "user", "content": shown},
        PROBE[2],
        {**PROBE[5], "content": shown},
    )
    for folder in (qwen, BASE):
        assert check_rendering(folder, folder, example) > 50
    chat = chat_tokenizer(qwen)
    joined = chat._ids("\n\n")
    assert len(joined) == 1 and set(joined) <= set(chat.message({"role": "user", "content": "\n7"}))


def test_a_reply_is_spelled_behind_its_head_as_it_is_generated(qwen):
    chat = chat_tokenizer(qwen)
    ids = chat.message({"role": "assistant", "content": "\nDone."})
    assert ids == chat.ask + chat.content("\nDone.") + chat.newline


def test_every_committed_message_is_spelled_as_it_was_when_it_was_served():
    """Then a message's head, its text and its end were spelled apart; with the pocket tokenizer
    that is the same."""
    chat, shown = chat_tokenizer(BASE), set()
    with gzip.open(
        project_root() / "results" / "pocket-seeds" / "cells.jsonl.gz", "rt", encoding="utf-8"
    ) as lines:
        for line in lines:
            episode = json.loads(line)
            shown |= {(message["role"], message["content"]) for message in episode["opening"]}
            shown |= {
                ("user", turn["observation"])
                for turn in episode["turns"]
                if turn["observation"] is not None
            }
    assert len(shown) > 3000
    for role, text in shown:
        apart = chat.head(role) + chat.content(text) + chat.newline
        assert chat.message({"role": role, "content": text}) == apart, (role, text)


def test_what_is_served_is_rendered_with_our_template_though_the_base_brings_its_own(
    qwen, tmp_path
):
    base, folder = Path(shutil.copytree(qwen, tmp_path / "base")), tmp_path / "adapter"
    (base / "chat_template.jinja").write_text("<think>{{ messages }}", encoding="utf-8")
    folder.mkdir()
    copy_tokenizer(base, folder)
    assert (folder / "chat_template.jinja").read_text(encoding="utf-8") == CHAT_TEMPLATE
    assert check_rendering(base, folder) > 300


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "<|im_start|>assistant\\n' }}{% endif %}",
            "<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n' }}{% endif %}",
            r"is the end in training and '<' when served",
        ),
        (
            "(message['content']",
            "(message['content'] | trim",
            "is .* in training and .* when served",
        ),
        (
            " | replace('<|', '< |')) + '<|im_end|>' }}{% endif %}",
            ") + '<|im_end|>' }}{% endif %}",
            r"and '<\|im_end\|>' when served",
        ),
        ("message['role'] + '\\n'", "message['role'] + ' '", "token .* in training"),
    ],
)
def test_another_template_is_refused_and_the_first_differing_token_is_shown(served, old, new, said):
    with pytest.raises(UserError, match=said) as error:
        check_rendering(BASE, served(old, new))
    assert "\n" not in str(error.value) and "spell a conversation differently" in str(error.value)


def test_another_tokenizer_is_refused(served):
    folder = served("", "")
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    pieces = tokenizer["model"]["vocab"]
    pieces["a"], pieces["e"] = pieces["e"], pieces["a"]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    with pytest.raises(UserError, match="spell a conversation differently"):
        check_rendering(BASE, folder)
