"""Where an output comes from: commit, settings, seed, package versions, hashes of the inputs. No clock, no machine.

    key = store_key(run, inputs, cast)                  # everything that shapes the episodes of a store
    write_provenance(run, folder / "provenance.json", {"tasks": run.tasks("train")})
    environment_stamp(profile)                          # the last cell of a notebook

Paths are relative to the project, hashes are SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from knapsack_lib.profiles import Profile, Run, UserError, project_root

__all__ = [
    "code_digest", "environment_stamp", "package_versions", "path_digest", "provenance", "store_key", "write_provenance",
]  # fmt: skip

PACKAGES = (
    "knapsack-lib", "numpy", "pydantic", "torch", "transformers", "tokenizers", "trl", "peft", "datasets", "accelerate",
    "safetensors", "pandas", "scipy", "statsmodels", "matplotlib", "seaborn", "papermill",
)  # fmt: skip
COMPUTING = ("numpy", "torch", "tokenizers", "transformers")  # another version of these may give other bytes
# What only shows, starts or describes runs. Everything else in the library can change what an episode holds.
BESIDE = ("analysis", "cli.py", "explorer", "hub.py", "papermill_default.py", "progress.py", "provenance.py", "published", "runner.py",
          "stages.py")  # fmt: skip
SOURCES = ("knapsack_lib", "notebooks", "params", "pyproject.toml", "constraints.txt")
UNCOMPARED = ("timings.jsonl", "turns.jsonl", "provenance.json")  # hold clocks, half episodes, or the commit


def package_versions() -> dict[str, str]:
    """Versions of the packages that matter, those that are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def code_digest() -> str:
    """SHA-256 over the library's sources and templates that shape episodes, with their names."""
    library = Path(__file__).parent
    sources = [p for p in library.rglob("*") if p.suffix in (".py", ".jinja")]
    names = [p.relative_to(library) for p in sources]
    return _digest_of(library, sorted(n.as_posix() for n in names if n.parts[0] not in BESIDE))


def path_digest(path: Path) -> str:
    """SHA-256 of a file, or of a folder's files with their names (without clocks and half-written files)."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if not path.is_dir():
        raise UserError(f"input {path.name} of this output is not there; run the stage that makes it first")
    files = [p for p in path.rglob("*") if p.is_file() and p.suffix != ".part" and p.name not in UNCOMPARED]
    return _digest_of(path, sorted(p.relative_to(path).as_posix() for p in files))


def _digest_of(folder: Path, names: list[str]) -> str:
    total = hashlib.sha256()
    for name in names:
        total.update(f"{name}\0{path_digest(folder / name)}\n".encode())
    return total.hexdigest()


def store_key(run: Run, inputs: Mapping[str, Path], *who: Any) -> str:
    """SHA-256 of everything that shapes an episode: sources, settings, seed, inputs, `who` acts, computing packages."""
    versions = package_versions()
    text = json.dumps(
        {
            "code": code_digest(),
            "profile": run.profile.episode_digest(),
            "seed": run.seed,
            "inputs": {name: path_digest(path) for name, path in inputs.items()},
            "who": [asdict(one) if is_dataclass(one) and not isinstance(one, type) else str(one) for one in who],
            "packages": {name: versions.get(name) for name in COMPUTING},
        },
        sort_keys=True,
    )
    return hashlib.sha256(text.encode()).hexdigest()


def write_provenance(run: Run, path: Path, inputs: Mapping[str, Path]) -> None:
    """Write `provenance(run, inputs)` as JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(provenance(run, inputs), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    part.replace(path)


def provenance(run: Run, inputs: Mapping[str, Path]) -> dict[str, Any]:
    """Everything that made an output, as JSON values; the same run on the same commit gives the same dict."""
    commit, dirty = _commit()
    return {
        "commit": commit,
        "dirty": dirty,
        "profile": run.profile.name,
        "profile_digest": run.profile.digest(),
        "seed": run.seed,
        "python": platform.python_version(),
        "packages": package_versions(),
        "inputs": {name: {"path": _place(path), "sha256": path_digest(path)} for name, path in sorted(inputs.items())},
    }


def _place(path: Path) -> str:
    """Relative to the project, or to the package for what ships with it: never a path of this machine."""
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
    stamp["packages"] = package_versions()
    changed = {True: " with changes", False: "", "unknown": ""}[dirty]
    print(f"commit {commit}{changed}, Python {stamp['python']}")
    if profile is not None:
        print(f"profile {profile.name}, digest {stamp['profile_digest'][:16]}")
    print(", ".join(f"{name} {version}" for name, version in stamp["packages"].items()))
    return stamp


def _commit() -> tuple[str, bool | str]:
    """(commit, whether sources differ from it); "unknown" outside a checkout or without git.

    Only sources count: a run that writes its own figures into the repository does not make itself dirty.
    """
    try:
        head = _git("rev-parse", "HEAD")
        changes = _git("status", "--porcelain", "--", *SOURCES)
    except (OSError, subprocess.CalledProcessError):
        return "unknown", "unknown"
    return head, bool(changes)


def _git(*words: str) -> str:
    command = ["git", "-C", str(project_root()), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
