"""Values that do not fit each other: the message says where each of them comes from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tau2_agent.config.backend import Backend
from tau2_agent.config.layers import ConfigError
from tau2_agent.config.mistakes import keys_in_complaint
from tau2_agent.config.resolve import resolve

PRESETS = Path(__file__).resolve().parents[2] / "presets"


def message(preset: str, lower: dict[str, Any], upper: dict[str, Any]) -> str:
    backend = "cpu" if preset == "demo" else "slime"
    layers = [("config.yaml", {"preset": preset, **lower}), ("--config", upper)]
    with pytest.raises(ConfigError) as caught:
        resolve(layers, PRESETS, lambda *_: Backend(backend, "test"))
    return str(caught.value)


@pytest.mark.parametrize(
    ("preset", "values"),
    [
        ("demo", {"grpo.checkpoint": "best", "grpo.save_rollouts": 3}),
        ("demo", {"grpo.checkpoint": "best", "grpo.validation_every": 0}),
        ("demo", {"grpo.max_new_tokens": 900, "grpo.context_length": 800}),
        ("demo", {"sft.epochs": None, "sft.steps": None}),
        ("demo", {"rejection_sampling.samples_per_task": 1, "rejection_sampling.keep_per_task": 2}),
        ("demo", {"rejection_sampling.issues": "balanced", "rejection_sampling.num_tasks": -1}),
        ("demo", {"model.hidden_size": 60, "model.heads": 7}),
        ("demo", {"sft.max_length": 5000, "model.context_length": 4500}),
        ("qwen3-4b", {"traces.teacher": "hub", "traces.max_length": 20000, "sft.max_length": 9000}),
        ("qwen3-4b", {"resources.gpus": 6, "slime.tensor_parallel": 4}),
        ("qwen3-4b", {"grpo.prompts_per_rollout": 5, "grpo.updates_per_rollout": 3}),
    ],
)
def test_each_value_that_clashes_is_named_with_its_place(preset: str, values: dict) -> None:
    *lower, last = values
    for one, other in ((lower, [last]), ([last], lower)):
        parts: list[dict[str, Any]] = []
        for keys in (one, other):
            part: dict[str, Any] = {}
            for key in keys:
                section, _, name = key.partition(".")
                part.setdefault(section, {})[name] = values[key]
            parts.append(part)
        lines = message(preset, *parts).splitlines()
        named = [
            line for line in lines if "config.yaml: " in line and line.startswith("--config: ")
        ]
        assert named, lines
        places = re.search(r"\(([^()]*)\)$", named[0])[1].split("; ")
        found = {}
        for place, _, keys in (said.partition(": ") for said in places):
            found |= dict.fromkeys(keys.split(", "), place)
        given = found.keys() & values.keys()
        assert len(given) >= 2
        assert all(found[key] == ("config.yaml" if key in one else "--config") for key in given)


@pytest.mark.parametrize("key", ["grpo.max_steps", "evaluation.max_steps"])
def test_steps_in_which_nothing_can_be_solved(key) -> None:
    section, _, name = key.partition(".")
    for steps in (1, 13):
        text = message("demo", {}, {section: {name: steps}})
        assert f"{key} {steps} ends every episode before its task is solved" in text
        assert "needs 14; raise it" in text
    resolve([("x", {section: {name: 14}})], PRESETS, lambda *_: Backend("cpu", "test"))


def test_what_a_preset_or_nobody_set_is_named_too() -> None:
    text = message("demo", {}, {"grpo": {"checkpoint": "best", "save_rollouts": 3}})
    assert text.startswith("--config: grpo.checkpoint best keeps what was validated")
    assert "presets/demo.yaml: grpo.validation_every;" in text
    text = message("demo", {}, {"traces": {"teacher": "llm"}})
    assert text.endswith("(default: traces.model; --config: traces.teacher)")


def test_values_of_one_place_are_named_once() -> None:
    text = message("demo", {}, {"sft": {"epochs": None, "steps": None}})
    assert text == (
        "--config: sft.epochs is None and sft.steps is None; set one to a number and the other "
        "to null"
    )


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("grpo.lr 1 is no sft.lr 2; set user.model", ("grpo.lr", "sft.lr")),
        (
            "slime.tensor_parallel × pipeline_parallel × context_parallel = 8",
            ("slime.tensor_parallel", "slime.pipeline_parallel", "slime.context_parallel"),
        ),
        ("config.yaml and no.key", ()),
    ],
)
def test_keys_that_a_sentence_complains_of(text: str, keys: tuple[str, ...]) -> None:
    assert keys_in_complaint(text) == keys


def settled(key: str, **source: Any) -> dict[str, Any]:
    given: dict[str, Any] = source
    for section in reversed(key.split(".")):
        given = {section: given}
    return given


@pytest.mark.parametrize("key", ["model", "user.serve"])
@pytest.mark.parametrize("revision", [None, "abc"])
@pytest.mark.parametrize("path", ["/no/such", "~/model", "./model", "../model", "a/b/c", "model/"])
def test_a_path_that_is_not_there_is_not_taken_for_a_hub_id(key, path, revision) -> None:
    text = message("qwen3-4b", {}, settled(key, source=path, revision=revision))
    assert text.startswith(f"--config: {key}.source {path} is no folder here, and no hub id")


@pytest.mark.parametrize("key", ["model", "user.serve"])
@pytest.mark.parametrize("source", ["gpt2", "Qwen/Qwen3-0.6B", "a_b/c.d-e"])
def test_a_hub_id_wants_a_pin_and_a_folder_none(key, source, tmp_path) -> None:
    text = message("qwen3-4b", {}, settled(key, source=source, revision=None))
    assert text.startswith(f"--config: {key}.source {source} is no folder here, so it is a hub id")
    assert f"pin {key}.revision" in text
    for given in ((str(tmp_path), None), (source, "abc")):
        right = settled(key, source=given[0], revision=given[1])
        layers = [("config.yaml", {"preset": "qwen3-4b"}), ("--config", right)]
        assert resolve(layers, PRESETS, lambda *_: Backend("slime", "test"))
