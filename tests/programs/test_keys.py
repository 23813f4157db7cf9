"""Each option of a program changes the key of what it makes, or says here why it does not."""

from __future__ import annotations

import argparse
import importlib
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from changed_options import changed

import rejection_sampling
import teacher_traces
from tau2_agent import cli
from tau2_agent.config import made_by, stage_flags
from tau2_agent.config.backend import Backend
from tau2_agent.config.program_options import add_user
from tau2_agent.config.sweeps import resolve_runs
from tau2_agent.evaluation import model_evaluation
from tau2_agent.evaluation.recalled import recall
from tau2_agent.teachers import collection
from tau2_agent.users.mixture import SERVED

PRESETS = Path(__file__).resolve().parents[2] / "presets"
WHERE = "where it lies"
MACHINE = "how GPUs share the work"
RECORDS = "what is kept or shown"
PURSE = "what a language model may cost, and how patiently it is asked"
VALIDATION = "looks at the policy; the same training serves all of them"
USER = {
    **dict.fromkeys(["user_api_base"], "which server, not which model"),
    **dict.fromkeys(
        ["user_concurrency", "user_timeout_s", "user_retries", "user_budget_usd"], PURSE
    ),
    **dict.fromkeys(["user_budget_tokens", "user_price"], PURSE),
    "user_max_failure_share": "when to give up",
}
SLIME = {
    **dict.fromkeys(
        [
            *("gpus", "nodes", "tensor_parallel", "pipeline_parallel", "context_parallel"),
            *("expert_parallel", "max_tokens_per_gpu", "recompute", "optimizer_offload"),
            *("attention_backend", "dynamic_batches", "ray_address"),
        ],
        MACHINE,
    ),
    **dict.fromkeys(["keep_checkpoints", "tracking", "wandb_project", "wandb_mode"], RECORDS),
    "output": WHERE,
}
VALIDATED = dict.fromkeys(
    [
        *("checkpoint", "validation_every", "validation_tasks", "validation_max_new_tokens"),
        *("validation_context_length", "validation_max_steps", "validation_concurrency"),
        "validation_max_failure_share",
    ],
    VALIDATION,
)
EXEMPT = {
    "train_sft_trl": {
        **dict.fromkeys(["save_steps", "keep_checkpoints", "logging_steps"], RECORDS),
        "output": WHERE,
    },
    "train_grpo_trl": {
        **dict.fromkeys(["save_rollouts", "keep_checkpoints", "keep_episodes"], RECORDS),
        "output": WHERE,
        **USER,
        **VALIDATED,
    },
    "train_sft_slime": {
        **SLIME,
        "save_steps": RECORDS,
        "max_length": "a longer trace is an error, none is cut",
    },
    "train_grpo_slime": {
        **SLIME,
        **USER,
        "model": "config and tokenizer, which the SFT checkpoint has too",
        "rollouts": "more of them continue the same run",
        **dict.fromkeys(["save_rollouts", "keep_episodes"], RECORDS),
        **VALIDATED,
        "server_args": VALIDATION,
        **dict.fromkeys(["gpus_per_engine", "sglang_mem_fraction"], MACHINE),
    },
    "evaluation": {
        **USER,
        **dict.fromkeys(["task_split", "num_tasks", "first", "trials"], "rows name their task"),
        "concurrency": "how many at once",
        "max_failure_share": "when to give up",
        "keep_tokens": RECORDS,
        "weights": "kept conversations are scored anew",
        "tensor_parallel": MACHINE,
        "sglang_port": "which server; what it serves is asked and counts",
        "domain": "there is one",
    },
    "rejection_sampling": {
        **USER,
        **dict.fromkeys(["tasks", "num_tasks", "issues", "trials"], "rows name their task"),
        **dict.fromkeys(
            ["beside", "keep_per_task", "min_partial", "max_length"],
            "what is kept is chosen anew each time",
        ),
        "output_path": WHERE,
        "concurrency": "how many at once",
        "max_failure_share": "when to give up",
        "weights": "kept conversations are scored anew",
        "tensor_parallel": MACHINE,
    },
    "teacher_traces": {
        **USER,
        "tasks": "rows name their task",
        "output": WHERE,
        "prompt": "the teacher plays with tau2's own; this one is put into the trace",
        "seed": "draws a mixed user, and the words of one that varies them",
        "attempts": "how many",
        "wordings": "of the scripted teacher, whose traces cost nothing",
        "concurrency": "how many at once",
        **dict.fromkeys(["teacher_api_base"], "which server, not which model"),
        **dict.fromkeys(["teacher_timeout_s", "teacher_price"], PURSE),
        **dict.fromkeys(["teacher_budget_usd", "teacher_budget_tokens"], PURSE),
    },
}
LLM_ONLY = {"user_model", "user_temperature", "user_max_tokens", "user_options"}


class Captured(Exception):
    pass


@pytest.fixture
def key_of(monkeypatch, tmp_path):
    """Key and parser of a program with some options."""
    parsers: list[argparse.ArgumentParser] = []
    made = cli.parser

    def parser(doc):
        parsers.append(made(doc))
        return parsers[-1]

    monkeypatch.setattr(cli, "parser", parser)

    def stage(target, fingerprint, settings=None):
        raise Captured(fingerprint)

    def key(program: str, *words: str) -> tuple[Any, argparse.ArgumentParser]:
        module = importlib.import_module(program)
        monkeypatch.setattr(module, "Stage", stage)
        if hasattr(module, "find_install"):
            monkeypatch.setattr(module, "find_install", lambda: None)
        inputs = []
        for name in ("model", "sft", "base", "traces", "tasks"):
            (tmp_path / name).write_text("as it is\n")
            inputs += [f"--{name}", str(tmp_path / name)]
        known = {"train_sft_trl": "model traces", "train_grpo_trl": "model tasks"}
        known |= {"train_sft_slime": "model base traces", "train_grpo_slime": "model sft tasks"}
        given = [w for n in known[program].split() for w in (f"--{n}", str(tmp_path / n))]
        argv = [program, *given, "--output", str(tmp_path / "out"), *words]
        monkeypatch.setattr(sys, "argv", argv)
        with pytest.raises(Captured) as found:
            module.main()
        return found.value.args[0], parsers[-1]

    return key


@pytest.mark.parametrize("program", [name for name in EXEMPT if name[:5] == "train"])
def test_every_option_of_a_training_is_in_its_key(key_of, tmp_path, program) -> None:
    plain, parser = key_of(program)
    llm, _ = (
        key_of(program, "--user", "llm") if "--user" in parser._option_string_actions else (0, 0)
    )
    exempt = dict(EXEMPT[program])
    options = [action for action in parser._actions if action.dest != "help"]
    assert len(options) > 10
    for action in options:
        words = changed(action, tmp_path)
        before = plain
        if action.dest in LLM_ONLY:
            words, before = ["--user", "llm", *words], llm
        after, _ = key_of(program, *words)
        if action.dest in exempt:
            del exempt[action.dest]
            assert after == before, f"{action.dest} is exempt, and changes the key"
        else:
            assert after != before, f"{action.dest} does not change the key"
    assert not exempt, "exempt, but no option"


@pytest.fixture
def attempts_key(monkeypatch, tmp_path):
    """Key and parser of the attempts of a teacher that is a language model."""
    parsers: list[argparse.ArgumentParser] = []
    made = cli.parser
    monkeypatch.setattr(cli, "parser", lambda doc: parsers.append(made(doc)) or parsers[-1])

    def paid(task_ids, users, args):
        raise Captured(collection.attempt_fingerprint(users, args))

    monkeypatch.setattr(collection, "paid_traces", paid)
    monkeypatch.setattr(teacher_traces, "read_task_file", lambda path: [])
    words = ["--tasks", str(tmp_path / "tasks.jsonl"), "--output", "x", "--teacher", "llm"]

    def key(*more: str) -> tuple[str, argparse.ArgumentParser]:
        with pytest.raises(Captured) as found:
            teacher_traces.main([*words, "--teacher-model", "openai/x", *more])
        return found.value.args[0], parsers[-1]

    return key


def test_every_option_of_paid_traces_is_in_the_attempts_key(attempts_key, tmp_path) -> None:
    plain, parser = attempts_key()
    llm, mixed = (attempts_key("--user", who)[0] for who in ("llm", "scripted=0.5,llm=0.5"))
    assert len({plain, llm, mixed}) == 3
    exempt = dict(EXEMPT["teacher_traces"])
    for action in parser._actions:
        if action.dest in ("help", "teacher", "max_length", "tokenizer"):
            continue
        words, before = changed(action, tmp_path), plain
        if action.dest in LLM_ONLY:
            words, before = ["--user", "llm", *words], llm
        after, _ = attempts_key(*words)
        if action.dest in exempt:
            del exempt[action.dest]
            assert after == before, f"{action.dest} is exempt, and changes the key"
        else:
            assert after != before, f"{action.dest} does not change the key"
    assert not exempt, "exempt, but no option"
    assert attempts_key("--tokenizer", "x", "--max-length", "9")[0] == plain  # taught, not played
    drawn = ("--user", "scripted=0.5,llm=0.5", "--seed", "7")
    assert attempts_key(*drawn)[0] != mixed  # the seed draws who plays


@pytest.mark.parametrize("name", ["data_sha256", "prompt_sha256", "code_digest"])
def test_data_prompt_and_code_are_in_the_attempts_key(attempts_key, monkeypatch, name) -> None:
    plain, _ = attempts_key()
    monkeypatch.setattr(collection, name, lambda *_: "another")
    assert attempts_key()[0] != plain


def evaluation_key(checkpoint: Path, *words: str) -> tuple[str, argparse.ArgumentParser]:
    """Key and parser of an evaluation with some options."""
    parser = argparse.ArgumentParser()
    model_evaluation.add_flags(parser)
    add_user(parser)
    args = parser.parse_args(["--prompt", "short", "--context-length", "256", *words])
    args.checkpoint = checkpoint
    recall(args, checkpoint)
    manifest = model_evaluation.make_manifest(args, model_evaluation.make_settings(args))
    return model_evaluation.evaluation_fingerprint(args, manifest), parser


def rejection_key(
    checkpoint: Path, monkeypatch, *words: str
) -> tuple[str, argparse.ArgumentParser]:
    """The same of the episodes of rejection sampling."""
    parsers: list[argparse.ArgumentParser] = []
    made = argparse.ArgumentParser
    monkeypatch.setattr(cli, "parser", lambda doc: parsers.append(made()) or parsers[-1])
    given = ["--checkpoint", str(checkpoint), "--tasks", "tasks.jsonl", "--output", "x"]
    given += ["--prompt", "short", "--context-length", "256"]
    args = rejection_sampling.parse([*given, *words])
    recall(args, checkpoint)
    manifest = model_evaluation.make_manifest(args, model_evaluation.make_settings(args))
    return model_evaluation.evaluation_fingerprint(args, manifest), parsers[-1]


@pytest.mark.parametrize("program", ["evaluation", "rejection_sampling"])
def test_every_option_of_an_evaluation_is_in_its_key(
    random_model, tmp_path, monkeypatch, program
) -> None:
    def key(*words: str) -> tuple[str, argparse.ArgumentParser]:
        if program == "evaluation":
            return evaluation_key(random_model, *words)
        return rejection_key(random_model, monkeypatch, *words)

    plain, parser = key()
    llm, _ = key("--user", "llm")
    exempt = dict(EXEMPT[program])
    for action in parser._actions:
        if action.dest in ("help", "sglang_port", "domain", "checkpoint"):
            exempt.pop(action.dest, None)
            continue
        words = changed(action, tmp_path)
        before = plain
        if action.dest in LLM_ONLY:
            words, before = ["--user", "llm", *words], llm
        if action.dest == "prompt":
            words = ["--prompt", "tau2"]
        if action.dest == "context_length":
            words = ["--context-length", "128"]
        after, _ = key(*words)
        if action.dest in exempt:
            del exempt[action.dest]
            assert after == before, f"{action.dest} is exempt, and changes the key"
        else:
            assert after != before, f"{action.dest} does not change the key"
    assert not exempt, "exempt, but no option"


@pytest.mark.parametrize("program", ["train_grpo_trl", "train_grpo_slime", "evaluation"])
def test_a_user_that_is_served_beside_the_job_is_in_its_key(
    key_of, random_model, monkeypatch, program
) -> None:
    """Its name says neither what an edited folder holds nor how it is served."""

    def key(*words: str) -> Any:
        if program == "evaluation":
            return evaluation_key(random_model, *words)[0]
        return key_of(program, *words)[0]

    asked, plain = key("--user", "llm"), key()
    monkeypatch.setenv(SERVED, "0123456789abcdef --quantization fp8")
    served = key("--user", "llm")
    assert served != asked
    monkeypatch.setenv(SERVED, "fedcba9876543210 --quantization fp8")
    assert key("--user", "llm") not in (served, asked)
    assert key() == plain  # no server plays


# Arguments that go on to slime and SGLang: what of them decides is a param of its own.
OF_OTHERS = {"extra_args", "server_args"}


@pytest.mark.parametrize(
    ("program", "preset", "stage"),
    [
        ("train_sft_trl", "demo", stage_flags.sft),
        ("train_grpo_trl", "demo", stage_flags.grpo),
        ("train_sft_slime", "qwen3-4b", stage_flags.sft),
        ("train_grpo_slime", "qwen3-4b", stage_flags.grpo),
        ("evaluation", "qwen3-4b", stage_flags.evaluation),
        ("rejection_sampling", "qwen3-4b", stage_flags.rejection_sampling),
        ("train_sft_trl", "demo", stage_flags.rejection_sft),
        ("train_sft_slime", "qwen3-4b", stage_flags.rejection_sft),
    ],
)
def test_what_reruns_nothing_in_the_workflow_is_in_no_key(program, preset, stage) -> None:
    """Else Snakemake would find nothing to do where the program would begin anew."""
    slime = {"extra_args": "--x", "server_args": "--x"}
    user = {"simulator": {"scripted": 1, "llm": 1}, "budget_usd": 1, "api_base": "http://x/v1"}
    layers = [("config.yaml", {"preset": preset, "user": user, "slime": slime})]
    runs = resolve_runs(layers, PRESETS, lambda wanted, by: Backend(wanted, by))
    config = runs[""].settings.config
    words = [word.partition("=")[0] for word in shlex.split(stage(config).untracked)]
    named = {word[2:].removeprefix("no-").replace("-", "_") for word in words if word[:2] == "--"}
    assert len(named) > 1 and named - OF_OTHERS <= EXEMPT[program].keys()


def test_arguments_of_others_count_in_the_workflow_as_in_the_keys(key_of) -> None:
    def params(**slime: str) -> tuple[str | None, str | None]:
        config = {"backend": "slime", "slime": {"extra_args": "", "server_args": "", **slime}}
        return made_by.training_arguments(config), made_by.server_arguments(config)

    plain, _ = key_of("train_grpo_slime")
    deciding = ("--use-tis", "--sglang-quantization fp8")
    neutral = ("--sglang-log-level info", "--tb-x 1", "--no-offload-train --no-offload-rollout")
    for words in (*deciding, *neutral):
        key, _ = key_of("train_grpo_slime", f"--extra-args={words}")
        assert (key != plain) == (words in deciding), words
        assert (params(extra_args=words)[0] != params()[0]) == (words in deciding), words
    assert params(server_args="--port 1") == params() != params(server_args="--dtype half")
