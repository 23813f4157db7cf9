"""Options of programs: made from the settings, so that a program by hand does what a rule does."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

import train_grpo_slime
import train_grpo_trl
import train_sft_slime
from tau2_agent.config.backend import Backend
from tau2_agent.config.program_options import (
    add,
    add_partial_weights,
    add_user,
    backend_of,
    default,
)
from tau2_agent.config.resolve import DEFAULT_PRESETS, resolve

PRESETS = Path(__file__).resolve().parents[2] / "presets"
FILES = {
    train_sft_slime: ["--model", "m", "--base", "b", "--traces", "t", "--output", "o"],
    train_grpo_slime: ["--model", "m", "--sft", "s", "--tasks", "t", "--output", "o"],
    train_grpo_trl: ["--model", "m", "--tasks", "t", "--output", "o"],
}


def parsed(keys: str, *words: str, backend: str = "cpu", prefix: str = "") -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add(parser, keys, backend, prefix)
    return parser.parse_args(list(words))


@pytest.mark.parametrize(
    ("program", "section", "backend"),
    [
        (train_sft_slime, "sft", "slime"),
        (train_grpo_slime, "grpo", "slime"),
        (train_grpo_trl, "grpo", "cpu"),
    ],
)
def test_a_program_by_hand_does_what_the_workflow_does(program, section, backend) -> None:
    layers = [("config.yaml", {"preset": DEFAULT_PRESETS[backend]})]
    config = resolve(layers, PRESETS, lambda *_: Backend(backend, "test")).config
    options = vars(program.parse(FILES[program]))
    compared = 0
    for part in (section, "slime", "resources", "reward"):
        for key, value in config[part].items():
            if key in options and key != "weights":
                assert options[key] == value, key
                compared += 1
    assert compared > 9
    assert options["prompt"] == config["prompt"]


def test_the_backend_is_known_before_the_other_options_are_read(capsys) -> None:
    words = ["--model", "m", "--lr", "fast"]
    assert backend_of(words) == backend_of(["--help"]) == "slime"
    assert backend_of([*words, "--backend", "cpu"]) == "cpu"
    assert backend_of(["--back", "cpu"]) == "slime"  # may be another option
    with pytest.raises(SystemExit):
        backend_of(["--backend", "gpu"])
    assert "invalid choice: 'gpu'" in capsys.readouterr().err


def test_weights_and_biases_is_told_how_to_work(capsys) -> None:
    parse, files = train_sft_slime.parse, FILES[train_sft_slime]
    assert parse(files).wandb_mode == "online"
    assert parse([*files, "--wandb-mode", "offline"]).wandb_mode == "offline"
    with pytest.raises(SystemExit):
        parse([*files, "--wandb-mode", "off"])
    assert "invalid choice: 'off'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("{reasoning_effort: low}", {"reasoning_effort": "low"}),  # as in config.yaml and --help
        ('{"top_p": 0.5, "a": [1e-3, null]}', {"top_p": 0.5, "a": [0.001, None]}),
        ("{}", {}),
    ],
)
def test_options_of_litellm_are_yaml_or_json(text, options) -> None:
    assert parsed("user.options", "--options", text).options == options


def test_help_names_what_may_be_chosen() -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add(parser, "grpo.lr_schedule user.phrasing", "cpu")
    shown = parser.format_help()
    assert "{constant,linear" in shown and "{fixed,train,held_out}" in shown


def test_a_training_takes_no_words_that_are_kept_for_evaluation() -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_user(parser, trains=True)
    for words in ("fixed", "train"):
        assert parser.parse_args(["--user-phrasing", words]).user_phrasing == words
    with pytest.raises(argparse.ArgumentError, match="invalid choice: 'held_out'"):
        parser.parse_args(["--user-phrasing", "held_out"])


def test_kinds_of_options() -> None:
    options = parsed(
        "grpo.lr grpo.rollouts grpo.dynamic_sampling grpo.lr_schedule user.max_tokens user.price"
        " user.options",
        *("--x-lr", "2e-6", "--x-rollouts", "1e2", "--no-x-dynamic-sampling"),
        *("--x-price", "0.1", "4", "--x-options", '{"a": {"b": [1]}}'),
        prefix="x-",
    )
    assert vars(options) == {
        "x_lr": 2e-6,
        "x_rollouts": 100,
        "x_dynamic_sampling": False,
        "x_lr_schedule": "linear",  # the demo's
        "x_max_tokens": None,
        "x_price": [0.1, 4.0],
        "x_options": {"a": {"b": [1]}},
    }


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--lr", "fast"], "must be a number"),
        (["--lr", "nan"], "must be a finite number"),
        (["--lr", "0"], "must be more than 0"),
        (["--rollouts", "2.5"], "must be a whole number"),
        (["--lr-schedule", "step"], "Valid: constant"),
        (["--options", "[1]"], "must be a section of keys"),
        (["--options", "{"], "must be a section of keys"),
        (["--options", '{"a": NaN}'], "is no finite number"),
        (["--extra-args", "--x 'open"], "a quotation mark is open"),
        (["--price", "1", "-1"], "must be at least 0"),
    ],
)
def test_wrong_values_are_refused_as_in_the_configuration(words, part) -> None:
    keys = "grpo.lr grpo.rollouts grpo.lr_schedule user.options user.price slime.extra_args"
    with pytest.raises(argparse.ArgumentError, match=part):
        parsed(keys, *words)


def test_user_and_weights() -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_user(parser, "user-a")
    add_partial_weights(parser)
    options = parser.parse_args(["--user-a", "scripted=1,llm=3", "--weights", "1,0,1"])
    assert (options.user_a, options.user_a_timeout_s) == ("scripted=1,llm=3", 60.0)
    assert tuple(options.weights) == (1.0, 0.0, 1.0)
    assert tuple(parser.parse_args([]).weights) == (0.7, 0.1, 0.2)
    for words, part in (
        (["--user-a", "lmm"], "does not exist"),
        (["--weights", "0,0,0"], "must be >= 0 and not all zero"),
    ):
        with pytest.raises(argparse.ArgumentError, match=part):
            parser.parse_args(words)


def test_default_is_the_presets_where_it_says_something() -> None:
    assert (default("grpo.rollouts", "cpu"), default("grpo.rollouts", "slime")) == (12, 74)
    assert default("grpo.max_steps", "cpu") == 200
    assert default("sft.steps", "cpu") is None
    assert default("user.options", "cpu") == default("runs", "slime") == {}
