"""Notebook 02 with a paid teacher: what it will cost, what it cost, and a second run that asks for
nothing."""

import os
import shutil
import subprocess
import sys

import nbformat
import pytest

from knapsack_lib.files import project_root
from knapsack_lib.store import current

PROFILE = """like: smoke
name: paid
tasks: {train: 4, validation: 2, easy: 2, medium: 2}
limits: {turns: 16, tool_calls: 24, wall_seconds: 10, cpu_seconds: 2, memory_mb: 512, output_chars: 2000}
teacher:
  policy: gemini
  slip_share: 0.0
  batch_sizes: [9]
  style_variants: 1
  gemini: {model: gemini-3-flash-preview, temperature: 1.0, max_output_tokens: 512, context: 100000, concurrency: 4,
           attempts: 4, timeout_seconds: 20, budget_usd: 1}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A scratch project with the profile `paid` and its tasks."""
    folder = tmp_path_factory.mktemp("paid")
    for name in ("params", "notebooks"):
        shutil.copytree(project_root() / name, folder / name)
    (folder / "params" / "paid.yaml").write_text(PROFILE, encoding="utf-8")
    return folder


def notebook(study, stem, *words, **environment):
    kept = {
        k: v
        for k, v in os.environ.items()
        if k not in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GEMINI_BASE_URL")
    }
    command = [
        sys.executable,
        "-m",
        "papermill",
        f"notebooks/{stem}.ipynb",
        "-p",
        "profile",
        "paid",
        *words,
    ]
    done = subprocess.run(
        command,
        cwd=study,
        env={**kept, "KNAPSACK_ROOT": str(study), **environment},
        capture_output=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
    )
    return done, "-".join([stem, *words[2::3]])


def printed(study, name):
    book = nbformat.read(study / "runs" / "paid" / "notebooks" / f"{name}.ipynb", as_version=4)
    return "\n".join(
        o.text for c in book.cells for o in c.get("outputs", ()) if o.output_type == "stream"
    )


def test_the_notebook_prints_the_estimate_and_the_cost_and_pays_only_once(study, google, key):
    server, store = google(), study / "runs/paid/teacher/reset"
    assert notebook(study, "01_generate")[0].returncode == 0
    done, name = notebook(study, "02_teacher", "-p", "runtime", "reset")
    assert done.returncode != 0 and "GEMINI_API_KEY" in done.stderr and ".env" in done.stderr
    (study / ".env").write_text(f"GEMINI_API_KEY={key}\n", encoding="utf-8")
    done, name = notebook(study, "02_teacher", "-p", "runtime", "reset", GEMINI_BASE_URL=server.url)
    assert done.returncode == 0, done.stderr[-2000:]
    text = printed(study, name)
    assert (
        "gemini-3-flash-preview: about" in text
        and "of this regime's budget of $1.00" in text
        and "spent in all" in text
    )
    assert len(server.answered) > 12 and key not in text
    episodes = (current(store) / "episodes.jsonl").read_bytes()
    shutil.rmtree(store)  # the traces are gone, what was paid for is not
    done, name = notebook(
        study, "02_teacher", "-p", "runtime", "reset", GEMINI_BASE_URL="http://127.0.0.1:9"
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (current(store) / "episodes.jsonl").read_bytes() == episodes
    kept = b"".join(p.read_bytes() for p in (study / "runs").rglob("*") if p.is_file())
    assert key.encode() not in kept
