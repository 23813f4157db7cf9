"""What decides the weights of a training, or the episodes of an evaluation, as plain values.

Two that are equal make the same thing: a training resumes the other's store, or is done with it,
and an evaluation takes up the other's rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tau2_agent.files import content_hash


def fingerprint(
    inputs: Mapping[str, Path | str], hyperparameters: Mapping[str, Any], *, code: str
) -> dict[str, Any]:
    """Return what decides a stage's weights: code, content of the inputs, hyperparameters.

    inputs: name -> file or folder. Folders are hashed as `files.content_hash` says, without reading
    all of large weights. code: a digest of the code that decides, `source_code.code_digest`
    of the program. Raises FileNotFoundError naming a missing input.
    """
    return {
        "code": code,
        "inputs": {name: content_hash(path) for name, path in sorted(inputs.items())},
        "hyperparameters": dict(hyperparameters),
    }
