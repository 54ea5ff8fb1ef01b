"""One screen about a machine: what it can run, what is missing."""

import pytest
from bases import make_base

from knapsack_lib import doctor
from knapsack_lib.doctor import Machine, examine
from knapsack_lib.errors import UserError
from knapsack_lib.policies.gemini_wire import KEY_NAMES
from knapsack_lib.resource_estimate import GIB

BIG = Machine(
    "Linux",
    16,
    128 * GIB,
    500 * GIB,
    (("a GPU", 80 * GIB),),
    dict.fromkeys(doctor.EXTRAS, ()),
    {"latexmk": True},
    True,
)


def test_a_machine_that_has_all_can_run_all_and_what_lacks_is_named():
    assert (
        sum("can run here" in line and "cannot" not in line for line in examine(machine=BIG)) >= 5
    )
    bare = Machine(
        "Linux",
        2,
        8 * GIB,
        GIB // 4,
        (),
        {**BIG.lacking, "gemini": ("google.genai",)},
        {"latexmk": False},
        False,
    )
    (verdict,) = [line for line in examine("paper", bare) if "run here" in line]
    for part in ("a GPU of", "the extra gemini", "GiB of disk", "an API key"):
        assert part in verdict
    assert any("missing latexmk" in line for line in examine("paper", bare))


@pytest.mark.parametrize(
    "text, there", [("# GEMINI_API_KEY=abc", False), ("GEMINI_API_KEY = abc", True), ("", False)]
)
def test_a_key_is_there_when_the_teacher_would_find_it(project, monkeypatch, text, there):
    for name in KEY_NAMES:
        monkeypatch.delenv(name, raising=False)
    (project / ".env").write_text(text, encoding="utf-8")
    assert doctor.look().key is there


def test_a_server_in_an_environment_of_its_own_is_missed_where_it_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "project_root", lambda: tmp_path)
    (verdict,) = [line for line in examine("served-smoke", BIG) if "run here" in line]
    assert verdict.endswith("cannot run here: .venv-vllm/bin/python (make check-vllm makes it)")
    (tmp_path / ".venv-vllm" / "bin").mkdir(parents=True)
    (tmp_path / ".venv-vllm" / "bin" / "python").touch()
    assert any("can run here" in line for line in examine("served-smoke", BIG))


@pytest.mark.parametrize("chat, said", [("chatml", "<|im_start|>"), ("own", "brings none")])
def test_a_base_that_cannot_be_spoken_to_is_found_before_anything_runs(
    tmp_path, monkeypatch, pocket, chat, said
):
    base = make_base("llama", tmp_path / "llama", template=None)
    training = pocket.training.model_copy(update={"base": str(base), "chat": chat})
    mine = pocket.model_copy(update={"training": training})
    monkeypatch.setattr(doctor, "load_profile", lambda name: mine)
    (verdict,) = [line for line in examine("mine", BIG) if "run here" in line]
    assert "cannot run here" in verdict and said in verdict and str(base) in verdict


def test_an_unknown_profile_lists_the_known_ones():
    with pytest.raises(UserError, match="choose one of"):
        examine("nothing", BIG)
