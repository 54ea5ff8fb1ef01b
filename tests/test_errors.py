"""A user's mistake is one line."""

import pytest
from common import one_line
from pydantic import BaseModel, ValidationError

from knapsack_lib import profiles
from knapsack_lib.errors import UserError, check_choice, first_problem, installs


@pytest.mark.parametrize(
    ("word", "read_as"), [("persistent", "persistent"), ("reset", "reset"), ("stateless", "reset")]
)
def test_the_papers_spellings_are_accepted(word, read_as):
    assert check_choice("runtime", word, profiles.RUNTIMES) == read_as
    assert check_choice("difficulty", "hard", profiles.DIFFICULTIES) == "medium"


@pytest.mark.parametrize("word", ["persistant", "", None, 3, "base"])
def test_a_misspelt_word_lists_the_right_ones(word):
    with pytest.raises(UserError, match="runtime.*persistent, reset") as caught:
        check_choice("runtime", word, profiles.RUNTIMES)
    one_line(caught)


def test_a_notebook_shows_the_line_without_a_stack_of_frames():
    assert UserError("say it once")._render_traceback_() == ["UserError: say it once"]


def test_the_first_problem_of_many_is_named_with_its_place():
    class Part(BaseModel):
        count: int

    class Whole(BaseModel):
        part: Part
        word: str

    with pytest.raises(ValidationError) as caught:
        Whole.model_validate({"part": {"count": "many"}})
    assert first_problem(caught.value).startswith("part.count: Input should be a valid integer")
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate([])
    assert first_problem(caught.value, "spec.json").startswith("spec.json: ")


def test_an_extra_is_installed_at_the_projects_pins():
    assert installs("gpu") == "make env VENV=.venv-gpu"
    assert installs("ray") == "pip install -c constraints.txt -e '.[ray]'"
