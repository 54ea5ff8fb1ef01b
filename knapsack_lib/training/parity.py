"""What a server will show the model, compared with what training shows it, token by token.

    check_rendering(training_folder, serving_folder)     # raises UserError with the first differing token

Training encodes a conversation with the chat format of knapsack_lib.chat; a server renders the chat
template that it is given with the tokenizer that it loads. Thinking blocks, trimmed whitespace and another template
are the usual ways to differ.

One difference no template can fix: a reply that begins with a newline is trained on as it was
generated, after its head, while a server that renders it again may join the two newlines. No trace
of the scripted teacher begins so; with serving.prompts = tokens nothing is rendered again.
"""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

from knapsack_lib.chat import ChatTokenizer
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


def check_rendering(
    training: Path, serving: Path, messages: tuple[Message, ...] = PROBE, chat: str = "chatml"
) -> int:
    """Compare two model folders' renderings of a conversation, whole and up to every reply. Returns
    the number of tokens compared.

    `chat` is training.chat. `serving` is rendered as a server does it: its own tokenizer (an adapter
    without one: the base's), its chat_template.jinja where it has one, else training's (which vLLM is
    started with), thinking off. Raises UserError naming the first token that differs.
    """
    from transformers import AutoTokenizer

    ours = ChatTokenizer.from_folder(training, chat)
    tokenizer = AutoTokenizer.from_pretrained(
        serving if (serving / "tokenizer.json").exists() else training
    )
    template, own = ours.template, serving / "chat_template.jinja"
    if own.exists() and serving != training:
        template = own.read_text(encoding="utf-8")
    compared, replies = 0, [at for at, one in enumerate(messages) if one["role"] == "assistant"]
    for end in [*replies, len(messages)]:
        trained = ours.prompt(messages[:end])
        text = tokenizer.apply_chat_template(
            ours.sent(messages[:end]),
            chat_template=template,
            add_generation_prompt=True,
            enable_thinking=False,
            tokenize=False,
        )
        theirs = list(tokenizer.encode(text, add_special_tokens=False))
        if difference := _first_difference(trained, theirs, ours):
            mend = (
                "take another base or set training.chat: add"
                if chat == "own"
                else "serve it with our template (knapsack_lib/assets/chat_template.jinja) and the base's tokenizer"
            )
            raise UserError(
                f"training and serving spell a conversation differently ({serving.name}): {difference}; {mend}"
            )
        compared += len(trained)
    return compared


def _first_difference(training: list[int], serving: list[int], chat: ChatTokenizer) -> str:
    """Where two renderings part, in words; "" when they are equal."""
    for place, pair in enumerate(zip_longest(training, serving)):
        if pair[0] != pair[1]:
            before = "".join(map(chat.piece, training[max(0, place - CONTEXT) : place]))
            ours, theirs = ("the end" if i is None else repr(chat.piece(i)) for i in pair)
            return f"token {place} after {before!r} is {ours} in training and {theirs} when served"
    return ""
