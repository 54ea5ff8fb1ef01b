"""Models and data sets of the Hugging Face hub as folders on this disk.

    folder = fetched("Qwen/Qwen3-8B", "model")
    folder = fetched("pythonformer/agents-learn-runtime-benchmarks@main", "dataset")

Needs huggingface_hub (extras `hub` and `train`) and a network; what is gated needs a token
(HF_TOKEN), as that library documents it. The files go into its own cache, so that the second time
nothing is fetched.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from knapsack_lib.errors import UserError, installs
from knapsack_lib.profiles import Profile

__all__ = ["ID", "base_folder", "fetched"]

ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(?:@[\w./-]+)?")
WANTED = {
    "dataset": [
        "*.json",
        "*.jsonl",
        "*.jsonl.gz",
        "*.parquet",
        "*.tar",
        "*.tar.*",
        "*.tgz",
        "*.zip",
    ],
    "model": ["*.json", "*.safetensors", "*.jinja", "*.txt", "tokenizer*"],
}


def base_folder(profile: Profile) -> Path:
    """The base model's folder: the shipped pocket base, a path, or what the hub has under the
    profile's id.

    Raises UserError for an id that cannot be fetched.
    """
    name = profile.training.base
    shipped = Path(__file__).parent / "assets" / name
    if shipped.is_dir():
        return shipped
    return fetched(name, "model") if ID.fullmatch(name) and not Path(name).exists() else Path(name)


def fetched(source: str, kind: str) -> Path:
    """The folder of `owner/name` or `owner/name@revision`; `kind` is model or dataset.

    Raises UserError for what is gated or missing, and where the hub cannot be reached.
    """
    # In a process of its own: a stage's kernel is set to be offline, and the library reads that
    # once, at import.
    environment = {
        k: v for k, v in os.environ.items() if k not in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    }
    command = [sys.executable, "-m", "knapsack_lib.hub", kind, source]
    done = subprocess.run(
        command, env=environment, encoding="utf-8", errors="replace", capture_output=True
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise UserError(f"{'data set' if kind == 'dataset' else kind} {source}: {last}")
    return Path(done.stdout.strip().splitlines()[-1])


def _fetch(kind: str, source: str) -> str:
    """Download with huggingface_hub. Raises UserError: one line, without the id."""
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import (
            GatedRepoError,
            HfHubHTTPError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )
    except ImportError:
        raise UserError(f"huggingface_hub is not installed; run: {installs('hub')}") from None
    name, _, revision = source.partition("@")
    try:
        return snapshot_download(
            name, repo_type=kind, revision=revision or None, allow_patterns=WANTED[kind]
        )
    except GatedRepoError:
        raise UserError("it is gated; ask for access on its page, then set HF_TOKEN") from None
    except RevisionNotFoundError:
        raise UserError(f"it has no revision {revision or 'main'}") from None
    except RepositoryNotFoundError:
        raise UserError(
            f"no such {kind} (or a private one: set HF_TOKEN); check owner and name"
        ) from None
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "an error")
        raise UserError(f"the hub answered {status}; try again later") from None
    except Exception as error:  # noqa: BLE001  the library raises what its HTTP client of the day raises
        raise UserError(
            f"could not be fetched ({type(error).__name__}); is there a network?"
        ) from None


if __name__ == "__main__":
    try:
        print(_fetch(*sys.argv[1:]))
    except UserError as problem:
        sys.exit(str(problem))
