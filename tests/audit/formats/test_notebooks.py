"""Executed notebooks."""

import json

import pytest
from odd_transcripts import check_odd_values

from knapsack_lib.audit.formats import Problems, read_transcripts


def cell(count, source, *outputs, kind="code"):
    return {
        "cell_type": kind,
        "execution_count": count,
        "metadata": {},
        "source": source.splitlines(keepends=True),
        "outputs": list(outputs),
    }


def notebook(*cells, language="python"):
    about = {"language_info": {"name": language}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": about, "cells": list(cells)}


RAISED = {
    "output_type": "error",
    "ename": "NameError",
    "evalue": "name 'y' is not defined",
    "traceback": [
        "\x1b[31m---------------------------------------------------------------------------\x1b[39m",
        "\x1b[31mNameError\x1b[39m                                 Traceback (most recent call last)",
        "\x1b[36mCell\x1b[39m\x1b[36m \x1b[39m\x1b[32mIn[4]\x1b[39m\x1b[32m, line 2\x1b[39m\n\x1b[32m      1\x1b[39m x = 1\n\x1b[32m----> \x1b[39m\x1b[32m2\x1b[39m y",
        "\x1b[31mNameError\x1b[39m: name 'y' is not defined",
    ],
}
SHOWN = {"output_type": "execute_result", "data": {"text/plain": ["2"]}, "execution_count": 3}
PRINTED = {"output_type": "stream", "name": "stdout", "text": ["hello\n", "there\n"]}


def write(path, document):
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_cells_are_blocks_in_the_order_in_which_they_ran(tmp_path):
    path = write(
        tmp_path / "x.ipynb",
        notebook(
            cell(None, "# Title", kind="markdown"),
            cell(4, "x = 1\ny", RAISED),
            cell(3, "%matplotlib inline\n1 + 1", PRINTED, SHOWN),
            cell(2, "%%bash\nls", PRINTED),
            cell(1, "%%time\nimport math"),
            cell(None, "never = 1"),
            cell(5, ""),
        ),
    )
    (found,) = read_transcripts(path)
    assert [one.code for one in found.steps] == [
        "%%time\nimport math",
        "%matplotlib inline\n1 + 1",
        "x = 1\ny",
    ]
    assert found.steps[1].observation == "hello\nthere\n2"
    last = found.steps[2]
    assert (last.error_type, last.error, last.line) == ("NameError", "name 'y' is not defined", 2)
    assert "\x1b" not in last.observation and "Traceback" in last.observation


def test_a_notebook_that_was_really_run(tmp_path):
    nbformat, client = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    code = nbformat.v4.new_code_cell
    book = nbformat.v4.new_notebook(
        cells=[code("a = 1\na"), code("b = 2\n\nprint(c)"), code("return 1")]
    )
    client.NotebookClient(book, allow_errors=True, kernel_name="python3").execute()
    nbformat.write(book, tmp_path / "x.ipynb")
    (found,) = read_transcripts(tmp_path)
    assert [(one.error_type, one.line) for one in found.steps] == [
        (None, None),
        ("NameError", 3),
        ("SyntaxError", 1),
    ]
    assert found.steps[0].observation == "1"


def test_what_was_not_run_or_is_no_python_is_said(tmp_path):
    write(tmp_path / "a.ipynb", notebook(cell(None, "x = 1")))
    write(tmp_path / "b.ipynb", notebook(cell(1, "x <- 1"), language="R"))
    write(tmp_path / "c.ipynb", notebook(cell(1, "x = 1")))
    (tmp_path / "d.ipynb").write_text('{"cells": [', encoding="utf-8")
    problems = Problems()
    assert len(list(read_transcripts(tmp_path, problems=problems))) == 1
    assert [one.partition(" (")[0] for one in problems.lines] == [
        "a.ipynb: none of its cells was run; run the notebook and save it",
        "b.ipynb: a notebook of r",
        "d.ipynb: no whole JSON",
    ]


def test_odd_values_are_told_or_passed_over(tmp_path):
    check_odd_values(
        tmp_path, "notebooks", notebook(cell(1, "y", RAISED), cell(2, "z", SHOWN, PRINTED))
    )
