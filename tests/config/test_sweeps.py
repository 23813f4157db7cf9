"""Runs side by side: which stages they share, and that nobody shares by accident."""

from pathlib import Path

import pytest

from tau2_agent.config.backend import Backend
from tau2_agent.config.layers import ConfigError
from tau2_agent.config.settings import Settings
from tau2_agent.config.sweeps import READS, resolve_runs

ROOT = Path(__file__).resolve().parents[2]
# Sections that decide where and how a run works, not what comes out.
MACHINE = {"preset", "resources", "tracking", "runs"}


def owners(runs, **values):
    layers = [("config.yaml", {"preset": "demo", "runs": runs, **values})]
    found = resolve_runs(layers, ROOT / "presets", lambda *_: Backend("cpu", "test"))
    return {name: dict(run.owners) for name, run in found.items()}


def own_stages(runs, name):
    layers = [("config.yaml", {"preset": "demo", "runs": runs})]
    found = resolve_runs(layers, ROOT / "presets", lambda *_: Backend("cpu", "test"))[name]
    return {stage for stage in found.owners if found.owns(stage)}


BEFORE = ("base", "sft", "rejection")
ALL = set(READS) - {"rejection", "rejection results"}  # left out unless it is asked for


@pytest.mark.parametrize(
    ("values", "own"),
    [
        ({"grpo": {"lr": 1e-5}}, {"rl"}),
        ({"sft": {"lr": 1e-5}}, {"sft", "rl", "sft results"}),
        ({"seed": 1}, ALL - {"traces"}),  # a demo model's weights come from the seed
        ({"model": {"name": "small", "layers": 1}}, ALL - {"traces", "results"}),
        ({"prompt": "tau2"}, ALL),
        ({"evaluation": {"temperature": 1.0}}, {"results", "base results", "sft results"}),
        ({"resources": {"time_limit_hours": 3}}, set()),
        ({}, set()),
    ],
)
def test_a_run_makes_what_reads_other_values_and_nothing_else(values, own):
    assert own_stages({"other": values}, "other") == own


def test_runs_share_with_each_other_too():
    runs = {
        "seed1": {"seed": 1},
        "seed1_low": {"seed": 1, "grpo": {"lr": 1e-5}},
        "same": {"seed": 1, "grpo": {"lr": 1e-5}},
    }
    found = owners(runs)
    assert found["seed1_low"]["sft"] == "seed1"
    assert found["seed1_low"]["rl"] == "seed1_low"
    assert found["same"]["rl"] == "seed1_low"


SAMPLED = {"rejection_sampling": {"samples_per_task": 4}}
LATER = {"rejection", "rejection results", "rl"}


@pytest.mark.parametrize(
    ("values", "own"),
    [
        (SAMPLED, LATER),
        (SAMPLED | {"grpo": {"lr": 1e-5}}, LATER),
        ({"rejection_sampling": {"temperature": 0.5}}, set()),  # of a stage that is left out
        ({"rejection_sampling": {"lr": 1e-5}}, set()),
    ],
)
def test_rejection_sampling_is_a_stage_of_the_runs_that_ask_for_it(values, own):
    assert own_stages({"other": values}, "other") == own


@pytest.mark.parametrize(
    ("values", "own"),
    [
        ({"grpo": {"lr": 1e-5}}, {"rl"}),
        ({"grpo": {"max_steps": 50}}, LATER),
        ({"reward": {"alpha": 0.1}}, {"rl", "results"} | {f"{s} results" for s in BEFORE}),
        (
            {"reward": {"weights": {"action": 1.0}}},
            LATER | {"results", *(f"{s} results" for s in BEFORE)},
        ),
        ({"rejection_sampling": {"start_from": "sft"}}, LATER),
        ({"rejection_sampling": {"samples_per_task": 0}}, {"rl"}),
    ],
)
def test_runs_share_rejection_sampling_unless_it_reads_other_values(values, own):
    found = owners({"other": values}, **SAMPLED)
    assert {stage for stage, owner in found["other"].items() if owner == "other"} == own


def test_a_downloaded_model_does_not_depend_on_the_seed():
    model = {"name": "m", "source": "a/b", "revision": "c"}
    found = owners({"seed1": {"seed": 1}}, model=model)
    assert found["seed1"]["base"] == ""
    assert found["seed1"]["sft"] == "seed1"


def test_every_section_is_read_by_a_stage_or_is_the_machines():
    keys = [key for keys in READS.values() for key in keys if not key.startswith("stage ")]
    read = {key.partition(".")[0] for key in keys}
    assert read | MACHINE == set(Settings.model_fields)
    assert not read & MACHINE


@pytest.mark.parametrize(
    "name", ["base", "sft", "rejection", "rl", "plain", "a-b", "a/b", "1st", ""]
)
def test_names_that_would_collide(name):
    with pytest.raises(ConfigError, match=r"\S+: runs: .* cannot be the name of a run"):
        owners({name: {"seed": 1}})


def test_a_mistake_names_its_run():
    with pytest.raises(ConfigError, match=r"\S+: runs\.fast: grpo\.lr is 'quick'"):
        owners({"fast": {"grpo": {"lr": "quick"}}})
    with pytest.raises(ConfigError, match=r"runs\.fast: unknown key grop; did you mean grpo"):
        owners({"fast": {"grop": {"lr": 0.1}}})


def test_traces_whose_tokens_are_counted_are_those_of_one_model():
    """`traces.max_length` is of the model that is trained: another model takes other traces."""
    other = {"other": {"model": {"name": "other", "revision": "v2"}}}
    counted = {"teacher": "llm", "model": "openai/x", "max_length": 900}
    for traces, shared in (({**counted, "max_length": None}, True), (counted, False)):
        layers = [("config.yaml", {"preset": "qwen3-4b", "runs": other, "traces": traces})]
        found = resolve_runs(layers, ROOT / "presets", lambda *_: Backend("slime", "test"))
        assert (found["other"].owners["traces"] == "") is shared
