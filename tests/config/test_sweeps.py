"""Runs side by side: which stages they share, and that nobody shares by accident."""

from pathlib import Path

import pytest

from tau2_agent.config.backend import Backend
from tau2_agent.config.layers import ConfigError
from tau2_agent.config.sweeps import READS, resolve_runs

ROOT = Path(__file__).resolve().parents[2]


def owners(runs, **values):
    layers = [("config.yaml", {"preset": "demo", "runs": runs, **values})]
    found = resolve_runs(layers, ROOT / "presets", lambda *_: Backend("cpu", "test"))
    return {name: dict(run.owners) for name, run in found.items()}


def own_stages(runs, name):
    layers = [("config.yaml", {"preset": "demo", "runs": runs})]
    found = resolve_runs(layers, ROOT / "presets", lambda *_: Backend("cpu", "test"))[name]
    return {stage for stage in found.owners if found.owns(stage)}


BEFORE = ("base", "sft", "rejection")
# Without what is left out unless it is asked for.
ALL = set(READS) - {"rejection", "rejection results", "user model"}
RESULTS = {"base results", "sft results"}


@pytest.mark.parametrize(
    ("values", "own"),
    [
        ({"grpo": {"lr": 1e-5}}, {"rl"}),
        ({"sft": {"lr": 1e-5}}, {"sft", "rl", "sft results"}),
        ({"seed": 1}, ALL - {"traces", "leaks"}),  # a demo model's weights come from the seed
        ({"model": {"name": "small", "layers": 1}}, ALL - {"traces", "leaks"}),
        ({"prompt": "tau2"}, ALL),
        ({"evaluation": {"temperature": 1.0}}, RESULTS),
        ({"evaluation": {"splits": ["small"]}}, set()),
        ({"reward": {"alpha": 0.1}}, {"rl"}),
        ({"tasks": {"grpo": "train"}}, {"leaks", "rl"} | RESULTS),
        ({"tasks": {"sft": "small"}}, ALL),
        ({"resources": {"time_limit_hours": 3}}, set()),
        ({"slime": {"convert_args": "--x 1"}}, set()),  # of the other backend
        ({}, set()),
    ],
)
def test_a_run_makes_what_reads_other_values_and_nothing_else(values, own):
    assert own_stages({"other": values}, "other") == own


@pytest.mark.parametrize(("preset", "own"), [("demo", True), ("qwen3-4b", False)])
def test_a_model_that_is_made_from_the_traces_is_made_anew_with_others(preset, own):
    layers = [("config.yaml", {"preset": preset, "runs": {"o": {"user": {"phrasing": "train"}}}})]
    found = resolve_runs(
        layers, ROOT / "presets", lambda wanted, _: Backend(wanted.replace("auto", "cpu"), "")
    )
    assert found["o"].owners["traces"] == "o"
    assert (found["o"].owners["base"] == "o") is own


def test_a_users_model_is_a_stage_where_one_is_served():
    assert "user model" not in owners({"other": {"seed": 1}})["other"]
    served = {"simulator": "llm", "serve": {"source": "a/b", "revision": "c"}}
    assert owners({"other": {"user": served}})["other"]["user model"] == "other"


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
        ({"rejection_sampling": {"samples_per_task": 1}}, LATER),
        # of a stage that is left out
        ({"rejection_sampling": {"samples_per_task": 0, "temperature": 0.5}}, set()),
        ({"rejection_sampling": {"samples_per_task": 0, "lr": 1e-5}}, set()),
    ],
)
def test_rejection_sampling_is_a_stage_of_the_runs_that_ask_for_it(values, own):
    assert own_stages({"other": values}, "other") == own


@pytest.mark.parametrize(
    ("values", "own"),
    [
        ({"grpo": {"lr": 1e-5}}, {"rl"}),
        ({"grpo": {"max_steps": 50}}, LATER),
        ({"reward": {"alpha": 0.1}}, {"rl"}),
        ({"reward": {"weights": {"action": 1.0}}}, LATER | {f"{s} results" for s in BEFORE}),
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


def on_slime(beside, **values):
    layers = [("config.yaml", {"preset": "qwen3-4b", "runs": {"other": beside}, **values})]
    found = resolve_runs(layers, ROOT / "presets", lambda *_: Backend("slime", "test"))
    return {stage for stage in found["other"].owners if found["other"].owns(stage)}


def test_arguments_of_the_trainings_make_no_base_model() -> None:
    trained = {"sft", "rl", "sft results"}
    assert on_slime({"slime": {"extra_args": "--use-tis"}}) == trained
    assert on_slime({"slime": {"convert_args": "--x 1"}}) == {"base", "base results"} | trained
    assert on_slime({"slime": {"server_args": "--x 1"}}) == {"rl"} | RESULTS


def test_a_served_user_is_downloaded_once_for_models_of_any_name() -> None:
    serve = {"source": "a/b", "revision": "c"}
    other = {"model": {"name": "other", "revision": "d"}}
    user = {"simulator": "llm", "serve": serve}
    assert "user model" not in on_slime(other, user=user)
    assert "user model" in on_slime({"user": {"serve": {**serve, "revision": "d"}}}, user=user)
    foreign = {"teacher": "hub", "source": "a/b", "revision": "c"}
    own = on_slime({"user": {"serve": {**serve, "revision": "d"}}}, user=user, traces=foreign)
    assert own == {"user model", "rl"} | RESULTS
    more = {"user": {"serve": {**serve, "gpus": 2}}}
    assert on_slime(more, user=user, traces=foreign) == {"rl"} | RESULTS
    scripted = {"user": "scripted"}  # which no server plays
    assert on_slime(more, user=user, traces=foreign, evaluation=scripted) == {"rl"}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"runs": {}}, "config.yaml: runs.a.runs: a run has no runs of its own; put them beside"),
        ({"backend": "slime"}, "config.yaml: runs.a: config.yaml: resources.gpus × nodes = 0 is"),
        ({"grpo": {"lr": "fast"}}, "config.yaml: runs.a: grpo.lr is 'fast' ("),
        ({"preset": "nope"}, "config.yaml: runs.a: preset 'nope' is not there"),
    ],
)
def test_a_mistake_names_the_run_that_it_is_in(values, says) -> None:
    layers = [("config.yaml", {"preset": "demo", "sft": {"epochs": 1}, "runs": {"a": values}})]
    with pytest.raises(ConfigError) as caught:
        resolve_runs(layers, ROOT / "presets", lambda wanted, _: Backend(wanted, "test"))
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(says)
    assert all(line.startswith("config.yaml: runs.a") for line in lines)


def test_options_of_a_model_in_another_order_make_nothing_anew() -> None:
    one = {"top_p": 0.5, "more": {"a": 1, "b": 2}}
    other = {"more": {"b": 2, "a": 1}, "top_p": 0.5}
    runs = {
        name: {"user": {"simulator": "llm", "options": options}}
        for name, options in (("one", one), ("other", other), ("third", {"top_p": 0.6}))
    }
    found = owners(runs)
    assert found["other"] == found["one"] != found["third"]


def test_where_and_how_a_run_works_makes_nothing_anew() -> None:
    for machine in ({"resources": {"gpus": 4}}, {"tracking": {"tool": "wandb", "project": "x"}}):
        assert on_slime(machine) == set()


def test_given_traces_are_those_of_any_tasks(tmp_path) -> None:
    (given := tmp_path / "t.jsonl").write_text("{}")
    for traces in (
        {"teacher": "file", "source": str(given)},
        {"teacher": "hub", "source": "a/b", "revision": "c"},
    ):
        other = {"tasks": {"sft": "small"}}
        assert on_slime(other, traces=traces) == {"leaks", "rl"} | RESULTS
    assert "traces" in on_slime(other)


def test_the_backend_of_every_run_is_chosen_alike() -> None:
    asked = []

    def choose(wanted, wanted_by):
        asked.append((wanted, wanted_by))
        return Backend("slime" if wanted == "auto" else wanted, "chosen here")

    layers = [("config.yaml", {"runs": {"seed_1B": {"seed": 1}, "cpu": {"backend": "cpu"}}})]
    found = resolve_runs(layers, ROOT / "presets", choose)
    assert [wanted for wanted, _ in asked] == ["auto", "auto", "cpu"]
    assert {run.settings.backend.reason for run in found.values()} == {"chosen here"}
    assert [run.settings.backend.name for run in found.values()] == ["slime", "slime", "cpu"]


@pytest.mark.parametrize(
    "name", ["base", "sft", "rejection", "rl", "plain", "a-b", "a/b", "1st", ""]
)
def test_names_that_would_collide(name):
    with pytest.raises(ConfigError) as caught:
        owners({name: {"seed": 1}})
    assert str(caught.value).startswith(f"config.yaml: runs: {name!r} cannot be the name of a run")


def test_a_mistake_names_its_run(tmp_path):
    with pytest.raises(ConfigError, match=r"^config\.yaml: runs\.fast: grpo\.lr is 'quick'"):
        owners({"fast": {"grpo": {"lr": "quick"}}})
    preset = (ROOT / "presets" / "demo.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(f"{preset}\nruns: {{fast: {{grpo: {{lr: quick}}}}}}\n")
    layers = [("config.yaml", {"preset": "mine"})]
    with pytest.raises(ConfigError, match=r"^presets/mine\.yaml: runs\.fast: grpo\.lr is 'quick'"):
        resolve_runs(layers, tmp_path, lambda *_: Backend("cpu", "test"))
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
