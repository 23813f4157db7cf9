"""Options of the programs that neither train nor evaluate: each reaches what acts on it.

ARRIVES has what the options of a program become, told by functions of the program itself; TESTED
names the tests of the rest. An option that stands in neither fails.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from arrivals import USER, at
from changed_options import changed
from safetensors.torch import load_file

from tau2_agent.llm.client import LLMSettings
from tau2_agent.users import registry as users

TESTS = Path(__file__).resolve().parents[1]
Made = Callable[[Any, Path], SimpleNamespace]


def llm(option: str = "", **names: str) -> dict[str, Any]:
    """Options that become the settings of a language model, with a prefix; other names by name."""
    fields = "model api_base temperature max_tokens timeout_s options budget_usd budget_tokens"
    found = {f"{option}{name}": at(f"llm.{name}") for name in fields.split()}
    for name, other in names.items():
        found[other] = found.pop(f"{option}{name}")
    return found


def of_teacher_traces(args: Any, tmp_path: Path) -> SimpleNamespace:
    from tau2_agent.teachers import collection

    made = {}

    async def attempt_all(task_ids, player, log, *, attempts, concurrency, accept, count, tell):
        made.update(attempts=attempts, concurrency=concurrency, rules=accept.__self__.rules)

    def player(teacher, simulators, args):
        made.update(llm=teacher.settings, users=simulators)

    args.output, args.tokenizer = tmp_path / "traces.jsonl", None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collection, "attempt_all", attempt_all)
        patch.setattr(collection, "player", player)
        patch.setattr(collection, "attempt_fingerprint", lambda *_: "")  # reads all code
        collection.paid_traces([], users.from_options(args, args.seed), args)
    return SimpleNamespace(**made)


def of_review_episodes(args: Any, tmp_path: Path) -> SimpleNamespace:
    import asyncio

    import review_episodes

    made = []

    def model(settings: LLMSettings, ledger: Any) -> None:
        made.append(settings)
        raise KeyboardInterrupt

    args.output = tmp_path / "reviews.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(review_episodes, "LLM", model)
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(review_episodes.review_all([], args))
    return SimpleNamespace(llm=made[0])


def of_compare_users(args: Any, tmp_path: Path) -> SimpleNamespace:
    import compare_users
    from tau2_agent.evaluation.agent_players import agent_settings

    args.output, args.agent = tmp_path / "compared.json", "llm"
    sides = {side: compare_users.of_side(side, args) for side in ("a", "b")}
    return SimpleNamespace(
        llm=agent_settings(sides["a"]),
        told=sides["b"],
        **{side: users.from_options(told, told.seed) for side, told in sides.items()},
    )


def of_preflight(args: Any, tmp_path: Path) -> SimpleNamespace:
    import preflight

    return SimpleNamespace(needs=preflight.requirements(args))


def of_convert_checkpoint(args: Any, tmp_path: Path) -> SimpleNamespace:
    import convert_checkpoint

    made = SimpleNamespace()

    def to_megatron(install, source, target, **told):
        made.told = {"input": source, "output": target, **told}

    def require(needs, install):
        made.needs = needs

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convert_checkpoint, "to_megatron", to_megatron)
        patch.setattr(convert_checkpoint, "require", require)
        patch.setattr(convert_checkpoint, "find_install", lambda: None)
        patch.setattr(convert_checkpoint, "take_gpus", lambda count: setattr(made, "gpus", count))
        told = ["--to", "torch_dist", "--input", str(args.input), "--output", str(args.output)]
        told += ["--gpus", str(args.gpus), f"--extra-args={args.extra_args}"]
        told += ["--source", args.source] if args.source else []
        patch.setattr(sys, "argv", ["convert_checkpoint.py", *told])
        convert_checkpoint.main()
    return made


def of_base_model(args: Any, tmp_path: Path) -> SimpleNamespace:
    import base_model

    args.traces = tmp_path / "lines.jsonl"
    talk = [{"role": "user", "content": "Hello. Is it on? It is not."}]
    args.traces.write_text(json.dumps({"messages": talk, "tools": []}) + "\n")
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    base_model.make_demo(folder, args)
    return SimpleNamespace(
        config=json.loads((folder / "config.json").read_text()),
        weights=load_file(folder / "model.safetensors")["model.embed_tokens.weight"].sum().item(),
    )


@cache
def weights_of_seed_0() -> float:
    import tempfile

    args = parser_of("base_model").parse_args([])
    with tempfile.TemporaryDirectory() as folder:
        return of_base_model(args, Path(folder)).weights


def side(name: str) -> dict[str, Any]:
    return {
        option.replace("user", f"user_{name}", 1): (
            lambda seen, value, found=found, name=name: found(
                SimpleNamespace(users=getattr(seen, name)), value
            )
        )
        for option, found in USER.items()
    }


MACHINE = "gpus nodes tensor_parallel pipeline_parallel context_parallel expert_parallel"
ARRIVES: dict[str, tuple[Made, dict[str, Any]]] = {
    "teacher_traces": (
        of_teacher_traces,
        {
            **llm("teacher_"),
            **USER,
            "teacher_price": lambda seen, value: (list(seen.llm.price.values()), value),
            "prompt": at("rules.prompt"),
            "seed": at("users.seed"),
            "attempts": at("attempts"),
            "concurrency": lambda seen, value: (
                (seen.concurrency, seen.llm.concurrency),
                (value, value),
            ),
            "max_length": at("rules.max_length"),
        },
    ),
    "review_episodes": (
        of_review_episodes,
        {**llm(), "concurrency": at("llm.concurrency")},
    ),
    "compare_users": (
        of_compare_users,
        {
            **side("a"),
            **side("b"),
            **{
                f"agent_{name}": at(f"llm.{name}")
                for name in ("model", "api_base", "temperature", "budget_usd", "budget_tokens")
            },
            # An evaluation's, which takes them from here: test_options_of_evaluations.py.
            **{
                name: at(f"told.{name}")
                for name in (
                    *("num_tasks", "trials", "first", "sglang_port", "temperature", "seed"),
                    *("max_new_tokens", "context_length", "tensor_parallel", "server_args"),
                    *("prompt", "max_steps", "concurrency", "max_failure_share", "keep_tokens"),
                    *("weights", "backend", "task_split"),
                )
            },
        },
    ),
    "preflight": (
        of_preflight,
        {
            **{name: at(f"needs.{name}") for name in MACHINE.split()},
            **{
                name: at(f"needs.{name}")
                for name in (
                    *("backend", "model", "source", "port", "max_tokens_per_gpu"),
                    *("keep_checkpoints", "optimizer_offload", "context_length", "sample_length"),
                )
            },
            "data": lambda seen, value: (list(seen.needs.data), value),
            **{
                name: lambda seen, value, name=name: (" ".join(getattr(seen.needs, name)), value)
                for name in ("extra_args", "convert_args", "server_args")
            },
        },
    ),
    "convert_checkpoint": (
        of_convert_checkpoint,
        {
            "input": at("told.input"),
            "output": at("told.output"),
            "source": lambda seen, value: (
                (seen.told["name"], seen.needs.source),
                (value, value),
            ),
            "gpus": lambda seen, value: (
                (seen.told["gpus"], seen.gpus, seen.needs.gpus),
                (value, value, value),
            ),
            "extra_args": lambda seen, value: (
                (" ".join(seen.told["extra"]), " ".join(seen.needs.convert_args)),
                (value, value),
            ),
        },
    ),
    "base_model": (
        of_base_model,
        {
            "seed": lambda seen, value: (seen.weights != weights_of_seed_0(), True),
            "layers": at("config.num_hidden_layers"),
            "hidden_size": at("config.hidden_size"),
            "heads": at("config.num_attention_heads"),
            "context_length": at("config.max_position_embeddings"),
            "vocab_size": lambda seen, value: (seen.config["vocab_size"] <= value, True),
        },
    ),
}
# Program -> test file -> what it tests. The file must hold the names of the options.
TESTED: dict[str, dict[str, str]] = {
    "teacher_traces": {
        "teachers/test_paid_traces.py": "tasks output teacher tokenizer",
        "programs/test_teacher_traces.py": "wordings",
    },
    "review_episodes": {"programs/test_review_episodes.py": "conversations all output"},
    "compare_users": {
        "programs/test_compare_users.py": "output plan agent checkpoint results task_split",
    },
    "preflight": {"preflight/test_checks.py": "checkpoints ask"},
    "convert_checkpoint": {"programs/test_convert_checkpoint.py": "to model"},
    "base_model": {
        "programs/test_base_model.py": "output source revision only_served chat_template"
        " max_positions",
        "programs/test_trl_programs.py": "traces",
    },
    "check_leakage": {"programs/test_check_leakage.py": "train eval_split output in_sample_splits"},
    "estimate_cost": {
        "programs/test_estimate_cost.py": "config folder output",
        "config/test_command_line.py": "configfile",
    },
    "import_traces": {
        "programs/test_import_traces.py": "source prompt replace_prompt max_length"
        " max_rejected_share tokenizer",
        "programs/test_import_from_elsewhere.py": "teacher revision output",
    },
    "show_config": {
        "config/test_command_line.py": "configfile config",
        "config/test_settings.py": "template",
    },
    "show_episode": {
        "programs/test_show_episode.py": "results task trial failures rollout compare whole"
    },
    "stores": {"programs/test_stores.py": "checkpoints unused older_than remove"},
    "summarise_results": {"evaluation/test_results.py": "results run output"},
    "tau2_mock": {"programs/test_tau2_mock.py": "local_dir split"},
    "with_user_model": {
        "programs/test_with_user_model.py": "model name gpus log server_args restarts command"
    },
}
INSTEAD = {
    ("teacher_traces", "teacher_price"): ["--teacher-price", "1", "2"],
    ("teacher_traces", "teacher_model"): ["--teacher-model", "openai/other"],
    ("teacher_traces", "teacher_options"): ["--teacher-options", '{"top_p": 0.5}'],
    ("teacher_traces", "teacher_api_base"): ["--teacher-api-base", "http://127.0.0.1:9/v1"],
    ("review_episodes", "model"): ["--model", "openai/other"],
    ("review_episodes", "api_base"): ["--api-base", "http://127.0.0.1:9/v1"],
    ("review_episodes", "options"): ["--options", '{"top_p": 0.5}'],
    ("compare_users", "agent_model"): ["--agent-model", "openai/other"],
    ("compare_users", "agent_api_base"): ["--agent-api-base", "http://127.0.0.1:9/v1"],
    ("compare_users", "context_length"): ["--context-length", "100"],
    ("compare_users", "prompt"): ["--prompt", "short"],
    ("convert_checkpoint", "source"): ["--source", "some/model"],
    ("preflight", "source"): ["--source", "some/model"],
    ("preflight", "data"): ["--data", "a.jsonl", "b.jsonl"],
    ("preflight", "server_args"): ["--server-args=--quantization fp8"],
    ("preflight", "convert_args"): ["--convert-args=--x 1"],
    ("base_model", "hidden_size"): ["--hidden-size", "64"],
    ("base_model", "heads"): ["--heads", "2"],
    ("base_model", "vocab_size"): ["--vocab-size", "300"],
}
BASE = {
    "teacher_traces": ["--teacher", "llm", "--teacher-model", "openai/gpt-4o-mini"],
    "compare_users": ["--agent", "llm", "--agent-model", "openai/x"],
    "review_episodes": ["--model", "openai/x"],
}
COPIES = {"user_options": '{"top_p": 0.5}', "user_model": "openai/other", "user_phrasing": "train"}
COPIES |= {"user": "llm", "user_api_base": "http://127.0.0.1:9/v1"}


@cache
def parser_of(program: str) -> argparse.ArgumentParser:
    """A program's parser, without the duty to name files."""

    class Kept(Exception):
        pass

    def keep(parser: argparse.ArgumentParser, *_: Any) -> None:
        raise Kept(parser)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", keep)
        patch.setattr(sys, "argv", [f"{program}.py"])
        with pytest.raises(Kept) as kept:
            importlib.import_module(program).main()
    parser = kept.value.args[0]
    for action in parser._actions:
        action.required = False
    return parser


def options_of(program: str) -> dict[str, argparse.Action]:
    return {a.dest: a for a in parser_of(program)._actions if a.dest != "help"}


def words_for(program: str, action: argparse.Action, tmp_path: Path) -> list[str]:
    if (program, action.dest) in INSTEAD:
        return INSTEAD[program, action.dest]
    plain = re.sub(r"^user_[ab]", "user", action.dest)
    if plain in COPIES:
        return [f"{action.option_strings[0]}={COPIES[plain]}"]
    if plain == "user_price":
        return [action.option_strings[0], "1", "2"]
    return changed(action, tmp_path)


@pytest.mark.parametrize("program", ARRIVES)
def test_every_option_becomes_what_it_is_for(monkeypatch, tmp_path, program) -> None:
    for name in ("GEMINI_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "no real key")
    make, arrives = ARRIVES[program]
    wrong = []
    for dest, arrival in arrives.items():
        action = options_of(program)[dest]
        words = words_for(program, action, tmp_path)
        side = re.match(r"user(_[ab])?(?=_|$)", dest)
        beside = [f"--{side[0].replace('_', '-')}", "llm"] if side else []
        args = parser_of(program).parse_args([*BASE.get(program, []), *beside, *words])
        value = getattr(args, dest)
        assert value != action.default, dest
        found, wanted = arrival(make(args, tmp_path), value)
        if found != wanted:
            wrong.append(f"{words}: {found!r} instead of {wanted!r}")
    assert not wrong, "\n".join(wrong)


PROGRAMS = sorted({*ARRIVES, *TESTED})


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_option_is_left_out(program) -> None:
    said = {name for names in TESTED.get(program, {}).values() for name in names.split()}
    arrives = set(ARRIVES[program][1]) if program in ARRIVES else set()
    options = set(options_of(program)) - {"domain"}  # there is one
    assert options == said | arrives, "say for each option where it is tested"
    for file, names in TESTED.get(program, {}).items():
        text = (TESTS / file).read_text(encoding="utf-8")
        for name in names.split():
            word = rf"\b{name}\b".replace("_", "[_-]")
            assert re.search(word, text), f"{file} has no {name}"


def test_no_program_is_left_out() -> None:
    """The trainings and what plays with a model have files of their own; some only show what is."""
    from test_options_arrive import ARRIVES as TRAINING
    from test_options_of_evaluations import ARRIVES as PLAYING

    scripts = Path(sys.modules["base_model"].__file__).parent
    programs = {p.stem for p in scripts.glob("*.py") if "def main(" in p.read_text("utf-8")}
    shown = {"make_cards", "make_report", "make_submission"}
    assert programs == shown | {*PROGRAMS, *TRAINING, *PLAYING}
