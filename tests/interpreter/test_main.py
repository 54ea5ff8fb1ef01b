"""`python -m knapsack_lib.interpreter`: a table of protections that were tried."""

import subprocess
import sys
from pathlib import Path

from knapsack_lib.interpreter import __main__ as program
from knapsack_lib.interpreter.confine import PROTECTIONS

ROOT = Path(__file__).parents[2]


def test_every_protection_is_tried_and_reported(capsys, monkeypatch):
    chosen = {name: next(p for p in program.PROBES if p[0] == name) for name in PROTECTIONS}
    monkeypatch.setattr(program, "PROBES", tuple(chosen.values()))
    monkeypatch.setattr(program, "ALWAYS", program.ALWAYS[-4:])
    assert program.main(("privileges",)) == 0
    lines = capsys.readouterr().out.splitlines()
    holds = [line.split()[0] for line in lines if "  holds  " in line]
    assert holds == ["files", "syscalls", "limits", "host", "host", "host", "host"]
    active = [line.split(": ")[1] for line in lines if line.startswith("active: ")]
    assert active == ["files", "syscalls", "limits"]


def test_a_claim_that_does_not_hold_is_counted_and_ends_with_status_1(capsys, monkeypatch):
    monkeypatch.setattr(program, "PROBES", (("files", "print", "print('REACHED')"),))
    monkeypatch.setattr(program, "ALWAYS", (("print", "print(1)", ("exit",)),))
    assert program.main(()) == 1
    assert "2 claimed protections do not hold\n" in capsys.readouterr().out


def test_a_missing_protection_is_named_with_the_setting_to_do_without(capsys, monkeypatch):
    monkeypatch.setattr(program, "PROBES", ())
    monkeypatch.setattr(program, "ALWAYS", ())
    monkeypatch.setattr(program, "_missing", lambda without: [("files", "Landlock: no")])
    assert program.main(()) == 1
    shown = capsys.readouterr().out
    assert "files       MISSING  Landlock: no\n" in shown
    assert "interpreter.without: [files]\n" in shown and "active: files" not in shown


def test_an_unknown_protection_is_refused_with_the_list_of_them():
    command = [sys.executable, "-m", "knapsack_lib.interpreter", "--without", "walls"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 2 and all(name in done.stderr for name in PROTECTIONS)
