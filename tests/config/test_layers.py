"""Layers: YAML that hides nothing, and presets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tau2_agent.config.layers import ConfigError, preset_layers, read_yaml


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("seed: 1\nsft: {lr: 1}\nseed: 2\n", ["line 3: seed stands there twice, first in line 1"]),
        ("grpo:\n  lr: 1\nsft:\n  lr: 2\ngrpo:\n  rollouts: 1\n", ["line 5: grpo", "join the two"]),
        ("grpo:\n  lr: 1\n  rollouts: 2\n  'lr': 3\n", ["line 4: lr stands there twice"]),
        ("grpo: {lr: 1, lr: 2}", ["line 1: lr stands there twice"]),
        ("runs: {a: {seed: 1}, a: {seed: 2}}", ["a stands there twice"]),
        ("runs: {a: {sft: {lr: 1, lr: 1}}}", ["lr stands there twice"]),
        ("a: [1, 2", ["line 1: no valid YAML", "correct it"]),
        ("a: 1\n\tb: 2\n", ["line 2: no valid YAML"]),
        ("a: b: c\n", ["no valid YAML"]),
        ("- a\n- b\n", ["must hold keys and values"]),
        ("only words", ["must hold keys and values"]),
        ("x: {}\nseed: 010\n", ["line 2: YAML reads 010 as 8"]),
        ("resources: {time_limit_hours: 1:30}", ["line 1: YAML reads 1:30 as 90"]),
        ("sft:\n  no: 1\n", ["line 2: there is the key False"]),
        ("1: 2", ["the key 1, as YAML reads it", "quotation marks"]),
        ("sft: &a {lr: *a}", ["the alias (*) of a section within itself"]),
        ("runs: &a [*a]", ["the alias (*)"]),
        ("seed: " + "9" * 5000, ["a value cannot be read"]),
        ("model: {name: 2024-13-45}", ["a value cannot be read (month"]),
    ],
)
def test_yaml_that_would_be_misread(tmp_path: Path, text: str, parts: list[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_yaml(path, "mine.yaml")
    assert str(caught.value).startswith("mine.yaml")
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


def test_same_key_in_two_sections_and_merged_sections_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("a: &x {lr: 1, n: 2}\nb:\n  <<: *x\n  lr: 3\n")
    assert read_yaml(path) == {"a": {"lr": 1, "n": 2}, "b": {"lr": 3, "n": 2}}
    path.write_text("# nothing\n")
    assert read_yaml(path) == {}


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: there is no such file"):
        read_yaml(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes("a: é".encode("latin-1"))
    with pytest.raises(ConfigError, match="is no text in UTF-8"):
        read_yaml(tmp_path / "latin.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path)


def test_presets_are_read_as_strictly(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b\nseed: 1\n")
    (tmp_path / "b.yaml").write_text("sft: {lr: 1}\nsft: {lr: 2}\n")
    with pytest.raises(ConfigError, match=r"presets/b.yaml: line 2: sft stands there twice"):
        preset_layers("a", tmp_path)
    (tmp_path / "b.yaml").write_text("seed: 2\n")
    assert preset_layers("a", tmp_path) == [
        ("presets/b.yaml", {"seed": 2}),
        ("presets/a.yaml", {"seed": 1}),
    ]


def test_a_preset_within_a_preset_is_led_to_extends(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("preset: demo\n")
    with pytest.raises(ConfigError, match=r"presets/a\.yaml: preset: .* write extends"):
        preset_layers("a", tmp_path)


def test_a_preset_that_extends_one_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: demo\n")
    with pytest.raises(ConfigError, match=r"presets/a\.yaml: extends: preset 'demo' is not there"):
        preset_layers("a", tmp_path)
