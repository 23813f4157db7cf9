"""Options of the programs, made from the settings: same name, type, range, default and help.

A program that is started by hand so does what the workflow does. Where recipes differ, its default
is that of the preset of its backend.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from tau2_agent.config.fields import choices_of, find
from tau2_agent.config.layers import load_preset
from tau2_agent.config.mistakes import reworded
from tau2_agent.config.resolve import DEFAULT_PRESETS
from tau2_agent.config.settings import Settings
from tau2_agent.config.settings_players import LanguageModel

PRESETS = Path(__file__).resolve().parents[3] / "presets"


def add_configuration(parser: argparse.ArgumentParser) -> None:
    """Add --configfile and --config, as Snakemake has them."""
    parser.add_argument("--configfile", type=Path, nargs="+", default=[], help="over config.yaml")
    parser.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE", help="over both")


def backend_of(arguments: Sequence[str] | None) -> str:
    """The --backend of a command line, slime if there is none: other options' defaults hang on it.

    arguments: None for those of this process.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--backend", default="slime", choices=list(DEFAULT_PRESETS))
    return parser.parse_known_args(arguments)[0].backend


@cache
def _recipe(backend: str) -> dict[str, Any]:
    return load_preset(DEFAULT_PRESETS[backend], PRESETS)


def default(key: str, backend: str) -> Any:
    """The value of a dotted key that a program of a backend has by itself."""
    value: Any = _recipe(backend)
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            return find(Settings, key.split(".")).get_default()
        value = value[part]
    return value


def add(
    parser: argparse._ActionsContainer,
    keys: str,
    backend: str,
    prefix: str = "",
    dest: Mapping[str, str] | None = None,
    choices: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Add an option for each of the dotted keys (one text, with blanks between).

    grpo.max_steps becomes --max-steps; prefix: before the key's name. backend: whose default preset
    gives the defaults. dest: key -> its name among the parsed options, where that is another one.
    choices: key -> fewer values than the setting may have. Options of litellm are JSON or YAML, a
    price is two numbers.
    """
    for key in keys.split():
        field = find(Settings, key.split("."))
        name = f"--{prefix}{key.rsplit('.', 1)[-1].replace('_', '-')}"
        common: dict[str, Any] = {
            "default": default(key, backend),
            "help": (field.description or "").replace("%", "%%"),
        }
        if dest and key in dest:
            common["dest"] = dest[key]
        if isinstance(common["default"], bool):
            parser.add_argument(name, action=argparse.BooleanOptionalAction, **common)
            continue
        if key.endswith(".price"):
            common |= {"nargs": 2, "metavar": ("INPUT", "OUTPUT"), "type": _reader(f"{key}.input")}
        else:
            common |= {"type": _reader(key)}
        if allowed := (choices or {}).get(key, choices_of(field)):
            common["choices"] = allowed
        parser.add_argument(name, **common)


def add_language_model(parser: argparse._ActionsContainer, section: str, prefix: str) -> None:
    """Add the options of the language model of a section, `user` or `traces`, as --PREFIX…"""
    keys = " ".join(f"{section}.{key}" for key in LanguageModel.model_fields)
    add(parser, keys, "slime", prefix=prefix)


def add_user(parser: argparse.ArgumentParser, name: str = "user", trains: bool = False) -> None:
    """Add the options that `users.registry.from_options` reads, as --NAME and --NAME-…

    trains: what is played is learnt from, so not with the words that are kept for evaluation.
    """
    group = parser.add_argument_group("the user" if name == "user" else f"the user {name}")
    group.add_argument(
        f"--{name}",
        type=_reader("user.simulator"),
        default=find(Settings, ["user", "simulator"]).default,
        help="scripted, llm, or a mixture: scripted=0.5,llm=0.5",
    )
    add_language_model(group, "user", f"{name}-")
    add(
        group,
        "user.concurrency user.retries user.max_failure_share user.phrasing user.one_action",
        "slime",
        prefix=f"{name}-",
        choices={"user.phrasing": ("fixed", "train")} if trains else None,
    )


def add_partial_weights(parser: argparse._ActionsContainer) -> None:
    """Add --weights, the reward's weights as one text: action,communicate,assertion."""
    from tau2_reward_shaping import PartialWeights

    def read(text: str) -> PartialWeights:
        try:
            return PartialWeights.read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    parser.add_argument(
        "--weights",
        type=read,
        default=PartialWeights(**find(Settings, ["reward", "weights"]).default.model_dump()),
        help="of action, communicate and assertion checks in the partial score",
    )


def add_slime_machine(parser: argparse.ArgumentParser) -> None:
    """Add what slime's trainings are told of the machine; none of it decides what is learnt."""
    machine = parser.add_argument_group("the machine")
    add(
        machine,
        "resources.gpus resources.nodes slime.tensor_parallel slime.pipeline_parallel"
        " slime.context_parallel slime.expert_parallel slime.max_tokens_per_gpu slime.recompute"
        " slime.optimizer_offload slime.attention_backend slime.extra_args"
        " resources.keep_checkpoints",
        "slime",
    )
    machine.add_argument(
        "--dynamic-batches",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="pack samples by tokens; else one sample a micro batch",
    )
    machine.add_argument(
        "--ray-address", default="", help="of a running Ray: auto, host:port, http://…; empty: own"
    )
    tracking = parser.add_argument_group("tracking")
    tool, project = (find(Settings, ["tracking", key]) for key in ("tool", "project"))
    tracking.add_argument(
        "--tracking", choices=choices_of(tool), default=tool.default, help=tool.description
    )
    tracking.add_argument("--wandb-project", default=project.default, help=project.description)
    tracking.add_argument("--wandb-mode", choices=("online", "offline"), default="online")


def _mapping(text: str) -> dict[str, Any]:
    """JSON, as stages are told it, or YAML, as people write it in config.yaml."""
    value: Any = None
    with contextlib.suppress(yaml.YAMLError):
        value = yaml.safe_load(text)
    with contextlib.suppress(ValueError):
        value = json.loads(text)  # 1e-3 is a text in YAML
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(
            f"{text!r} must be a section of keys, such as {{top_p: 0.9}}"
        )
    return value


def _reader(key: str) -> Callable[[str], Any]:
    """How a text on the command line becomes a value of that key."""
    adapter = TypeAdapter(find(Settings, key.split(".")).rebuild_annotation())

    def read(text: str) -> Any:
        value: Any = text
        if key.endswith(".options"):
            value = _mapping(text)
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            fault = reworded({**error.errors()[0], "loc": tuple(key.split("."))})
            raise argparse.ArgumentTypeError(fault.text) from None

    return read
