"""Another source leaves behind what lower layers say of theirs: a commit, a template, a name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tau2_agent.config.backend import Backend
from tau2_agent.config.layers import ConfigError
from tau2_agent.config.resolve import Resolved, resolve
from tau2_agent.config.sources import DESCRIBE, name_of
from tau2_agent.config.sweeps import resolve_runs

PRESETS = Path(__file__).resolve().parents[2] / "presets"
PRESET = {"preset": "smollm2-135m"}  # it says all there is to say of a model
SMOL = "HuggingFaceTB/SmolLM2-135M-Instruct"
OTHER = {"source": "Qwen/Qwen3-0.6B", "revision": "abc"}


def chosen(*_: Any) -> Backend:
    return Backend("slime", "test")


def resolved(*given: dict[str, Any]) -> Resolved:
    names = ("config.yaml", "my.yaml", "--config")
    layers = [
        (name, values) for name, values in zip(names, (PRESET | given[0], *given[1:]), strict=False)
    ]
    return resolve(layers, PRESETS, chosen)


def model(*given: dict[str, Any]) -> tuple[Any, ...]:
    found = resolved(*({"model": one} for one in given)).config["model"]
    return tuple(found[key] for key in DESCRIBE["model.source"])


def test_a_source_alone_is_described_by_nothing_of_the_preset_s(tmp_path) -> None:
    folder = tmp_path / "My model_2"
    folder.mkdir()
    assert model({}) == ("smollm2-135m", model({})[1], "hermes", 16384) and model({})[1]
    assert model({"source": str(folder)}) == ("my-model-2", None, None, None)
    assert model({}, {}, {"source": str(folder)}) == ("my-model-2", None, None, None)
    shown = resolved({"model": {"source": str(folder)}}).origins
    assert (shown["model.revision"], shown["model.name"]) == ("default", "config.yaml")


@pytest.mark.parametrize("place", range(3))
def test_a_hub_id_alone_is_asked_for_its_own_commit(place) -> None:
    given: list[dict[str, Any]] = [{}, {}, {}]
    given[place] = {"source": "Qwen/Qwen3-0.6B"}
    with pytest.raises(ConfigError, match=r"pin model\.revision"):
        model(*given)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        # beside the source, or above it
        ([OTHER], ("qwen3-0.6b", "abc", None, None)),
        ([{"source": "Qwen/Qwen3-0.6B"}, {"revision": "abc"}], ("qwen3-0.6b", "abc", None, None)),
        ([OTHER | {"name": "mine"}], ("mine", "abc", None, None)),
        ([OTHER, {"chat_template": "llama3"}], ("qwen3-0.6b", "abc", "llama3", None)),
        # below it, of the source before
        ([{"revision": "abc", "name": "mine"}, {"source": "."}], (None, None, None, None)),
        ([OTHER, {"lr": 1}, {"source": "."}], None),
        # of the same source
        ([{"source": SMOL, "revision": "abc"}], ("smollm2-135m", "abc", "hermes", 16384)),
        ([{"revision": "abc"}, {"source": SMOL}], ("smollm2-135m", "abc", "hermes", 16384)),
        # there and back
        ([{"source": "preset"}, OTHER], ("qwen3-0.6b", "abc", None, None)),
        ([OTHER, {"source": "preset", "revision": "preset", "name": "preset"}], "preset"),
    ],
)
def test_layers_in_any_order(given, found) -> None:
    if found == "preset":
        assert model(*given) == model({})
    elif found is None:
        with pytest.raises(ConfigError, match=r"unknown key model\.lr"):
            model(*given)
    elif found[0] is None:
        assert model(*given) == (name_of("."), None, None, None)
    else:
        assert model(*given) == found


def test_each_run_of_a_sweep_describes_its_own(tmp_path) -> None:
    runs = {"other": {"model": OTHER}, "here": {"model": {"source": str(tmp_path)}}}
    found = resolve_runs([("config.yaml", {**PRESET, "runs": runs})], PRESETS, chosen)
    said = {name: run.settings.config["model"] for name, run in found.items()}
    assert [said[name]["chat_template"] for name in said] == ["hermes", None, None]
    assert (said["other"]["name"], said["other"]["revision"]) == ("qwen3-0.6b", "abc")
    assert (said["here"]["name"], said["here"]["revision"]) == (name_of(str(tmp_path)), None)


def test_traces_and_the_served_user_too() -> None:
    hub = {"preset": "qwen3-4b", "traces": {"teacher": "hub", "source": "a/b", "revision": "abc"}}
    with pytest.raises(ConfigError, match=r"traces\.teacher hub needs traces\.revision; set it"):
        resolved(hub, {"traces": {"source": "c/d"}})
    one = {"wordings": 1}
    served = {"simulator": "llm", "serve": {"source": "a/b", "revision": "abc", "gpus": 2}}
    with pytest.raises(ConfigError, match=r"pin user\.serve\.revision"):
        resolved({"user": served, "traces": one}, {"user": {"serve": {"source": "c/d"}}})
    more = {"source": "c/d", "revision": "def"}
    found = resolved({"user": served, "traces": one}, {"user": {"serve": more}}).config["user"][
        "serve"
    ]
    assert (found["source"], found["revision"], found["gpus"]) == ("c/d", "def", 2)


@pytest.mark.parametrize("section", ["user", "traces"])
def test_a_price_is_that_of_its_model(section) -> None:
    price = {"input": 1.0, "output": 2.0}
    priced = {"model": "openai/a", "price": price}
    teacher = {"teacher": "llm", "wordings": 1} if section == "traces" else {}

    def told(*given: dict[str, Any]) -> Any:
        layers = [{section: one} for one in given]
        layers[0][section] |= teacher
        return resolved(*layers).config[section]["price"]

    assert told({**priced}) == told({**priced}, {"temperature": 1.0}) == price
    assert told({**priced}, {"model": "openai/a"}) == price
    assert told({**priced}, {"model": "openai/b"}) is None
    assert told({"model": "openai/b"}, {"price": price}) == price


@pytest.mark.parametrize("source", [3, None, ["a/b"]])
def test_a_source_that_is_no_text_is_one_mistake(source) -> None:
    with pytest.raises(ConfigError) as caught:
        model({"source": source})
    (line,) = str(caught.value).splitlines()
    assert line.startswith("config.yaml: model.source is ")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("Qwen/Qwen3-0.6B", "qwen3-0.6b"),
        ("/data/My model_2/", "my-model-2"),
        ("checkpoints/x_sft_telecom", "x-sft-telecom"),
        ("demo", "demo"),
        ("/", ""),
        ("", ""),
    ],
)
def test_names(source, name) -> None:
    assert name_of(source) == name


@pytest.mark.parametrize(
    "place",
    ["models/x", "models/x_torch_dist", "models/x+seed1", "checkpoints/x_rl_telecom"],
)
def test_no_stage_writes_over_the_model_that_it_begins_with(tmp_path, monkeypatch, place) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / place).mkdir(parents=True)
    for source in (place, str(tmp_path / place), f"./{place}/"):
        with pytest.raises(
            ConfigError, match=r"model\.name x would have a stage write over"
        ) as why:
            model({"source": source, "name": "x"})
        assert "give it another name, or move that folder" in str(why.value)
        assert model({"source": source, "name": "y"})[0] == "y"
