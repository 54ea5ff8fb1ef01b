"""Data set folders."""

import json

import pytest

from knapsack_lib.audit.formats import Problems, read_transcripts

ROW = {"messages": [{"role": "assistant", "content": "```python\nx = 1\n```"}]}


def test_a_saved_data_set_is_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    saved = datasets.Dataset.from_list([ROW] * 3)
    datasets.DatasetDict({"train": saved, "test": saved}).save_to_disk(tmp_path / "saved")
    problems = Problems()
    found = list(read_transcripts(tmp_path / "saved", problems=problems))
    assert [len(one.steps) for one in found] == [1] * 6
    assert problems.count == 0


def test_a_folder_of_the_hub_is_read(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "train-00000-of-00001.parquet"
    parquet.write_table(arrow.Table.from_pylist([ROW] * 300), path)
    (tmp_path / "README.md").write_text("---\nconfigs: []\n---\n", encoding="utf-8")
    (tmp_path / "dataset_infos.json").write_text(
        json.dumps({"default": {"features": {}}}), encoding="utf-8"
    )
    problems = Problems()
    assert len(list(read_transcripts(tmp_path, problems=problems))) == 300
    assert problems.count == 0
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(Exception, match=r"train-00000-of-00001\.parquet: damaged"):
        list(read_transcripts(tmp_path))
