"""Mistakes that the varied teacher makes on purpose, of kinds that real agents make, and what is said as one is mended.

A mistake is made once in an episode that was drawn for its kind, in the first block from a drawn turn on that it fits. The
block fails, and the next one reads what it was shown and mends that. Both regimes make the same ones.
"""

from __future__ import annotations

from keyword import iskeyword

from knapsack_lib.families.varied.hand import Hand

__all__ = ["KINDS", "MENDS", "misspelt", "unparsed"]

# Kind -> what goes wrong
KINDS = {
    "helper": "a function is used that was never defined",
    "data": "a variable is used that was never set",
    "misspelt": "a name is spelt wrongly",
    "key": "a key that the answer does not have, or its text taken for an object",
    "unparsed": "the reply holds no block, or two",
    "refused": "a refusal is not caught, and ends the block",
    "limit": "more tool calls than a block may make",
    "half": "the first mend of another mistake is wrong itself",
}

MENDS = {
    "missing": (
        "`{name}` was never defined, so I define it and go on.",
        "I forgot {name}; here it is.",
        "{name} is not there. I add it.",
        "The name {name} was missing. I set it first.",
        "I have to define {name} before I use it.",
        "That failed because {name} does not exist; I put it in.",
    ),
    "lost": (
        "{name} is gone, though I had defined it: I write down again all that I need.",
        "The interpreter has lost {name}, so I define everything afresh.",
        "My variables are lost. I restate what I know and go on.",
        "{name} existed before; the runtime must have restarted. I set everything up again.",
        "What I had defined is no longer there, so I rebuild it from what I have read.",
    ),
    "misspelt": (
        "I wrote {name} by mistake; the name is {right}.",
        "A typo: {right}, not {name}.",
        "{name} should be {right}.",
        "I misspelt {right}. Again, with the right name.",
    ),
    "key": (
        "The answer has other keys than I used; they are {fields}.",
        "The answer is JSON text with {fields}: I read it that way.",
        "I read the answer wrongly. Its fields are {fields}.",
        "Let me parse the answer properly.",
    ),
    "unparsed": (
        "Nothing was run. I send one block.",
        "I answer with exactly one python block.",
        "The format was wrong; here is the block.",
        "Again, as a single block.",
    ),
    "limit": (
        "Only {calls} calls fit into a turn, so I go on from there.",
        "I asked for too much at once. The rest now.",
        "That was more than {calls} calls; I continue with what is missing.",
        "The limit stopped the block. I take up the rest.",
    ),
    "refused": (
        "I leave out {name}, which is refused.",
        "I go on without {name}.",
        "The refusal ended the block; {name} is out from now on.",
        "Nothing of {name}, then.",
    ),
}


def misspelt(hand: Hand, name: str) -> str:
    """The name with one slip of the fingers."""
    place = int(hand.draw(*range(len(name) - 1))) if len(name) > 1 else 0
    ways = [
        name[:place] + name[place + 1 :],
        name[:place] + name[place : place + 2][::-1] + name[place + 2 :],
        name[: place + 1] + name[place:],
        name + "s",
        name[:-1] if name.endswith("s") else name + "_",
    ]
    good = [way for way in ways if way != name and way.isidentifier() and not iskeyword(way)]
    return hand.draw(*good)


def unparsed(hand: Hand, saying: str, block: str) -> str:
    """A reply that no block can be taken from."""
    half = block.find("\n", len(block) // 2) + 1 or len(block)
    return hand.draw(
        f"{saying}\n{block}",
        f"{saying}\n```python\n{block[:half]}\n```\nThen:\n```python\n{block[half:] or 'pass'}\n```",
        f"{saying}\n`{block.splitlines()[0]}`",
    )
