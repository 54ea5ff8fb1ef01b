"""The key of a paid teacher: where it is read from, and that nobody is shown it."""

import subprocess
import sys
from pathlib import Path

import pytest

from knapsack_lib.errors import UserError
from knapsack_lib.policies import gemini_wire

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path, monkeypatch, key):
    """A project's folder without a key anywhere."""
    for name in ("params", "notebooks"):
        (tmp_path / "project" / name).mkdir(parents=True)
    monkeypatch.setenv("KNAPSACK_ROOT", str(tmp_path / "project"))
    monkeypatch.delenv("GEMINI_API_KEY")
    return tmp_path / "project"


def test_no_key_is_one_line_that_names_the_places_for_it(play, google, project):
    server = google()
    with pytest.raises(UserError, match=r"GEMINI_API_KEY.*\.env") as caught:
        play("a", server)
    assert "\n" not in str(caught.value) and not server.asked


@pytest.mark.parametrize(
    "text",
    [
        "GEMINI_API_KEY={}",
        '# mine\nexport GEMINI_API_KEY="{}" # secret\n',
        "A=b\nGOOGLE_API_KEY = '{}'\r\n",
    ],
)
def test_the_key_is_read_from_the_projects_env_file(play, google, project, key, text):
    (project / ".env").write_text(text.format(key), encoding="utf-8")
    assert play("a", google(), 1)[1].report().requests > 0


def test_the_environment_comes_before_the_file(project, monkeypatch):
    (project / ".env").write_text("GEMINI_API_KEY=of-the-file\n", encoding="utf-8")
    assert gemini_wire._key() == "of-the-file"
    monkeypatch.setenv("GOOGLE_API_KEY", " of-the-environment\n")
    assert gemini_wire._key() == "of-the-environment"
    monkeypatch.setenv("GEMINI_API_KEY", "in two parts")
    with pytest.raises(UserError, match="GEMINI_API_KEY holds a space") as caught:
        gemini_wire._key()
    assert "two parts" not in str(caught.value)


def test_a_missing_package_is_one_line_with_the_command(play, google, monkeypatch):
    monkeypatch.setitem(sys.modules, "google", None)
    with pytest.raises(UserError, match=r"run: pip install -c constraints.txt -e '\.\[gemini\]'"):
        play("a", google())


def test_importing_the_policy_does_not_import_the_library():
    code = "import sys, knapsack_lib.policies.gemini; print('google.genai' in sys.modules, 'httpx2' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.split() == ["False", "False"]


# Ends ---------------------------------------------------------------------------------------------


def test_every_end_that_the_library_knows_is_of_one_kind():
    from google.genai.types import BlockedReason, FinishReason

    listed = [word for words in gemini_wire.KINDS.values() for word in words]
    known = {one.value for one in [*FinishReason, *BlockedReason]}
    assert len(listed) == len(set(listed))
    assert known == {word for word in listed if word not in ("none", "prompt OTHER")}


@pytest.mark.parametrize(
    "reason, text, kind",
    [
        ("STOP", "", "end"),
        ("MAX_TOKENS", "hm", "cut"),
        ("SAFETY", "hm", "blocked"),
        ("OTHER", "hm", "broken"),
        ("prompt OTHER", "", "blocked"),
        ("prompt BLOCKED_REASON_UNSPECIFIED", "", "broken"),
        ("prompt none", "", "broken"),
        ("none", "hm", "end"),
        ("none", "", "broken"),
        ("OF_A_LATER_SERVER", "hm", "broken"),
    ],
)
def test_an_end_is_the_models_its_lengths_a_filters_or_a_fault(reason, text, kind):
    assert gemini_wire.kind_of(reason, text) == kind
