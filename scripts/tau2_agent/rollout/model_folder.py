"""Makes the folder of a fetched model ready for episodes: chat template, stop tokens, positions.

All of it is written into the folder, in the files where Hugging Face's libraries and servers look.
What was changed is printed.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tau2_agent.errors import InputError
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.loading import load_tokenizer
from tau2_agent.rollout.rendering import TemplateError
from tau2_agent.rollout.template_choice import choose_template
from tau2_agent.rollout.template_probes import ASKED, CALLED, TOOLS


def require_model(folder: Path) -> None:
    """Raise InputError unless a folder holds a Hugging Face model, by its config.json."""
    if not (folder / "config.json").is_file():
        raise InputError(
            f"{folder} is no Hugging Face checkpoint (it has no config.json); "
            "build it first, or give the HF export of a Megatron checkpoint"
        )
    if "model_type" not in _read(folder / "config.json"):
        raise InputError(f"{folder}/config.json names no model_type; fetch the model again")


def prepare_chat(folder: Path, source: str, wanted: str | None) -> None:
    """Try the chat template, or the one that is wanted, and leave in the folder what passed.

    Raises InputError with what failed in the trial and what to do.
    """
    tokenizer = load_tokenizer(folder, source)
    try:
        chosen = choose_template(tokenizer, wanted)
    except TemplateError as error:
        raise InputError(f"{source} cannot be trained on tool calls: {error}") from error
    _check_vocabulary(folder, source, chosen.codec)
    if wanted is not None:
        print(f"chat template: {wanted}, not the model's own")
    for switch in chosen.switches:
        print(f"chat template: written with {switch}; as it is, it would rewrite earlier turns")
    if chosen.text != tokenizer.chat_template:
        write_template(folder, chosen.text)
        ChatCodec(load_tokenizer(folder, source))  # what later stages will read
    if add_stop(folder, chosen.codec.stop_id):
        print(f"generation_config.json: {chosen.codec.stop_text} ends an answer, too")


def _check_vocabulary(folder: Path, source: str, codec: ChatCodec) -> None:
    """The model knows every token of a conversation: tokens can be added to a tokenizer alone."""
    size = _read(folder / "config.json").get("vocab_size")
    highest = max(codec.stop_id, *codec.encode(codec.render([ASKED, CALLED, ASKED], TOOLS)))
    if isinstance(size, int) and highest >= size:
        raise InputError(
            f"{source}: its tokenizer has the token {codec.decode([highest])!r} as number "
            f"{highest}, but its config.json a vocab_size of {size}: the model has no embedding "
            "for it. Resize the model's embeddings, or set model.chat_template to one that does "
            "without"
        )


def write_template(folder: Path, text: str) -> None:
    """Make `text` the only chat template of a model folder."""
    shutil.rmtree(folder / "additional_chat_templates", ignore_errors=True)
    (folder / "chat_template.json").unlink(missing_ok=True)
    (folder / "chat_template.jinja").write_text(text, encoding="utf-8")
    _edit(folder / "tokenizer_config.json", chat_template=None)


def add_stop(folder: Path, stop_id: int) -> bool:
    """Let the model's generation stop where its template does; tell whether that was new.

    Base models that got a chat template know only the end of a document.
    """
    file = folder / "generation_config.json"
    known = (_read(file) if file.exists() else {}).get("eos_token_id")
    if known is None:
        known = _read(folder / "config.json").get("eos_token_id")
    known = known if isinstance(known, list) else [known] if isinstance(known, int) else []
    if stop_id in known:
        return False
    if not file.exists():
        file.write_text("{}", encoding="utf-8")
    _edit(file, eos_token_id=[stop_id, *known])
    return True


def positions(folder: Path) -> int | None:
    """How many tokens a model can read, as its config.json says; None if it does not say."""
    config = _read(folder / "config.json")
    own = config.get("max_position_embeddings")
    own = config.get("text_config", {}).get("max_position_embeddings") if own is None else own
    return own if isinstance(own, int) else None


def require_positions(folder: Path, tokens: int, option: str) -> None:
    """Raise InputError if texts may be longer than the model can read."""
    own = positions(folder)
    if own is not None and tokens > own:
        raise InputError(
            f"{option} {tokens}: {folder} can read {own} tokens; lower it, or widen the model with "
            "model.max_positions"
        )


def widen_positions(folder: Path, source: str, positions: int) -> None:
    """Let the model read longer texts than it was made for. Raises InputError.

    Rotary positions go on beyond what a model has seen, and it learns them in training; positions
    that are scaled, or looked up in a table, do not.
    """
    config = _read(folder / "config.json")
    own = config.get("max_position_embeddings")
    rope = config.get("rope_scaling") or config.get("rope_parameters") or {}
    rope = rope if isinstance(rope, dict) else {"rope_type": rope}
    scaling = rope.get("rope_type", rope.get("type", "default"))
    if not isinstance(own, int) or not (config.get("rope_theta") or rope.get("rope_theta")):
        raise InputError(
            f"{source} has no rotary positions in its config.json; model.max_positions must be null"
        )
    if scaling != "default":
        raise InputError(
            f"{source} scales its rotary positions ({scaling}); model.max_positions must be null"
        )
    if positions < own:
        raise InputError(
            f"{source} has {own} positions; model.max_positions {positions} would take some away: "
            "set it to null, and bound texts by context_length"
        )
    _edit(folder / "config.json", max_position_embeddings=positions)
    _edit(folder / "tokenizer_config.json", model_max_length=positions)
    print(f"positions: {positions} instead of {own}; it has not seen the ones beyond")


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{file} is no JSON ({error}); fetch the model again") from error
    if not isinstance(content, dict):
        raise InputError(f"{file} holds no JSON object; fetch the model again")
    return content


def _edit(file: Path, **values: Any) -> None:
    """Set values of a JSON file; None takes a key away."""
    content = _read(file) | values
    content = {key: value for key, value in content.items() if values.get(key, value) is not None}
    text = json.dumps(content, indent=2, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")
