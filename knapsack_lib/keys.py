"""What an output depends on, as one key. An output is stale when its key has changed: a store of episodes by
`store_key`, an executed notebook by study.Step.key, which is made of the same parts.

    key = store_key(run, inputs, cell)        # of a store of episodes, or of an adapter
    digest = sources_digest("knapsack", EPISODE)

What shapes an episode is the list EPISODE: a change of anything else (figures, explorer, doctor, docs) makes no episode
stale.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from knapsack_lib.families import family_file
from knapsack_lib.files import digest_of, path_digest
from knapsack_lib.profiles import Run
from knapsack_lib.provenance import package_versions

__all__ = ["ANALYSIS", "EPISODE", "TRAINING", "computing_packages", "sources_digest", "store_key"]

LIBRARY = Path(__file__).parent
# Files and folders of the library. Of families/ what all share and the study's own family count.
EPISODE = (
    "agent.py",
    "assets/chat_template.jinja",
    "blocks.py",
    "chat",
    "episodes.py",
    "families/base.py",
    "families/ids.py",
    "families/scripted.py",
    "families/varied",
    "interpreter",
    "messages.py",
    "play.py",
    "policies",
    "policy_factory.py",
    "prompts.py",
    "react.py",
    "rollouts.py",
    "seeds.py",
    "serving/vllm.py",
    "syntax",
)
TRAINING = (*EPISODE, "profiles/run.py", "training")
ANALYSIS = (*EPISODE, "analysis")
# Of a family: its drawings, and the authors' files in its terms. They change nothing that is played.
ONLY_SHOWS = ("view.py", "published.py")
# Another version of these may compute other bytes.
COMPUTING = ("markdown-it-py", "numpy", "torch", "tokenizers", "transformers")


@cache
def sources_digest(family: str, sources: tuple[str, ...]) -> str:
    """SHA-256 over those sources of the library, with their names, and the family's."""
    own = family_file(family)
    named = (
        [own]
        if own
        else [
            p
            for p in (LIBRARY / "families" / family, LIBRARY / f"families/{family}.py")
            if p.exists()
        ]
    )
    files = [
        file for root in [*(LIBRARY / name for name in sources), *named] for file in _code(root)
    ]
    return digest_of({_name(file): path_digest(file) for file in files})


def _code(root: Path) -> Iterable[Path]:
    """The sources in a folder, or the one file that is named."""
    if root.is_file():
        return [root]
    return [
        p for p in root.rglob("*") if p.suffix in (".py", ".jinja") and p.name not in ONLY_SHOWS
    ]


def _name(path: Path) -> str:
    return path.relative_to(LIBRARY).as_posix() if path.is_relative_to(LIBRARY) else path.name


def computing_packages() -> dict[str, str | None]:
    """Versions of the packages that compute an output."""
    versions = package_versions()
    return {name: versions.get(name) for name in COMPUTING}


def _of_blocks(run: Run) -> dict[str, str | None]:
    """Versions of the packages that blocks may import."""
    found: dict[str, str | None] = dict.fromkeys(run.profile.interpreter.packages)
    for name in found:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def store_key(
    run: Run, inputs: Mapping[str, Path], *who: Any, sources: tuple[str, ...] = EPISODE
) -> str:
    """SHA-256 of everything that shapes a store: sources, settings, seed, inputs, `who` plays, computing packages."""
    return digest_of(
        {
            "code": sources_digest(run.profile.family, sources),
            "profile": run.profile.episode_digest(),
            "seed": run.seed,
            "inputs": {name: path_digest(path) for name, path in inputs.items()},
            "who": [
                asdict(one) if is_dataclass(one) and not isinstance(one, type) else str(one)
                for one in who
            ],
            "packages": computing_packages() | _of_blocks(run),
        }
    )
