"""What a server will show the model, compared with what training shows it, token by token.

    check_rendering(training_folder, serving_folder)     # raises UserError with the first differing token

Training encodes a conversation with chat.ChatTokenizer; a server renders the chat template that it
is given with the tokenizer that it loads. Thinking blocks, trimmed whitespace and another template
are the usual ways to differ.

One difference no template can fix: a reply that begins with a newline is trained on as it was
generated, after its head, while a server that renders it again may join the two newlines. No trace
of the scripted teacher begins so; with serving.prompts = tokens nothing is rendered again.
"""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

from knapsack_lib.chat import CHAT_TEMPLATE, ChatTokenizer
from knapsack_lib.errors import UserError
from knapsack_lib.messages import Message

__all__ = ["PROBE", "check_rendering"]

CONTEXT = 3  # tokens shown before the first one that differs

# What has gone wrong in other people's templates: blank beginnings and ends, indents, think marks,
# end marks in what is shown. A block may print an empty line first; a reply begins with a word.
PROBE: tuple[Message, ...] = (
    {"role": "system", "content": "You act by writing Python. "},
    {"role": "user", "content": "Fill the box.\n\nCapacity 24.\n"},
    {
        "role": "assistant",
        "content": "I look.\n```python\nfor item in items:\n    print(item,  inspect(item))\n```",
    },
    {"role": "user", "content": '\n  BaKo {"weight": 3}\n  <think>\n\n</think>\n<|im_end|> </s>\n'},
    {"role": "assistant", "content": "<think>\n\n</think>\n\nDone.\n```python\nfinish()\n```\n"},
    {"role": "user", "content": "Done."},
)


def check_rendering(training: Path, serving: Path, messages: tuple[Message, ...] = PROBE) -> int:
    """Compare two model folders' renderings of a conversation, whole and up to every reply. Returns
    the number of tokens compared.

    `serving` is rendered as a server does it: its own tokenizer (an adapter without one: the
    base's), its chat_template.jinja where it has one, else ours (which vLLM is started with),
    thinking off. Raises UserError naming the first token that differs.
    """
    from transformers import AutoTokenizer

    chat = ChatTokenizer.from_folder(training)
    tokenizer = AutoTokenizer.from_pretrained(
        serving if (serving / "tokenizer.json").exists() else training
    )
    template, own = CHAT_TEMPLATE, serving / "chat_template.jinja"
    if own.exists() and serving != training:
        template = own.read_text(encoding="utf-8")
    compared, replies = 0, [at for at, one in enumerate(messages) if one["role"] == "assistant"]
    for end in [*replies, len(messages)]:
        ours = [i for message in messages[:end] for i in chat.message(message)] + list(chat.ask)
        text = tokenizer.apply_chat_template(
            list(messages[:end]),
            chat_template=template,
            add_generation_prompt=True,
            enable_thinking=False,
            tokenize=False,
        )
        theirs = list(tokenizer.encode(text, add_special_tokens=False))
        if difference := _first_difference(ours, theirs, chat):
            raise UserError(
                f"training and serving spell a conversation differently ({serving.name}): {difference}; serve it "
                "with our template (knapsack_lib/assets/chat_template.jinja) and the base's tokenizer"
            )
        compared += len(ours)
    return compared


def _first_difference(training: list[int], serving: list[int], chat: ChatTokenizer) -> str:
    """Where two renderings part, in words; "" when they are equal."""
    for place, pair in enumerate(zip_longest(training, serving)):
        if pair[0] != pair[1]:
            before = "".join(map(chat.piece, training[max(0, place - CONTEXT) : place]))
            ours, theirs = ("the end" if i is None else repr(chat.piece(i)) for i in pair)
            return f"token {place} after {before!r} is {ours} in training and {theirs} when served"
    return ""
