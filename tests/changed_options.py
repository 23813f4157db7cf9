"""Other values for a program's options than their defaults: for tests that go over all of them."""

from __future__ import annotations

import argparse
from pathlib import Path

from tau2_agent import cli

# Values that no rule finds.
OTHER = {
    "weights": ["0.1,0.1,0.8"],
    "user": ["llm"],
    "user_options": ['{"top_p": 0.5}'],
    "user_price": ["1", "2"],
    "teacher_price": ["1", "2"],
    "teacher_options": ['{"top_p": 0.5}'],
    "teacher_model": ["openai/other"],
    "user_model": ["openai/other"],
    "user_phrasing": ["train"],
    "user_api_base": ["http://127.0.0.1:9/v1"],
    "teacher_api_base": ["http://127.0.0.1:9/v1"],
    "extra_args": ["--use-tis"],
    "server_args": ["--quantization fp8"],
    "num_tasks": ["3"],
    "min_partial": ["0.5"],
}


def changed(action: argparse.Action, tmp_path: Path) -> list[str]:
    """The option with another value than its default."""
    flag = action.option_strings[0]
    if action.dest in OTHER:
        value = OTHER[action.dest]
        return [f"{flag}={value[0]}"] if len(value) == 1 else [flag, *value]
    if isinstance(action, argparse.BooleanOptionalAction):
        return [action.option_strings[1] if action.default else flag]
    if action.choices:
        return [flag, str(next(c for c in action.choices if c != action.default))]
    if action.type is cli.file_to_write:
        return [flag, str(tmp_path / f"other_{action.dest}")]
    if action.type is Path:
        other = tmp_path / f"other_{action.dest}"
        if not other.exists():
            other.write_text("another\n")
        return [flag, str(other)]
    if isinstance(action.default, float):
        return [flag, repr(action.default / 2 if action.default else 0.05)]
    if isinstance(action.default, str):
        return [flag, f"{action.default}x"]
    # 0 is off; 1 may be too little for what it counts
    return [flag, str((action.default or 2) + 1)]
