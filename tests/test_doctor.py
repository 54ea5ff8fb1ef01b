"""What profiles need by formula, and one screen about a machine."""

import json

import pytest
from click.testing import CliRunner

from knapsack_lib import doctor
from knapsack_lib.cli import knapsack
from knapsack_lib.doctor import Machine, examine
from knapsack_lib.errors import UserError
from knapsack_lib.policies.gemini_wire import KEY_NAMES
from knapsack_lib.policies.prices import load_prices
from knapsack_lib.profiles import load_profile
from knapsack_lib.resource_estimate import GIB, MODELS, estimate_resources

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


def test_known_shapes_add_up_to_the_weights_that_their_names_say():
    for name, model in MODELS.items():
        block = (
            model.hidden * model.head * (2 * model.heads + 2 * model.kv_heads)
            + 3 * model.hidden * model.feed_forward
        )
        # The small one shares its embeddings
        tables = model.vocabulary * model.hidden * (2 if "8B" in name else 1)
        assert model.layers * block + tables == pytest.approx(model.weights, rel=0.01), name
    assert (
        MODELS["Qwen/Qwen3-8B"].lora_weights(64) == 174_587_904
    )  # as PEFT counts it: 36 layers, rank 64


def test_the_paper_fits_one_80_gb_gpu_and_colab_one_of_16():
    prices = load_prices()
    paper, colab, pocket = (
        estimate_resources(load_profile(name), prices) for name in ("paper", "colab", "pocket")
    )
    assert max(paper.gpu.values()) < 80e9 and paper.usd > 10 and paper.disk > 2 * 8.19e9
    assert max(colab.gpu.values()) < 16e9 and colab.usd == 0
    assert not pocket.gpu and not pocket.hours and pocket.usd == 0
    assert all(hours > 0 for hours in paper.hours.values())


def test_more_of_anything_needs_more():
    prices, paper = load_prices(), load_profile("paper")
    longer = paper.model_copy(
        update={"evaluation": paper.evaluation.model_copy(update={"context": 81_920})}
    )
    assert (
        estimate_resources(longer, prices).gpu["serving, at least"]
        > estimate_resources(paper, prices).gpu["serving, at least"]
    )
    twice = paper.model_copy(update={"train_seeds": 2})
    assert estimate_resources(twice, prices).hours["training"] == pytest.approx(
        2 * estimate_resources(paper, prices).hours["training"]
    )
    base_only = (
        estimate_resources(paper, prices).hours["evaluation"]
        - estimate_resources(twice, prices).hours["evaluation"] / 2
    )
    assert (
        base_only > 0.3 * estimate_resources(paper, prices).hours["evaluation"]
    )  # it is not trained twice, and plays long
    assert estimate_resources(twice, prices).usd == estimate_resources(paper, prices).usd


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


def test_a_paid_teacher_costs_whatever_learns_from_it():
    prices, paper, pocket = load_prices(), load_profile("paper"), load_profile("pocket")
    unknown = paper.model_copy(
        update={"training": paper.training.model_copy(update={"base": "Qwen/Qwen3-32B"})}
    )
    taught = pocket.model_copy(update={"teacher": paper.teacher, "tasks": paper.tasks})
    assert (
        estimate_resources(unknown, prices).usd
        == estimate_resources(taught, prices).usd
        == estimate_resources(paper, prices).usd
        > 10
    )
    assert not any("none needed" in line for line in estimate_resources(unknown, prices).lines())


@pytest.mark.parametrize(
    "text, there", [("# GEMINI_API_KEY=abc", False), ("GEMINI_API_KEY = abc", True), ("", False)]
)
def test_a_key_is_there_when_the_teacher_would_find_it(project, monkeypatch, text, there):
    for name in KEY_NAMES:
        monkeypatch.delenv(name, raising=False)
    (project / ".env").write_text(text)
    assert doctor.look().key is there


def test_a_server_in_an_environment_of_its_own_is_missed_where_it_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "project_root", lambda: tmp_path)
    (verdict,) = [line for line in examine("served-smoke", BIG) if "run here" in line]
    assert verdict.endswith("cannot run here: .venv-vllm/bin/python (make check-vllm makes it)")
    (tmp_path / ".venv-vllm" / "bin").mkdir(parents=True)
    (tmp_path / ".venv-vllm" / "bin" / "python").touch()
    assert any("can run here" in line for line in examine("served-smoke", BIG))


def test_the_command_is_one_screen_and_tells_no_key(monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", "sesame")
    said = CliRunner().invoke(knapsack, ["doctor", "--profile", "pocket"])
    assert said.exit_code == 0 and "can run here" in said.output and "sesame" not in said.output
    assert len(said.output.splitlines()) < 25
    told = CliRunner().invoke(knapsack, ["doctor", "--json"])
    assert json.loads(told.output)["key"] is True and "sesame" not in told.output
    with pytest.raises(UserError, match="choose one of"):
        examine("nothing")
