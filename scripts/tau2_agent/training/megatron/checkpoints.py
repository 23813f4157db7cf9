"""A folder of Megatron checkpoints on disk, as slime leaves it: what it holds, what may go.

    latest_checkpointed_iteration.txt   the last whole checkpoint: a rollout id, or "release"
    iter_0000012/                       weights and optimizer in torch_dist format
    rollout/global_dataset_state_dict_12.pt   where the data source stood
    hf/12/                              the same weights as a Hugging Face folder (--save-hf)
    config.json, model-*.safetensors, … the last of those, once the stage is done
    export.json                         which iteration the line above is

slime writes the tracker after the weights and the rest after the tracker, so a kill can leave a
checkpoint without its Hugging Face export or its data position; both are made good here.
Left out on purpose: stores and locks (resumable.py), and starting anything.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

from tau2_agent.errors import PipelineError
from tau2_agent.files import write_text

TRACKER = "latest_checkpointed_iteration.txt"
LIFTED = "export.json"
# slime exports every file beside --hf-checkpoint's weights; those may be another store's own.
MODEL_FILES = (
    "config.json",
    "generation_config.json",
    "model",
    "tokenizer",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template",
    "vocab",
    "merges",
)


class CheckpointError(PipelineError):
    """A checkpoint folder that is missing, incomplete, or not what it should be."""


def latest_iteration(folder: Path) -> int | None:
    """Return the iteration (= rollout id) of the last whole checkpoint, None without one.

    Raises CheckpointError if the tracker names a checkpoint that is not there.
    """
    text = _tracker(folder)
    if text is None:
        return None
    if not text.isdigit():
        raise CheckpointError(f"{folder / TRACKER} says {text!r}: no checkpoint of a training run")
    if not _is_whole(iteration_folder(folder, int(text))):
        raise CheckpointError(f"{folder / TRACKER} names iteration {text}, which is not whole")
    return int(text)


def recover(folder: Path) -> int | None:
    """Return what `latest_iteration` would, after mending a tracker that a kill cut short.

    slime writes the tracker in place: killed there, it is empty while the weights are whole.
    """
    try:
        return latest_iteration(folder)
    except CheckpointError as error:
        whole = [n for n in _iterations(folder) if _is_whole(iteration_folder(folder, n))]
        if not whole:
            raise
        write_text(folder / TRACKER, str(whole[-1]))
        print(f"{error}; the last whole checkpoint, iteration {whole[-1]}, is used", flush=True)
        return whole[-1]


def require_weights(folder: Path) -> None:
    """Raise CheckpointError unless the folder holds a converted or trained Megatron checkpoint."""
    inner = weights_folder(folder)
    if not _is_whole(inner):
        raise CheckpointError(f"{inner} is not a whole torch_dist checkpoint")


def weights_folder(folder: Path) -> Path:
    """Return the inner folder that the tracker names. Raises CheckpointError without a tracker."""
    text = _tracker(folder)
    if text is None:
        raise CheckpointError(
            f"{folder} has no {TRACKER}: it is no Megatron checkpoint. Name the folder that the "
            "conversion or the SFT stage made, not one of its iter_* folders."
        )
    if text == "release":
        return folder / "release"
    if not text.isdigit():
        raise CheckpointError(f"{folder / TRACKER} says {text!r}, which is no iteration")
    return iteration_folder(folder, int(text))


def iteration_folder(folder: Path, iteration: int) -> Path:
    """Return where Megatron keeps an iteration."""
    return folder / f"iter_{iteration:07d}"


def prune(folder: Path, keep: int, best: int | None = None) -> list[Path]:
    """Delete all but the last `keep` whole checkpoints, and older exports. Returns what went.

    Never touches the one the tracker names, nor anything newer, which may be being written. best:
    an iteration whose export stays; for evaluation and publishing that is all that is needed.
    """
    try:
        last = latest_iteration(folder)
    except CheckpointError:
        return []  # the tracker is being written
    if last is None:
        return []
    old = [number for number in _iterations(folder) if number <= last][: -max(keep, 1)]
    gone = [iteration_folder(folder, number) for number in old]
    exports = folder / "hf"
    gone += [exports / str(n) for n in _numbered(exports, r"(\d+)") if n < last and n != best]
    for path in gone:
        shutil.rmtree(path, ignore_errors=True)
    return gone


def is_huggingface_folder(folder: Path) -> bool:
    """Tell whether a folder holds a whole Hugging Face model: config, tokenizer, every weight."""
    if not (folder / "config.json").is_file() or not (folder / "tokenizer.json").is_file():
        return False
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return (folder / "model.safetensors").is_file()
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, AttributeError):
        return False
    return bool(names) and all((folder / name).is_file() for name in names)


def lifted_iteration(folder: Path) -> int | None:
    """Return the iteration whose Hugging Face model lies at the top of the folder."""
    try:
        iteration = json.loads((folder / LIFTED).read_text(encoding="utf-8"))["iteration"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return iteration if is_huggingface_folder(folder) else None


def lift_export(folder: Path, iteration: int, best: int | None = None) -> None:
    """Put the Hugging Face export of an iteration at the top of the checkpoint folder.

    So that evaluation, and any other program, can load the folder itself. best: an iteration whose
    export stays below hf/, too, as a second name of the same files; the others go. Raises
    CheckpointError if slime did not finish that export.
    """
    export = folder / "hf" / str(iteration)
    if not is_huggingface_folder(export):
        raise CheckpointError(f"{export} is no whole Hugging Face model")
    (folder / LIFTED).unlink(missing_ok=True)
    for stale in [*folder.glob("*.safetensors"), *folder.glob("*.safetensors.index.json")]:
        stale.unlink()
    for path in sorted(export.iterdir()):
        if path.is_file() and path.name.startswith(MODEL_FILES):
            (_link if iteration == best else os.replace)(path, folder / path.name)
    write_text(folder / LIFTED, json.dumps({"iteration": iteration}) + "\n")
    if best is None:
        shutil.rmtree(folder / "hf", ignore_errors=True)
        return
    for other in (folder / "hf").iterdir():
        if other.name != str(best):
            shutil.rmtree(other, ignore_errors=True)


def _link(file: Path, name: Path) -> None:
    """Give a file a second name, in place of what had it; a copy where there are no links."""
    name.unlink(missing_ok=True)
    try:
        os.link(file, name)
    except OSError:
        shutil.copy2(file, name)


def restore_data_position(folder: Path, iteration: int, *, prompts: int, per_rollout: int) -> bool:
    """Write the data source's position after `iteration` if a kill prevented slime from it.

    prompts: lines of the data file. per_rollout: how many a rollout takes, a sample each. Returns
    whether it had to be written.
    """
    path = folder / "rollout" / f"global_dataset_state_dict_{iteration}.pt"
    if path.exists():
        return False
    import torch

    taken = (iteration + 1) * per_rollout
    # slime starts an epoch when it runs past the end, not when it reaches it
    epoch = max(0, (taken - 1) // prompts)
    state = {
        "sample_offset": taken - epoch * prompts,
        "epoch_id": epoch,
        "sample_group_index": taken,
        "sample_index": taken,
        "metadata": {},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)
    return True


def _is_whole(folder: Path) -> bool:
    return (folder / ".metadata").is_file() and (folder / "common.pt").is_file()


def _tracker(folder: Path) -> str | None:
    try:
        return (folder / TRACKER).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None


def _iterations(folder: Path) -> list[int]:
    return _numbered(folder, r"iter_(\d{7})")


def _numbered(folder: Path, pattern: str) -> list[int]:
    if not folder.is_dir():
        return []
    matches = (re.fullmatch(pattern, path.name) for path in folder.iterdir())
    return sorted(int(match[1]) for match in matches if match)
