"""The chat format: the one place where messages become token ids, for training and for serving
alike.

    chat = chat_tokenizer(profile)        # as training.chat says
    chat.prompt(messages)                 # token ids up to where the model continues
    chat.content("Done.")                 # a reply's ids, with its end mark

`chatml` is our own format, of a tokenizer that has its marks (chatml.py); `add` gives them to one that
lacks them; `own` is the chat template that the base brings (own_template.py).
"""

from __future__ import annotations

from pathlib import Path

from knapsack_lib.chat.chatml import CHAT_TEMPLATE, MARKS, ChatTokenizer
from knapsack_lib.hub import base_folder
from knapsack_lib.profiles import Profile

__all__ = ["CHAT_TEMPLATE", "MARKS", "ChatTokenizer", "chat_tokenizer"]


def chat_tokenizer(profile: Profile, folder: Path | None = None) -> ChatTokenizer:
    """The chat format of the profile's base, or of a model made of it in `folder`. Raises UserError
    for a base that cannot be spoken to in the way that training.chat names."""
    setting = profile.training
    return ChatTokenizer.from_folder(folder or base_folder(profile), setting.chat, setting.base)
