"""Small tokenizers that know the special tokens of chat templates."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.resources import files

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

_SPECIAL = re.compile(r"<[|｜][^<>|｜\s']+[|｜]>|<(?:start|end)_of_turn>|<\|?turn\|?>")


def trl_templates() -> dict[str, str]:
    """Name -> text of all chat templates that TRL ships."""
    folder = files("trl").joinpath("chat_templates")
    return {
        file.name.removesuffix(".jinja"): file.read_text(encoding="utf-8")
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".jinja")
    }


def special_tokens(templates: Iterable[str]) -> list[str]:
    """What looks like a special token in the texts of templates."""
    return sorted(set().union(*map(_SPECIAL.findall, templates)))


def byte_tokenizer(
    special: Iterable[str],
    *,
    eos: str | None = "</s>",
    lower: bool = False,
    without: int | None = None,
):
    """A tokenizer with a token a byte, and `special` ones; its eos is none of a template's.

    without: a byte that it lacks.
    """
    chars = sorted(pre_tokenizers.ByteLevel.alphabet())
    if without is not None:
        chars.remove(bytes_to_unicode()[without])
    alphabet = {char: i for i, char in enumerate(chars)}
    tokenizer = Tokenizer(models.BPE(vocab=alphabet, merges=[]))
    if lower:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special])
    named = {"eos_token": eos} if eos else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        clean_up_tokenization_spaces=False,
        **named,
    )
