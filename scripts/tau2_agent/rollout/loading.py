"""Loads a model, or its tokenizer, from a folder; what is damaged or missing is an InputError.

Too little memory is an OutOfMemory: another copy of the folder would not help. What is neither
keeps its traceback, with a note that names the folder. Transformers fills weights that a folder
lacks with random numbers and goes on; here that is an error, too: nobody means to train or to
measure such a model.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from safetensors import SafetensorError

from tau2_agent.errors import InputError
from tau2_agent.memory import OutOfMemory, is_out_of_memory

REMEDY = "copy or download it again; if a stage made it, delete it and run the same command"
# What transformers raises over files that are cut, missing or of another model. A RuntimeError may
# be anything; these two are PyTorch's over files.
DAMAGED = (OSError, ValueError, KeyError, SafetensorError, UnpicklingError)
DAMAGED_TEXTS = ("PytorchStreamReader failed", "Error(s) in loading state_dict")


def load_tokenizer(folder: Path, source: str | None = None) -> Any:
    """The tokenizer of a model's folder. source: what to call it in an error. Raises InputError,
    OutOfMemory."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder)
    except Exception as error:  # whatever its files bring up in the libraries that read them
        _require_memory(error, f"loading the tokenizer of {source or folder}")
        raise InputError(
            f"{source or folder}: its tokenizer cannot be loaded: {_reason(error)}; {REMEDY}"
        ) from error


def load_model(folder: Path) -> Any:
    """The causal language model of a folder, in float32, on the CPU.

    Raises InputError, OutOfMemory.
    """
    import torch
    from transformers import AutoModelForCausalLM

    try:
        model, loaded = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, output_loading_info=True, ignore_mismatched_sizes=True
        )
    except Exception as error:
        _require_memory(error, f"loading {folder}")
        if _is_damage(error):
            raise InputError(
                f"{folder}: the model cannot be loaded: {_reason(error)}; {REMEDY}"
            ) from error
        error.add_note(f"while loading the model in {folder}")
        raise
    if missing := sorted(loaded["missing_keys"]):
        raise InputError(f"{folder}: its weights lack {_named(missing)}; {REMEDY}")
    if others := sorted(key for key, *_ in loaded["mismatched_keys"]):
        raise InputError(
            f"{folder}: {_named(others)} has another shape than config.json says; {REMEDY}"
        )
    return model


def _require_memory(error: Exception, doing: str) -> None:
    if is_out_of_memory(error):
        raise OutOfMemory(error, doing) from error


def _is_damage(error: Exception) -> bool:
    if isinstance(error, PermissionError):
        return False  # the file may be whole
    if isinstance(error, RuntimeError):
        return any(text in str(error) for text in DAMAGED_TEXTS)
    from huggingface_hub.errors import StrictDataclassError  # of config.json

    return isinstance(error, (*DAMAGED, StrictDataclassError))


def _named(keys: list[str]) -> str:
    more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
    return keys[0] + more


def _reason(error: Exception) -> str:
    return textwrap.shorten(str(error), 300) or type(error).__name__
