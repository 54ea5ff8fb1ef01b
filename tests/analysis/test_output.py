"""Generated files: whole or not at all, and the same bytes on a machine that speaks only ASCII."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from knapsack_lib.analysis.output import read_csv, write_csv, write_tex

ROOT = Path(__file__).parents[2]
WRITE = r"""
import sys
from pathlib import Path
import pandas as pd
from knapsack_lib.analysis.output import write_csv, write_tex
write_csv(pd.DataFrame({"cell": ["base \u2192 reset"]}), Path(sys.argv[1]) / "a.csv", "made")
write_tex("\u2192", Path(sys.argv[1]) / "a.tex", "made")
"""


def test_a_machine_that_speaks_only_ascii_writes_the_same_bytes(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    write_csv(pd.DataFrame({"cell": ["base \u2192 reset"]}), here / "a.csv", "made")
    write_tex("\u2192", here / "a.tex", "made")
    plain = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", WRITE, str(there)], env=os.environ | plain, check=True)
    for name in ("a.csv", "a.tex"):
        assert (here / name).read_bytes() == (there / name).read_bytes()
    assert read_csv(here / "a.csv").cell.tolist() == ["base \u2192 reset"]


def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = write_tex("old", tmp_path / "a.tex", "made")
    with pytest.raises(UnicodeEncodeError):
        write_tex("\ud800", path, "made")
    assert path.read_text(encoding="utf-8") == "% made\nold\n"
