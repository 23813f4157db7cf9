"""Loads a model, or its tokenizer, from a folder; what is damaged or missing is an InputError.

Transformers fills weights that a folder lacks with random numbers and goes on; here that is an
error, too: nobody means to train or to measure such a model.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from tau2_agent.errors import InputError

REMEDY = "copy or download it again; if a stage made it, delete it and run the same command"
# What transformers raises over files that are cut, missing or of another model.
DAMAGED = (OSError, RuntimeError, ValueError, KeyError, SafetensorError)


def load_tokenizer(folder: Path, source: str | None = None) -> Any:
    """The tokenizer of a model's folder. source: what to call it in an error. Raises InputError."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder)
    except Exception as error:  # whatever its files bring up in the libraries that read them
        raise InputError(
            f"{source or folder}: its tokenizer cannot be loaded: {_reason(error)}; {REMEDY}"
        ) from error


def load_model(folder: Path) -> Any:
    """The causal language model of a folder, in float32, on the CPU. Raises InputError."""
    import torch
    from transformers import AutoModelForCausalLM

    try:
        model, loaded = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, output_loading_info=True, ignore_mismatched_sizes=True
        )
    except DAMAGED as error:
        raise InputError(
            f"{folder}: its weights cannot be loaded: {_reason(error)}; {REMEDY}"
        ) from error
    if missing := sorted(loaded["missing_keys"]):
        raise InputError(f"{folder}: its weights lack {_named(missing)}; {REMEDY}")
    if others := sorted(key for key, *_ in loaded["mismatched_keys"]):
        raise InputError(
            f"{folder}: {_named(others)} has another shape than config.json says; {REMEDY}"
        )
    return model


def _named(keys: list[str]) -> str:
    more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
    return keys[0] + more


def _reason(error: Exception) -> str:
    return textwrap.shorten(str(error), 300) or type(error).__name__
