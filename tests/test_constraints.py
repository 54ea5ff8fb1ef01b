"""The pinned sets agree with themselves and with what the project asks for. No wheel and no network
is needed.

tests/data/gpu_requirements.json holds, for every package of constraints-gpu.txt, its version and
what that version requires on Linux with Python 3.11, as pip reported it when the set was resolved
(make check-install resolves it again).
"""

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name as plain

ROOT = Path(__file__).resolve().parents[1]
KNOWN = {
    plain(name): told
    for name, told in json.loads(
        (ROOT / "tests/data/gpu_requirements.json").read_text(encoding="utf-8")
    ).items()
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins(name):
    rows = [
        line.split("==")
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    found = {plain(package): version for package, version in rows}
    assert len(found) == len(rows), f"{name} pins a package twice"
    return found


def fits(text, pinned):
    wanted = Requirement(text)
    version = pinned.get(plain(wanted.name))
    return version is not None and wanted.specifier.contains(version, prereleases=True)


def test_the_set_for_a_gpu_is_the_one_that_was_resolved():
    assert (
        pins("constraints-gpu.txt") == {name: told[0] for name, told in KNOWN.items()}
        and len(KNOWN) > 250
    )


def test_everything_that_a_package_of_the_gpu_set_requires_is_in_it_in_a_version_that_fits():
    pinned = pins("constraints-gpu.txt")
    amiss = [
        (name, text, pinned.get(plain(Requirement(text).name)))
        for name, told in KNOWN.items()
        for text in told[1:]
        if not fits(text, pinned)
    ]
    assert not amiss


@pytest.mark.parametrize(
    ("file", "extras"),
    [
        ("constraints-gpu.txt", ["gpu", "notebooks", "gemini", "serve"]),
        (
            "constraints.txt",
            ["notebooks", "train", "gemini", "serve", "hub", "browser", "processes", "dev"],
        ),
    ],
)
def test_what_the_project_asks_for_is_pinned_in_a_version_that_fits(file, extras):
    pinned, wanted = pins(file), [*PROJECT["dependencies"]]
    wanted += [text for extra in extras for text in PROJECT["optional-dependencies"][extra]]
    assert not [
        (text, pinned.get(plain(re.match(r"[\w.-]+", text)[0])))
        for text in wanted
        if not fits(text, pinned)
    ]


def test_a_version_that_does_not_fit_would_be_found():
    pinned = pins("constraints-gpu.txt")
    assert (
        not fits("tenacity>=9.2", pinned)
        and fits("tenacity<9.2", pinned)
        and not fits("no-such-package", pinned)
    )
