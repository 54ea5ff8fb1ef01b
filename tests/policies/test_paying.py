"""A paid teacher's budget, prices and key: no run spends more than it may, and nobody is shown the
key."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from knapsack_lib.errors import UserError
from knapsack_lib.policies import gemini_wire
from knapsack_lib.policies.prices import estimate, load_prices

ROOT = Path(__file__).parents[2]
PRICES = load_prices(ROOT / "params" / "prices" / "gemini.yaml")


# Money --------------------------------------------------------------------------------------------


def test_a_budget_is_never_passed_and_the_run_goes_on_when_it_is_raised(
    play, google, tmp_path, no_waiting, paid
):
    expected, whole = play("whole", google())
    server = google()
    with pytest.raises(
        UserError, match=r"^\$0\.\d+ of budget_usd = .* are spent .*budget_usd.*resumes$"
    ):
        play("a", server, budget_usd=whole.spent_usd / 2)
    spent = sum(line["usd"] for line in paid(tmp_path / "a-replies"))
    assert 0 < spent <= whole.spent_usd / 2 and play.policy.spent_usd == pytest.approx(spent)
    before = len(server.settle().answered)
    with pytest.raises(UserError, match="budget"):  # a new run has no new budget
        play("a", server, budget_usd=whole.spent_usd / 2)
    assert (
        len(server.settle().answered) == before == len(paid(tmp_path / "a-replies"))
        and no_waiting == []
    )
    found, policy = play("a", server)
    assert (
        found == expected
        and len(set(server.answered)) == len(server.answered)
        and policy.spent_usd == pytest.approx(whole.spent_usd)
    )


def test_requests_at_once_do_not_pass_the_budget_together(play, google, tmp_path, paid, answers):
    server = google(
        answer=answers("hm", prompt=100, completion=510)
    )  # hardly less than the worst case
    server.slow = 0.05
    worst = PRICES.of("gemini-3-flash-preview").usd(200, 512)
    with pytest.raises(UserError, match="budget"):
        play("a", server, 8, budget_usd=2 * worst)
    assert len(server.settle().answered) == 2 == len(paid(tmp_path / "a-replies"))


def test_an_estimate_says_what_it_rests_on(setting):
    there = estimate(1000, setting(), PRICES, "stateless")
    assert (
        there.prompt_tokens + there.completion_tokens == 55_516_000
        and there.usd == pytest.approx(62.4555)
    )
    assert "55,516 (reset)" in str(there) and "$50.00" in str(there)
    assert estimate(
        10, setting(), PRICES, tokens_per_episode=100, output_share=0, turns=2
    ).usd == pytest.approx(5e-4)


def test_a_price_that_is_missing_or_misspelt_is_one_line(tmp_path, setting):
    with pytest.raises(UserError, match=r"'nonesuch' has no price.*gemini-2.5-flash, "):
        estimate(1, setting(model="nonesuch"), PRICES)
    path = tmp_path / "prices.yaml"
    with pytest.raises(UserError, match=r"no price table"):
        load_prices(path)
    good = PRICES.model_dump()
    for bad in (
        "a: [",
        "",
        yaml.safe_dump({**good, "models": {"m": {"input_usd": -1, "output_usd": 1}}}),
    ):
        path.write_text(bad)
        with pytest.raises(UserError, match=r"^prices.yaml") as caught:
            load_prices(path)
        assert "\n" not in str(caught.value)


# The key ------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path, monkeypatch, key):
    """A project's folder without a key anywhere."""
    for name in ("params", "notebooks"):
        (tmp_path / "project" / name).mkdir(parents=True)
    monkeypatch.setenv("KNAPSACK_ROOT", str(tmp_path / "project"))
    monkeypatch.delenv("GEMINI_API_KEY")
    return tmp_path / "project"


def test_no_key_is_one_line_that_says_where_to_put_it(play, google, project):
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
    (project / ".env").write_text(text.format(key))
    assert play("a", google(), 1)[1].requests > 0


def test_the_environment_comes_before_the_file(project, monkeypatch):
    (project / ".env").write_text("GEMINI_API_KEY=of-the-file\n")
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
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]
