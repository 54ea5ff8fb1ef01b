"""What profiles need, by formula."""

import pytest

from knapsack_lib.policies.prices import load_prices
from knapsack_lib.profiles import load_profile
from knapsack_lib.resource_estimate import MODELS, estimate_resources


def test_known_shapes_add_up_to_the_weights_in_their_names():
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
