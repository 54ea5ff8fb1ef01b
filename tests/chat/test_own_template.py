"""The base's own chat template: what training spells is what a server renders, or one line says why
not."""

import pickle
from itertools import pairwise

import pytest
from bases import KINDS, LLAMA_TEMPLATE, MISTRAL_TEMPLATE, make_base
from common import one_line
from transformers import AutoTokenizer

from knapsack_lib.chat import ChatTokenizer
from knapsack_lib.errors import UserError
from knapsack_lib.training.parity import PROBE, check_rendering

SYSTEM_AND_TASK = PROBE[:2]


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    return {kind: make_base(kind, tmp_path_factory.mktemp(kind)) for kind in KINDS}


def with_template(kind, folder, template):
    return make_base(kind, folder / kind, template)


def rendered(folder, messages, ask=True):
    """What a server makes of these messages: text, then tokens, with nothing put in front."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=ask, tokenize=False)
    return tokenizer.encode(text, add_special_tokens=False)


@pytest.mark.parametrize("kind", KINDS)
def test_every_prompt_of_a_conversation_is_what_a_server_renders(bases, kind):
    chat = ChatTokenizer.from_folder(bases[kind], "own")
    for end in (2, 4, 6):
        served = rendered(bases[kind], chat.sent(PROBE[:end]))
        assert chat.prompt(PROBE[:end]) == served
    assert check_rendering(bases[kind], bases[kind], chat="own") > 150


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["7", "\n7", "  7 ", "\n\n", "", "[INST] </s> <|eot_id|> x"])
def test_blanks_and_marks_in_what_is_shown_are_spelled_as_served(bases, kind, text):
    chat = ChatTokenizer.from_folder(bases[kind], "own")
    talk = [*SYSTEM_AND_TASK, PROBE[2], {"role": "user", "content": text}]
    ids = chat.prompt(talk)
    assert ids == rendered(bases[kind], chat.sent(talk))
    # Of marks that a block has printed none is one.
    plain = chat.prompt([*talk[:3], {"role": "user", "content": "7"}])
    assert ids.count(chat.end) == plain.count(chat.end)


@pytest.mark.parametrize("kind", KINDS)
def test_history_only_grows_and_a_reply_ends_with_the_base_s_mark(bases, kind):
    chat = ChatTokenizer.from_folder(bases[kind], "own")
    prompts = [chat.prompt(PROBE[:end]) for end in (2, 4, 6)]
    for (shorter, longer), reply in zip(pairwise(prompts), (PROBE[2], PROBE[4]), strict=True):
        whole = [*shorter, *chat.content(reply["content"])]
        assert longer[: len(whole)] == whole
    assert chat.piece(chat.end) == ("<|eot_id|>" if kind == "llama" else "</s>")
    assert chat.text(chat.content("I look.")) == "I look."


@pytest.mark.parametrize("kind", KINDS)
def test_sampled_ids_stay_as_they_are(bases, kind):
    chat = ChatTokenizer.from_folder(bases[kind], "own")
    odd = (*chat._ids("x"), *chat._ids("x"), chat.end)
    ids = chat.prompt(PROBE[:4], [odd])
    first = chat.prompt(PROBE[:2])
    assert ids[: len(first) + len(odd)] == [*first, *odd]
    assert ids[len(first) + len(odd) :] == list(chat.shown(PROBE[:4], 3))
    again = pickle.loads(pickle.dumps(chat))
    assert again.prompt(PROBE) == chat.prompt(PROBE)


def test_a_system_message_for_which_there_is_no_place_begins_the_first_user_message(bases):
    chat = ChatTokenizer.from_folder(bases["mistral"], "own")
    text = f"{PROBE[0]['content']}\n\n{PROBE[1]['content']}"
    assert chat.sent(SYSTEM_AND_TASK) == [{"role": "user", "content": text}]
    assert ChatTokenizer.from_folder(bases["llama"], "own").sent(SYSTEM_AND_TASK) == [
        *SYSTEM_AND_TASK
    ]


def test_a_template_that_forgets_the_system_message_gets_it_joined_too(tmp_path):
    forgets = LLAMA_TEMPLATE.replace(
        "{% for one in messages %}", "{% for one in messages if one['role'] != 'system' %}"
    )
    base = with_template("llama", tmp_path, forgets)
    chat = ChatTokenizer.from_folder(base, "own")
    assert [one["role"] for one in chat.sent(PROBE[:2])] == ["user"]
    assert check_rendering(base, base, chat="own") > 150


def test_a_template_that_counts_its_turns_is_followed_whole(tmp_path):
    """No message stands by itself there: what is in front of it depends on its place."""
    counts = LLAMA_TEMPLATE.replace("one['role'] +", "one['role'] + loop.index | string +").replace(
        "'assistant' +", "'assistant' + (messages | length + 1) | string +"
    )
    base = with_template("llama", tmp_path, counts)
    chat = ChatTokenizer.from_folder(base, "own")
    assert chat.prompt(PROBE) == rendered(base, chat.sent(PROBE))
    example = chat.prompt(PROBE[:4])
    assert chat.prompt(PROBE)[: len(example)] == example


DATED = "{{ bos_token }}{{ strftime_now('%d %B %Y') if strftime_now is defined }}"


@pytest.mark.parametrize(
    "kind, template, said",
    [
        ("llama", None, "brings none"),
        ("llama", LLAMA_TEMPLATE.replace("{{ bos_token }}", DATED), "writes the day's date"),
        ("llama", LLAMA_TEMPLATE.replace(" + '<|eot_id|>'", " + '.'"), "without a mark"),
        (
            "llama",
            LLAMA_TEMPLATE.replace("'assistant'", "'assistant thinks'"),
            "writes a reply in another way than it asks for one",
        ),
        ("mistral", MISTRAL_TEMPLATE.replace("% 2", "% 3"), "refuses a conversation .*take turns"),
        (
            "llama",
            LLAMA_TEMPLATE.replace("in messages", "in messages[:2]"),
            "leaves out a message",
        ),
    ],
    ids=["none", "date", "no end", "another head", "turns", "forgets"],
)
def test_a_template_that_training_and_serving_cannot_both_follow_is_one_line(
    tmp_path, kind, template, said
):
    base = with_template(kind, tmp_path, template)
    with pytest.raises(UserError, match=said) as error:
        ChatTokenizer.from_folder(base, "own", "meta/Llama")
    assert "meta/Llama" in one_line(error) and "training.chat: add" in one_line(error)


def test_a_template_that_drops_an_earlier_thought_is_refused_where_it_does(tmp_path):
    """On the conversation itself: what is tried when the base is opened holds no thought."""
    drops = LLAMA_TEMPLATE.replace(
        "one['content'] | trim",
        "((one['content'].split('</think>') | last) if not loop.last else one['content']) | trim",
    )
    base = with_template("llama", tmp_path, drops)
    chat = ChatTokenizer.from_folder(base, "own")
    chat.prompt(PROBE[:4])
    with pytest.raises(UserError, match="changes what it has written") as error:
        chat.prompt(PROBE)
    one_line(error)
    with pytest.raises(UserError, match="changes what it has written"):
        check_rendering(base, base, chat="own")
