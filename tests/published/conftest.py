"""The sample in the authors' format (tests/data), whole and damaged."""

import shutil
import tarfile
from pathlib import Path

import pytest

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "published_sample"


@pytest.fixture
def sample():
    return SAMPLE


@pytest.fixture
def copy(tmp_path):
    """A folder of the sample that may be damaged: copy("persistent")."""

    def make(name):
        return Path(shutil.copytree(SAMPLE / name, tmp_path / name))

    return make


@pytest.fixture
def packed(tmp_path):
    """An archive of a folder: packed(folder)."""

    def make(folder, name="made.tar.gz"):
        with tarfile.open(tmp_path / name, "w:gz") as archive:
            archive.add(folder, arcname=folder.name)
        return tmp_path / name

    return make
