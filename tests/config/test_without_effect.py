"""What was set and is read by nothing stops the run, unless somebody switched it off himself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tau2_agent.config.backend import Backend
from tau2_agent.config.layers import ConfigError
from tau2_agent.config.sweeps import resolve_runs

PRESETS = Path(__file__).resolve().parents[2] / "presets"
REJECTION = "rejection_sampling.samples_per_task"
CASES = [
    (REJECTION, 4, {"rejection_sampling": {"num_tasks": 40}}),
    (REJECTION, 4, {"rejection_sampling": {"issues": "balanced", "num_tasks": 40}}),
    (REJECTION, 4, {"rejection_sampling": {"lr": 1e-5}}),
    (REJECTION, 4, {"tasks": {"rejection_sampling": "extra_train"}}),
    ("grpo.dynamic_sampling", True, {"grpo": {"max_resampled_groups": 8}}),
    ("grpo.validation_every", 2, {"grpo": {"validation_tasks": 9}}),
]


def start(*layers: dict[str, Any], preset: str = "demo", places=("config.yaml", "--config")) -> str:
    """What is wrong with the configuration, "" if nothing is."""
    named = [("config.yaml", {"preset": preset}), *zip(places, layers, strict=False)]
    try:
        resolve_runs(named, PRESETS, lambda *_: Backend("cpu", "test"))
    except ConfigError as error:
        return str(error)
    return ""


def switched(key: str, value: Any, beside: dict[str, Any] | None = None) -> dict[str, Any]:
    section, _, name = key.partition(".")
    beside = beside or {}
    return {**beside, section: {**beside.get(section, {}), name: value}}


# The presets that begin with these keys off; the demo validates.
@pytest.fixture(autouse=True)
def off(monkeypatch, tmp_path):
    (tmp_path / "off.yaml").write_text(
        "extends: demo\ngrpo: {validation_every: 0, dynamic_sampling: false}\n"
        "rejection_sampling: {keep_per_task: 2}\n"  # a preset's own keys count for nothing
    )
    for preset in PRESETS.glob("*.yaml"):
        (tmp_path / preset.name).write_text(preset.read_text())
    monkeypatch.setitem(globals(), "PRESETS", tmp_path)


@pytest.mark.parametrize(("key", "on", "given"), CASES)
def test_a_key_of_what_is_off(key, on, given) -> None:
    (line,) = start(given, preset="off").splitlines()
    first = line.removeprefix("config.yaml: ").split()[0]
    section, _, name = first.partition(".")
    assert name in given[section] and f" set for nothing: {key} is " in line
    for value in (on, type(on)()):  # it is switched on, or off by somebody
        assert start(switched(key, value, given), preset="off") == ""
        assert start(given, switched(key, value), preset="off") == ""
    assert start(preset="off") == ""


def test_all_keys_are_named_in_one_line_with_their_place() -> None:
    text = start({}, {"rejection_sampling": {"num_tasks": 40, "temperature": 0.7}})
    assert text.startswith(
        "--config: rejection_sampling.num_tasks and rejection_sampling.temperature are set for "
        "nothing: rejection_sampling.samples_per_task is 0, so there is no such stage; set it to "
    )


def test_the_runs_of_a_sweep() -> None:
    given = {"rejection_sampling": {"num_tasks": 40}}
    asked = {"rejection_sampling": {"samples_per_task": 4}}
    assert start({**given, "runs": {"more": asked}}) == ""  # one of the runs reads it
    text = start({**given, "runs": {"more": {"seed": 1}}})
    assert text.startswith("config.yaml: rejection_sampling.num_tasks is set for nothing")
    text = start({"runs": {"more": given}})
    assert text.startswith("config.yaml: runs.more: rejection_sampling.num_tasks is set for")
    assert start({**asked, "runs": {"more": given}}) == ""
