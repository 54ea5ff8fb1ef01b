"""Our own chat format and the tokenizers that lack its marks."""

import pytest
from bases import KINDS, make_base
from common import one_line

from knapsack_lib.chat import MARKS, ChatTokenizer, chat_tokenizer
from knapsack_lib.errors import UserError
from knapsack_lib.profiles import load_profile
from knapsack_lib.training.marks import save_with_marks
from knapsack_lib.training.parity import PROBE, check_rendering


def of_base(base, **changed):
    profile = load_profile("smoke")
    training = profile.training.model_copy(update={"base": str(base), **changed})
    return profile.model_copy(update={"training": training})


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    return {kind: make_base(kind, tmp_path_factory.mktemp(kind)) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_base_without_the_marks_is_one_line_that_names_them_it_and_the_settings(bases, kind):
    with pytest.raises(UserError) as error:
        chat_tokenizer(of_base(bases[kind]))
    line = one_line(error)
    assert all(mark in line for mark in MARKS) and str(bases[kind]) in line
    assert "training.chat: own" in line and "add" in line


def test_a_base_without_a_tokenizer_is_one_line(tmp_path):
    for chat in ("chatml", "own", "add"):
        with pytest.raises(UserError, match=r"has no tokenizer\.json") as error:
            chat_tokenizer(of_base(tmp_path / "nowhere", chat=chat))
        one_line(error)


@pytest.mark.parametrize("kind", KINDS)
def test_added_marks_are_the_same_tokens_in_memory_and_in_the_folder_that_is_served(
    bases, kind, tmp_path
):
    save_with_marks(bases[kind], tmp_path)
    added = ChatTokenizer.from_folder(bases[kind], "add")
    assert added.prompt(PROBE) == ChatTokenizer.from_folder(tmp_path).prompt(PROBE)
    assert check_rendering(tmp_path, tmp_path, chat="add") > 150
    marks = [added._ids(mark) for mark in MARKS]
    assert all(len(ids) == 1 for ids in marks) and marks[0] != marks[1]


def test_a_base_with_the_marks_is_spelled_the_same_in_all_three_ways(pocket):
    folder = (
        chat_tokenizer(pocket),
        *(
            chat_tokenizer(pocket.model_copy(update={"training": t}))
            for t in (pocket.training.model_copy(update={"chat": chat}) for chat in ("add", "own"))
        ),
    )
    assert len({tuple(chat.prompt(PROBE)) for chat in folder}) == 1
    assert len({chat.end for chat in folder}) == 1


def test_how_the_chat_is_spelled_shapes_episodes_and_the_default_changes_no_digest(pocket):
    assert "chat" not in pocket.model_dump(exclude_defaults=True)["training"]
    other = pocket.model_copy(
        update={"training": pocket.training.model_copy(update={"chat": "own"})}
    )
    assert other.episode_digest() != pocket.episode_digest()
