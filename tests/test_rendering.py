"""Training and serving spell conversations alike, and a check finds it when they do not."""

import json
import shutil
from pathlib import Path

import pytest

from knapsack_lib.profiles import UserError, load_profile
from knapsack_lib.training.conversations import base_folder
from knapsack_lib.training.parity import PROBE, check_rendering

BASE = base_folder(load_profile("pocket"))


@pytest.fixture
def served(tmp_path):
    """served(old, new): a copy of the base whose template was changed."""

    def make(old, new):
        folder = Path(shutil.copytree(BASE, tmp_path / "served"))
        template = (folder / "chat_template.jinja").read_text()
        assert old in template
        (folder / "chat_template.jinja").write_text(template.replace(old, new, 1))
        return folder

    return make


def test_the_shipped_template_spells_what_training_spells_marks_inside_texts_too(served):
    assert check_rendering(BASE, BASE) > 300
    assert check_rendering(BASE, served("", "")) > 300
    assert "<|im_end|>" in PROBE[3]["content"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<|im_start|>assistant\\n' }}{% endif %}", "<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n' }}{% endif %}",
         r"is the end in training and '<' when served"),
        ("(message['content']", "(message['content'] | trim", "is .* in training and .* when served"),
        (" | replace('<|', '< |')) + '<|im_end|>' }}{% endif %}", ") + '<|im_end|>' }}{% endif %}", r"and '<\|im_end\|>' when served"),
        ("message['role'] + '\\n'", "message['role'] + ' '", "token .* in training"),
    ],
)  # fmt: skip
def test_another_template_is_refused_and_the_first_differing_token_is_shown(served, old, new, said):
    with pytest.raises(UserError, match=said) as error:
        check_rendering(BASE, served(old, new))
    assert "\n" not in str(error.value) and "spell a conversation differently" in str(error.value)


def test_another_tokenizer_is_refused(served):
    folder = served("", "")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    pieces = tokenizer["model"]["vocab"]
    pieces["a"], pieces["e"] = pieces["e"], pieces["a"]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(UserError, match="spell a conversation differently"):
        check_rendering(BASE, folder)
