"""A data set of the Hugging Face hub as a folder on this disk.

    folder = local_copy("pythonformer/agents-learn-runtime-benchmarks")     # a path that is there is returned as it is

Needs the extra `hub` and a network; a gated set needs a token (HF_TOKEN), as huggingface_hub documents it. The files go
into that library's own cache, so that the second time nothing is fetched.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from knapsack_lib.profiles import UserError
from knapsack_lib.published.files import shown_name

__all__ = ["local_copy"]

ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(?:@[\w./-]+)?")
WANTED = ["*.json", "*.jsonl", "*.tar", "*.tar.gz", "*.tgz"]


def local_copy(source: str | Path) -> Path:
    """The path itself where it exists, else the data set `owner/name` or `owner/name@revision`, fetched.

    Raises UserError for what is neither, for a set that is gated or missing, and where the hub cannot be reached.
    """
    path = Path(source)
    if path.exists() or not ID.fullmatch(str(source)):
        if not path.exists():
            raise UserError(f"{shown_name(source)}: no such folder, archive or file, and no data set id (owner/name)")
        return path
    # In a process of its own: a stage's kernel is told to be offline, and the library reads that once, at import.
    environment = {k: v for k, v in os.environ.items() if k not in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")}
    done = subprocess.run(
        [sys.executable, "-m", "knapsack_lib.published.hub", str(source)], env=environment, text=True, capture_output=True
    )  # fmt: skip
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise UserError(f"data set {source}: {last}")
    return Path(done.stdout.strip().splitlines()[-1])


def _fetch(source: str) -> str:
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
        raise UserError("huggingface_hub is not installed; run: pip install 'knapsack-lib[hub]'") from None
    name, _, revision = source.partition("@")
    try:
        return snapshot_download(name, repo_type="dataset", revision=revision or None, allow_patterns=WANTED)
    except GatedRepoError:
        raise UserError("it is gated; ask for access on its page, then set HF_TOKEN") from None
    except RevisionNotFoundError:
        raise UserError(f"it has no revision {revision or 'main'}") from None
    except RepositoryNotFoundError:
        raise UserError("no such data set (or a private one: set HF_TOKEN); check owner and name") from None
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "an error")
        raise UserError(f"the hub answered {status}; try again later") from None
    except Exception as error:  # noqa: BLE001  the library raises what its HTTP client of the day raises
        raise UserError(f"could not be fetched ({type(error).__name__}); is there a network?") from None


if __name__ == "__main__":
    try:
        print(_fetch(sys.argv[1]))
    except UserError as problem:
        sys.exit(str(problem))
