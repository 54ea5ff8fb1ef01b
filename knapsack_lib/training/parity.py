"""What a server will show the model, held against what training shows it, token by token.

    check_rendering(training_folder, serving_folder)     # raises UserError with the first differing token

Training spells a conversation with conversations.Wording; a server renders the chat template that
it is given with the tokenizer that it loads. Thinking blocks, trimmed whitespace and another
template are the usual ways to differ.

One difference no template can mend: a reply that begins with a newline is trained on as it was
generated, after its head, while a server that renders it again may join the two newlines. No trace
of the scripted teacher begins so; with serving.prompts = tokens nothing is rendered again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from knapsack_lib.chat import CHAT_TEMPLATE, ChatTokenizer
from knapsack_lib.errors import UserError
from knapsack_lib.messages import Message

__all__ = ["PROBE", "check_rendering", "first_difference"]

AROUND = 3  # tokens shown before the first one that differs

# What has gone wrong in other people's templates: blank beginnings and ends, indents, think marks,
# end marks in what is shown. A block may print an empty line first; a reply begins with a word.
PROBE: tuple[Message, ...] = (
    {"role": "system", "content": "You act by writing Python. "},
    {"role": "user", "content": "Fill the knapsack.\n\nCapacity 24.\n"},
    {
        "role": "assistant",
        "content": "I look.\n```python\nfor item in items:\n    print(item,  inspect(item))\n```",
    },
    {"role": "user", "content": '\n  BaKo {"weight": 3}\n  <think>\n\n</think>\n<|im_end|> </s>\n'},
    {"role": "assistant", "content": "<think>\n\n</think>\n\nDone.\n```python\nfinish()\n```\n"},
    {"role": "user", "content": "Done."},
)


def check_rendering(training: Path, serving: Path, messages: tuple[Message, ...] = PROBE) -> int:
    """Compare the model folders' renderings of a conversation, whole and up to every reply. Returns
    the tokens compared.

    `serving` is rendered as a server does it: its own tokenizer (an adapter without one: the
    base's), its chat_template.jinja where it has one, else ours (which vLLM is started with),
    thinking off. Raises UserError naming the first token that differs.
    """
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    chat = ChatTokenizer(Tokenizer.from_file(str(training / "tokenizer.json")))
    tokenizer = AutoTokenizer.from_pretrained(
        serving if (serving / "tokenizer.json").exists() else training
    )
    own = serving / "chat_template.jinja"
    template = own.read_text() if own.exists() and serving != training else CHAT_TEMPLATE
    compared = 0
    for end in [
        place for place, message in enumerate(messages) if message["role"] == "assistant"
    ] + [len(messages)]:
        shown = list(messages[:end])
        ours = [i for message in shown for i in chat.message(message)] + list(chat.ask)
        text = tokenizer.apply_chat_template(
            shown,
            chat_template=template,
            add_generation_prompt=True,
            enable_thinking=False,
            tokenize=False,
        )
        theirs = list(tokenizer.encode(text, add_special_tokens=False))
        told = first_difference(ours, theirs, chat)
        if told:
            raise UserError(
                f"training and serving spell a conversation differently ({serving.name}): {told}; serve it with our "
                "template (knapsack_lib/assets/chat_template.jinja) and the base's tokenizer"
            )
        compared += len(ours)
    return compared


def first_difference(training: list[int], serving: list[int], chat: Any) -> str:
    """Where two renderings part, in words; "" when they are equal."""
    for place in range(max(len(training), len(serving))):
        one, other = (side[place] if place < len(side) else None for side in (training, serving))
        if one != other:
            before = "".join(chat.piece(i) for i in training[max(0, place - AROUND) : place])
            said = ["the end" if i is None else repr(chat.piece(i)) for i in (one, other)]
            return (
                f"token {place} after {before!r} is {said[0]} in training and {said[1]} when served"
            )
    return ""
