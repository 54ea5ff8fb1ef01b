"""Seeds by name: every random draw of the package has one of its own."""

from __future__ import annotations

import hashlib
import json

__all__ = ["named_seed"]


def named_seed(root: int, *names: object) -> int:
    """A 63-bit seed for one named draw: independent of order of use, of the process and of
    PYTHONHASHSEED."""
    text = json.dumps([int(root), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
