"""What a checkpoint remembers: the episodes it was trained for, and the code that trained it.

Evaluated with another prompt, a model can score 0.0 that scores 0.8 with its own. So the prompt,
the tokenizer, the limits and the user simulator lie beside the weights, and an evaluation takes
them unless it is told otherwise.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from tau2_agent.errors import PipelineError
from tau2_agent.files import write_text
from tau2_agent.records.provenance import project_commit

FILE = "trained_for.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


class TrainedForError(PipelineError):
    """A checkpoint and its record do not fit: names the file and the remedy."""


class TrainedFor(BaseModel):
    """The record. None: training did not say; supervised training has no user and no turns.

    Lengths are in tokens: of a turn (max_new_tokens) and of an episode (context_length).
    """

    stage: str
    prompt: str
    user: dict[str, Any] | None = None
    max_new_tokens: int | None = None
    context_length: int | None = None
    max_steps: int | None = None
    checkpoint: str | None = None  # of GRPO: last, or best on validation …
    rollout: int | None = None  # … and the rollout after which these weights were the policy's
    code: str = ""  # source_code.code_digest of the program
    commit: str | None = None
    tokenizer_sha256: str = ""


def write_record(folder: Path, record: TrainedFor) -> None:
    """Put the record beside a checkpoint's weights, when its tokenizer is there."""
    filled = record.model_copy(
        update={"tokenizer_sha256": tokenizer_sha256(folder), "commit": project_commit()}
    )
    write_text(folder / FILE, filled.model_dump_json(indent=2) + "\n")


def read_record(folder: Path) -> TrainedFor | None:
    """The record of a checkpoint; None for a model that nobody trained here.

    Raises TrainedForError for a record that cannot be read, and for a tokenizer or chat template
    that is not the one of the training.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        record = TrainedFor.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise TrainedForError(
            f"{path} cannot be read ({error.errors(include_url=False)[0]['msg']}); train again, or "
            "delete it to evaluate without it"
        ) from None
    if record.tokenizer_sha256 != tokenizer_sha256(folder):
        raise TrainedForError(
            f"{folder}: the tokenizer or chat template is not the one that it was trained with; "
            f"put the old files back, or delete {FILE} to evaluate it all the same"
        )
    return record


def tokenizer_sha256(folder: Path) -> str:
    """SHA-256 over a model's tokenizer and chat template."""
    digest = hashlib.sha256()
    for name in TOKENIZER_FILES:
        if (folder / name).is_file():
            digest.update(f"{name}\0".encode() + (folder / name).read_bytes())
    return digest.hexdigest()
