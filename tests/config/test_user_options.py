"""Which user a stage has: what decides its words, and what only says how it is reached."""

from __future__ import annotations

import argparse
import json

import pytest
from changed_settings import config_of

from tau2_agent.config.layers import ConfigError
from tau2_agent.config.program_options import add_language_model
from tau2_agent.config.user_options import faults, language_models, simulator_of

USER = {
    "simulator": "llm", "model": "openai/x", "api_base": None, "temperature": 0.5,
    "max_tokens": None, "options": {}, "concurrency": 4, "timeout_s": 9, "retries": 1,
    "budget_usd": 2.0, "budget_tokens": None, "max_failure_share": 0.1, "serve": None,
    "price": {"input": 1.0, "output": 2.0}, "phrasing": "fixed", "one_action": False,
}  # fmt: skip


def test_what_decides_the_words_is_apart_from_the_rest():
    config = {"user": USER, "evaluation": {"user": None}}
    asked = simulator_of(config, "grpo")
    assert asked.flags == {
        "user": "llm",
        "user_model": "openai/x",
        "user_temperature": 0.5,
        "user_max_tokens": None,
        "user_options": None,
    }
    assert asked.untracked == {
        "user_api_base": USER["api_base"],
        "user_concurrency": 4,
        "user_timeout_s": 9,
        "user_retries": 1,
        "user_budget_usd": 2.0,
        "user_budget_tokens": None,
        "user_max_failure_share": 0.1,
        "user_price": [1.0, 2.0],
    }
    assert (asked.llm, asked.gpus) == (True, 0)
    user = USER | {"options": {"top_p": 0.5}, "price": None, "max_tokens": 9}
    other = simulator_of({"user": user, "evaluation": {"user": None}}, "grpo")
    assert other.flags["user_options"] == '{"top_p": 0.5}' and other.flags["user_max_tokens"] == 9
    assert other.untracked["user_price"] is None


def test_only_stages_with_a_language_model_need_its_server():
    serve = {"source": "a/b", "revision": "c", "gpus": 2, "server_args": ""}
    config = {"user": USER | {"serve": serve}, "evaluation": {"user": "scripted", "phrasing": None}}
    assert simulator_of(config, "grpo").gpus == 2
    assert simulator_of(config, "grpo").flags["user_model"] == "openai/a/b@c"
    scripted = simulator_of(config, "evaluation")
    assert (scripted.gpus, scripted.untracked) == (0, {})
    assert scripted.flags == {"user": "scripted", "user_phrasing": None, "user_one_action": None}


def test_one_may_evaluate_on_other_words_than_one_trained_on():
    user = USER | {"simulator": "scripted", "phrasing": "train", "one_action": True}
    config = {"user": user, "evaluation": {"user": None, "phrasing": "held_out"}}
    for stage, phrasing in (("grpo", "train"), ("evaluation", "held_out")):
        flags = simulator_of(config, stage).flags
        assert flags["user_phrasing"] == phrasing and flags["user_one_action"] is True
    config["evaluation"]["phrasing"] = "fixed"  # said, or the checkpoint's own would be taken
    assert simulator_of(config, "evaluation").flags["user_phrasing"] == "fixed"
    held_out = {"user": USER | {"phrasing": "held_out"}}
    assert [key for key, _ in faults(held_out)] == ["user.phrasing"]


def test_a_served_user_is_named_once():
    def wrong(api_base=None, **serve):
        return [key for key, _ in faults({"user": USER | {"api_base": api_base, "serve": serve}})]

    assert wrong(source="a/b", revision="c") == []
    assert wrong("http://h", source="a/b", revision="c") == ["user.serve"]
    assert list(faults({"user": USER | {"api_base": "http://h"}})) == []


def test_a_model_is_asked_for_whatever_stage_it_plays(tmp_path):
    config = {
        "user": USER | {"simulator": "scripted"},
        "evaluation": {"user": "llm", "phrasing": None},
        "traces": {"teacher": "scripted"},
    }
    assert list(language_models(config, str(tmp_path / "none"))) == ["user"]
    config["evaluation"]["user"] = None
    assert language_models(config, str(tmp_path / "none")) == {}


@pytest.mark.parametrize("section", ["user", "traces"])
@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"api_base": "me:sk-secret@host/v1"}, ".api_base is no address; write http://"),
        ({"api_base": "sk-secret"}, ".api_base is no address; write http://"),
        ({"api_base": ["http://me:sk-secret@host"]}, ".api_base is no address; write http://"),
        ({"api_base": "http://me:sk-secret@host"}, ".api_base holds more than an address"),
        ({"api_base": "http://host/v1?key=sk-secret"}, ".api_base holds more than an address"),
        (
            {"options": {"api_key": "sk-secret"}},
            ".options.api_key cannot be set here; keys go into",
        ),
        ({"options": {"n": 2, "top_p": 1}}, ".options.n cannot be set here; take it out"),
    ],
)
def test_what_may_hold_a_key_is_refused_and_not_repeated(section, values, says) -> None:
    with pytest.raises(ConfigError) as caught:
        config_of("demo", {section: values})
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"config.yaml: {section}{says}") and "sk-secret" not in line
    add_language_model(parser := argparse.ArgumentParser(exit_on_error=False), section, "x-")
    (name, value), *_ = values.items()
    with pytest.raises(argparse.ArgumentError) as refused:
        parser.parse_args([f"--x-{name.replace('_', '-')}", json.dumps(value).strip('"')])
    assert "sk-secret" not in str(refused.value) and section in str(refused.value)


def test_addresses_and_options_of_a_model_that_are_right() -> None:
    values = {"api_base": "https://[::1]:8000/v1", "options": {"top_p": 0.5}}
    assert values.items() <= config_of("demo", {"user": values})["user"].items()
    assert config_of("demo", {"user": {"api_base": "null"}})["user"]["api_base"] is None
