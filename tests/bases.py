"""Bases that are not ours, made here: small tokenizers and models in the manner of Llama and of
Mistral, without a word of anybody's template."""

import json
from pathlib import Path

import torch
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
)

from knapsack_lib.training.parity import PROBE

TEXTS = [
    *[message["content"] for message in PROBE],
    "print('unseen', unseen, 'capacity', capacity, 'weight', weight, 'value', value)\n" * 9,
    "for item in items:\n    seen = inspect(item)\n    print(item, seen)\n" * 9,
] * 4
# Letters, digits, blanks and line ends as Llama 3 cuts them.
LLAMA = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA_MARKS = ["begin_of_text", "end_of_text", "start_header_id", "end_header_id", "eot_id"]
HEAD = "'<|start_header_id|>' + {} + '<|end_header_id|>\\n\\n'"
LLAMA_TEMPLATE = (
    "{{ bos_token }}{% for one in messages %}{{ "
    + HEAD.format("one['role']")
    + " + one['content'] | trim + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}{{ "
    + HEAD.format("'assistant'")
    + " }}{% endif %}"
)
MISTRAL_TEMPLATE = (
    "{{ bos_token }}{% for one in messages %}"
    "{% if (one['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('user and assistant take turns') }}{% endif %}"
    "{% if one['role'] == 'user' %}{{ '[INST] ' + one['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + one['content'] + eos_token }}{% endif %}{% endfor %}"
)


def llama_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE; marks are special tokens, and there is no padding token."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=420, initial_alphabet=alphabet, show_progress=False)
    )
    made.add_special_tokens([AddedToken(f"<|{name}|>", special=True) for name in LLAMA_MARKS])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<|begin_of_text|>", eos_token="<|end_of_text|>"
    )


def mistral_tokenizer(legacy: bool = False) -> PreTrainedTokenizerFast:
    """Pieces that begin with ▁, and bytes for what they lack. `legacy`: ▁ is put before every text
    between two special tokens and [INST] is plain text; else before the first text alone, and [INST]
    is a token."""
    signs = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    made = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    made.train_from_iterator(
        [text.replace("\n", " ") for text in TEXTS],
        trainers.BpeTrainer(vocab_size=520, special_tokens=signs, show_progress=False),
    )
    state = json.loads(made.to_str())
    state["added_tokens"] = state["added_tokens"][:3]  # bytes are pieces like others
    if legacy:
        state["pre_tokenizer"] = None
    made = Tokenizer.from_str(json.dumps(state))
    if legacy:
        made.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
    else:
        made.add_special_tokens([AddedToken("[INST]"), AddedToken("[/INST]")])
    made.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


KINDS = {
    "llama": (llama_tokenizer, LLAMA_TEMPLATE, LlamaConfig, LlamaForCausalLM),
    "mistral": (mistral_tokenizer, MISTRAL_TEMPLATE, MistralConfig, MistralForCausalLM),
    "legacy": (
        lambda: mistral_tokenizer(True),
        MISTRAL_TEMPLATE,
        MistralConfig,
        MistralForCausalLM,
    ),
}


def make_base(kind: str, folder: Path, template: str | None = "", tied: bool = False) -> Path:
    """A model folder of this kind, its weights drawn here; `template` None: it brings none."""
    tokenizer, own, config, model = KINDS[kind]
    made = tokenizer()
    made.chat_template = own if template == "" else template
    made.save_pretrained(folder)
    torch.manual_seed(7)
    model(
        config(
            vocab_size=len(made),
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=8,
            max_position_embeddings=8192,
            tie_word_embeddings=tied,
            bos_token_id=made.bos_token_id,
            eos_token_id=made.eos_token_id,
        )
    ).save_pretrained(folder)
    return folder
