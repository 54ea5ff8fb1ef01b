"""The sections of a profile: old names are refused with the new one, and values that contradict each
other are one line."""

from pathlib import Path

import pytest
import yaml
from common import one_line

from knapsack_lib.errors import UserError
from knapsack_lib.profiles import load_profile, load_suite
from knapsack_lib.profiles.settings import RENAMED

PARAMS = Path(__file__).parents[2] / "params"


@pytest.fixture
def refused(project):
    """The line that refuses the pocket profile after a change."""

    def line(change):
        data = yaml.safe_load((PARAMS / "pocket.yaml").read_text(encoding="utf-8")) | {
            "name": "old"
        }
        change(data)
        (project / "params" / "old.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
        with pytest.raises(UserError) as caught:
            load_profile("old")
        return one_line(caught)

    return line


def rename(section, new, old):
    section[old] = section.pop(new)


SECTIONS = {  # old name -> sections that had it
    "matrix_rate": ("base", "training"),
    "warmup_share": ("training",),
    "decay_share": ("base", "training"),
    "average_decay": ("training",),
    "check_every": ("training",),
}


def test_every_old_name_is_tested_here():
    assert set(RENAMED) == {*SECTIONS, "cues", "prompt", "accumulation"}


@pytest.mark.parametrize(
    ("old", "section"), [(old, section) for old in SECTIONS for section in SECTIONS[old]]
)
def test_an_old_name_is_refused_with_the_new_one(refused, old, section):
    new = RENAMED[old]
    said = refused(lambda data: rename(data[section], new, old))
    assert said.startswith(f"old.yaml: {section}: {old} is now called {new};")


def test_the_old_name_of_a_setting_with_a_default_is_refused_too(refused):
    said = refused(lambda data: data["training"].update(accumulation=3))
    assert "training: accumulation is now called gradient_accumulation_steps;" in said


def test_the_section_cues_is_refused_with_its_new_name(refused):
    assert "cues is now called prompt;" in refused(lambda data: rename(data, "prompt", "cues"))
    assert "prompt: prompt is now called style;" in refused(
        lambda data: rename(data["prompt"], "style", "prompt")
    )


def test_an_old_name_next_to_the_new_one_is_refused(refused):
    said = refused(lambda data: data["training"].update(check_every=5))
    assert "check_every is now called eval_steps" in said


def test_an_old_name_is_refused_wherever_its_file_is_in_a_chain_of_likes(project):
    data = yaml.safe_load((PARAMS / "pocket.yaml").read_text(encoding="utf-8"))
    rename(data, "prompt", "cues")
    del data["name"]
    (project / "params" / "older.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    (project / "params" / "newer.yaml").write_text("like: older\n", encoding="utf-8")
    with pytest.raises(UserError, match="cues is now called prompt") as caught:
        load_profile("newer")
    one_line(caught)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            lambda d: d["training"].update(gradient_accumulation_steps=7),
            "no multiple of gradient_accumulation_steps = 7",
        ),
        (lambda d: d["training"].update(method="lora"), "take adamw with lora and qlora"),
        (lambda d: d["teacher"].update(policy="gemini"), "the section gemini exactly when"),
        (lambda d: d["teacher"].update(policy="varied"), "the section varied exactly when"),
        (lambda d: d["teacher"].update(restarts=0.1), "restarts need policy varied"),
        (
            lambda d: (
                d["teacher"].update(policy="varied", varied={"variety": "mid", "mistakes": {}})
                or d.update(react=True)
            ),
            "the varied teacher writes code alone",
        ),
        (
            lambda d: d["teacher"].update(
                policy="varied", varied={"variety": "wild", "mistakes": {}}
            ),
            "variety",
        ),
        (
            lambda d: d["teacher"].update(
                policy="varied", varied={"variety": "mid", "mistakes": {"spelling": 0.1}}
            ),
            "spelling",
        ),
        (lambda d: d["evaluation"].update(engine="server"), "the section serving exactly when"),
        (
            lambda d: d["training"].update(seeds=[1], choose="play") or d.update(train_seeds=2),
            "names 1",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_one_line(refused, change, line):
    assert line in refused(change)


PROFILES = [path for path in sorted(PARAMS.glob("*.yaml")) if not load_suite(str(path))]


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_every_committed_profile_is_written_in_todays_names(path):
    assert load_profile(str(path)).name == path.stem
