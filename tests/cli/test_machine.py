"""The commands about a machine."""

import json

from click.testing import CliRunner

from knapsack_lib.cli import knapsack


def test_doctor_is_one_screen_and_shows_no_key(monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", "sesame")
    shown = CliRunner().invoke(knapsack, ["doctor", "--profile", "pocket"])
    assert shown.exit_code == 0 and "can run here" in shown.output and "sesame" not in shown.output
    assert len(shown.output.splitlines()) < 25


def test_doctor_as_json_shows_no_key_either(monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", "sesame")
    shown = CliRunner().invoke(knapsack, ["doctor", "--json"])
    assert json.loads(shown.output)["key"] is True and "sesame" not in shown.output
