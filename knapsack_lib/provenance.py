"""Where an output comes from: commit, settings, seed, package versions, hashes of the inputs. No
clock, no machine.

    write_provenance(run, folder / "provenance.json", {"tasks": run.tasks("train")})
    environment_stamp(profile)                          # the last cell of a notebook

Paths are relative to the project, hashes are SHA-256.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from knapsack_lib.files import path_digest, project_root, write_whole
from knapsack_lib.profiles import Profile, Run

__all__ = ["environment_stamp", "package_versions", "provenance", "write_provenance"]

PACKAGES = (
    "knapsack-lib",
    "numpy",
    "pydantic",
    "torch",
    "transformers",
    "tokenizers",
    "trl",
    "peft",
    "datasets",
    "accelerate",
    "safetensors",
    "pandas",
    "scipy",
    "statsmodels",
    "matplotlib",
    "seaborn",
    "papermill",
)
# Environment variables by which a hook of git names the checkout that it belongs to
ANOTHER_CHECKOUT = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX")
SOURCES = ("knapsack_lib", "notebooks", "params", "pyproject.toml", "constraints.txt")


@cache
def package_versions() -> Mapping[str, str]:
    """Versions of the packages that matter, those that are installed. Looked up once: a key is made of them for every
    step of a study."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def write_provenance(run: Run, path: Path, inputs: Mapping[str, Path]) -> None:
    """Write `provenance(run, inputs)` as JSON, whole or not at all."""
    write_whole(path, json.dumps(provenance(run, inputs), indent=1, sort_keys=True) + "\n")


def provenance(run: Run, inputs: Mapping[str, Path]) -> dict[str, Any]:
    """Everything that made an output, as JSON values; the same run on the same commit gives the
    same dict."""
    commit, dirty = _commit()
    return {
        "commit": commit,
        "dirty": dirty,
        "profile": run.profile.name,
        "profile_digest": run.profile.digest(),
        "seed": run.seed,
        "python": platform.python_version(),
        "packages": dict(package_versions()),
        "inputs": {
            name: {"path": _place(path), "sha256": path_digest(path)}
            for name, path in sorted(inputs.items())
        },
    }


def _place(path: Path) -> str:
    """Relative to the project, or to the package for what ships with it: never a path of this
    machine."""
    for base in (project_root(), Path(__file__).resolve().parents[1]):
        if path.resolve().is_relative_to(base):
            return path.resolve().relative_to(base).as_posix()
    return path.name


def environment_stamp(profile: Profile | None = None) -> dict[str, Any]:
    """Print and return what this notebook ran with."""
    commit, dirty = _commit()
    stamp: dict[str, Any] = {"commit": commit, "dirty": dirty, "python": platform.python_version()}
    if profile is not None:
        stamp |= {"profile": profile.name, "profile_digest": profile.digest()}
    stamp["packages"] = dict(package_versions())
    changed = {True: " with changes", False: "", "unknown": ""}[dirty]
    print(f"commit {commit}{changed}, Python {stamp['python']}")
    if profile is not None:
        print(f"profile {profile.name}, digest {stamp['profile_digest'][:16]}")
    print(", ".join(f"{name} {version}" for name, version in stamp["packages"].items()))
    return stamp


def _commit() -> tuple[str, bool | str]:
    """(commit, whether sources differ from it); "unknown" outside a checkout of the project or
    without git.

    Only sources count: a run that writes its own figures into the repository does not make itself
    dirty.
    """
    try:
        head = _git("rev-parse", "HEAD")
        changes = _git("status", "--porcelain", "--", *SOURCES)
        tracked = _git("ls-files", "--", "params")
    except (OSError, subprocess.CalledProcessError):
        return "unknown", "unknown"
    if not tracked:  # a downloaded copy in a checkout of something else
        return "unknown", "unknown"
    return head, bool(changes)


def _git(*words: str) -> str:
    command = ["git", "-C", str(project_root()), *words]
    ours = {name: value for name, value in os.environ.items() if name not in ANOTHER_CHECKOUT}
    return subprocess.run(
        command, check=True, capture_output=True, encoding="utf-8", env=ours
    ).stdout.strip()
