"""Settings as the one source: config.yaml, the presets, and the names that others offer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter

from tau2_agent.benchmark import tasks
from tau2_agent.config.backend import Backend
from tau2_agent.config.checks import WITH_VALIDATION_TASKS
from tau2_agent.config.fields import find, leaves
from tau2_agent.config.layers import load_preset
from tau2_agent.config.mistakes import REMOVED, RENAMED
from tau2_agent.config.resolve import DEFAULT_PRESETS, resolve
from tau2_agent.config.settings import SPLITS, Settings
from tau2_agent.config.show import active, as_yaml, in_force, keys_of_presets, template

ROOT = Path(__file__).resolve().parents[2]
PRESETS = ROOT / "presets"
SHIPPED = (ROOT / "config.yaml").read_text()
KEYS = dict(leaves(Settings))


def at(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values[part]
    return values


def settled(values: dict[str, Any], preset: str) -> Any:
    return resolve(
        [("config.yaml", {**values, "preset": preset})],
        PRESETS,
        lambda wanted, why: Backend("cpu" if wanted == "auto" else wanted, why),
    )


# --- config.yaml ---------------------------------------------------------------------------------


def test_config_file_is_the_one_that_is_made() -> None:
    made = template(PRESETS)
    assert made == SHIPPED, "python scripts/show_config.py --template > config.yaml"


def test_every_shown_value_is_the_default_or_says_that_presets_differ() -> None:
    shown, differ = yaml.safe_load(active(SHIPPED)), keys_of_presets(PRESETS)
    for key, field in KEYS.items():
        if key in ("backend", "preset"):
            assert at(shown, key) == "auto"
        elif key in differ:
            assert at(shown, key) == "preset", key
        else:
            default = field.get_default(call_default_factory=True)
            assert as_yaml(at(shown, key)) == as_yaml(default), key


@pytest.mark.parametrize("preset", DEFAULT_PRESETS.values())
def test_values_beside_the_word_preset_are_those_in_force(preset: str) -> None:
    config = settled({}, preset).config
    text = re.sub(r"\n *#  +", " ", SHIPPED)  # continued lines joined
    section = ""
    seen = 0
    for line in text.splitlines():
        if found := re.match(r"(\w+):$", line):
            section = f"{found[1]}."
        if found := re.match(r"\s*# (\w+): preset +# (.*)", line):
            said = re.search(
                rf"(?:{preset}|{preset} and \S+|\S+ and {preset}) (\S+?)[,;] ", found[2]
            )
            value = at(config, section + found[1])
            assert said and yaml.safe_load(said[1]) == value, line
            seen += 1
    assert seen == len(keys_of_presets(PRESETS) - {"backend"})


@pytest.mark.parametrize("preset", sorted(path.stem for path in PRESETS.glob("*.yaml")))
def test_taking_away_every_sign_changes_nothing(preset: str) -> None:
    values = yaml.safe_load(active(SHIPPED))
    assert values["grpo"]["lr"] == "preset"
    del values["backend"]
    assert settled(values, preset).config == settled({}, preset).config


# --- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", KEYS)
def test_every_key_has_one_line_of_help_and_a_valid_default(key: str) -> None:
    field = KEYS[key]
    assert field.description and len(field.description) < 160 and "\n" not in field.description
    if not field.is_required():
        default = field.get_default(call_default_factory=True)
        shown = yaml.safe_load(as_yaml(default))
        assert as_yaml(TypeAdapter(field.rebuild_annotation()).validate_python(shown)) == as_yaml(
            default
        )


def test_presets_set_what_has_no_default() -> None:
    required = {key for key, field in KEYS.items() if field.is_required()}
    for preset in DEFAULT_PRESETS.values():
        recipe = load_preset(preset, PRESETS)
        assert all(at(recipe, key) is not None for key in required)


def test_names_are_those_that_the_packages_offer() -> None:
    from tau2_agent.benchmark.environment import PROMPTS
    from tau2_agent.config.fields import choices_of
    from tau2_agent.teachers.baselines import AGENTS

    assert set(SPLITS) == set(tasks._task_set().splits)
    assert set(choices_of(KEYS["prompt"])) == set(PROMPTS)
    assert set(choices_of(KEYS["traces.teacher"])) - {"llm", "file", "hub"} <= set(AGENTS)


def test_renamed_keys_lead_to_keys_that_are_there() -> None:
    assert set(RENAMED.values()) <= set(KEYS)
    assert not {*RENAMED, *REMOVED} & set(KEYS)
    assert all(find(Settings, key.split(".")) is None for key in RENAMED)


def test_value_in_force_and_where_it_comes_from() -> None:
    resolved = resolve(
        [
            ("config.yaml", {"preset": "qwen3-4b-8gpu", "grpo": {"lr": 0.1, "rollouts": 3}}),
            ("mine.yaml", {"grpo": {"lr": 0.2}, "reward": {"weights": {"action": 0.5}}}),
            ("--config", {"grpo": {"lr": "3e-1", "rollouts": "preset"}, "seed": "7"}),
        ],
        PRESETS,
    )
    rows = {key: (value, origin) for key, value, origin in in_force(resolved)}
    assert set(rows) == set(KEYS)
    assert rows["grpo.lr"] == ("0.3", "--config")
    assert rows["grpo.rollouts"] == ("74", "presets/qwen3-4b.yaml")
    assert rows["resources.gpus"] == ("8", "presets/qwen3-4b-8gpu.yaml")
    assert rows["reward.weights.action"] == ("0.5", "mine.yaml")
    assert rows["reward.weights.assertion"] == ("0.2", "default")
    assert rows["seed"] == ("7", "--config")
    assert rows["backend"] == ("slime", "set by preset qwen3-4b-8gpu")
    assert rows["preset"] == ("qwen3-4b-8gpu", "config.yaml")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-6, "1.0e-6"),
        (0.0015, "1.5e-3"),
        (0.01, "0.01"),
        (3.25e-5, "3.25e-5"),
        (74, "74"),
        (None, "null"),
        (True, "true"),
        (["test"], "[test]"),
        ({"a": 1e-5, "b": "null"}, "{a: 1.0e-5, b: 'null'}"),
        ("", "''"),
    ],
)
def test_values_are_shown_as_yaml_that_reads_back(value: Any, text: str) -> None:
    assert as_yaml(value) == text
    assert yaml.safe_load(text) == value


def test_the_splits_with_validation_s_tasks_are_known() -> None:
    of = {name: set(tasks.split_ids(name)) for name in SPLITS}
    whole = {name for name, ids in of.items() if of["extra_dev"] <= ids}
    assert whole == set(WITH_VALIDATION_TASKS)
    assert not of["extra_dev"] & (of["train"] | of["test"] | of["extra_train"])
