"""slime's evaluation hook: when it plays, what it writes, and what of a training it leaves alone.

With SLIME_HOME set, slime's own train.py decides when the hook is called.
"""

import argparse
import ast
import asyncio
import json
import logging
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import yaml
from fake_sglang import FakeSGLang
from model_configs import config

import generate_with_tau
import train_grpo_slime
from tau2_agent.benchmark.selection import draw
from tau2_agent.benchmark.tasks import split_ids
from tau2_agent.evaluation import validation_slime
from tau2_agent.evaluation.validation_slime import SlimeValidation
from tau2_agent.records.validation import read_validation
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.trajectory import EndReason, JobStop
from tau2_agent.training.slime import router
from tau2_agent.training.slime.log import JobLog, Start
from tau2_agent.users.registry import Users

FILES = ["--model", "/m", "--sft", "/s", "--tasks", "/t", "--output", "/o"]
TRANSFER = (
    '<tool_call>\n{"name": "transfer_to_human_agents", "arguments": {"summary": "s"}}\n</tool_call>'
)
GOODBYE = "YOU ARE BEING TRANSFERRED TO A HUMAN AGENT. PLEASE HOLD ON."
SLIME = os.environ.get("SLIME_HOME")


@pytest.fixture(autouse=True)
def slime(monkeypatch, tokenizer):
    """What the hook imports of slime; its own code where it is there."""
    utils = ModuleType("slime.utils.async_utils")
    utils.run = asyncio.run
    if SLIME:
        source = (Path(SLIME) / "slime/utils/async_utils.py").read_text()
        exec(compile(source, "async_utils.py", "exec"), utils.__dict__)
    for name in ("slime", "slime.utils"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "slime.utils.async_utils", utils)
    state = SimpleNamespace(tokenizer=tokenizer, aborted=False)
    monkeypatch.setattr(validation_slime, "rollout_state", lambda args: state)
    monkeypatch.setattr(router, "PATIENCE_S", 0.0)
    monkeypatch.setattr(generate_with_tau, "_users", {})


@pytest.fixture
def started(tmp_path):
    """A function from options to slime's arguments, as the training program starts a job."""

    def start(fake, *words, trained=0, **more):
        words = ["--rollouts", "5", "--validation-tasks", "3", "--prompt", "short", *words]
        words += ["--validation-context-length", "2000", "--validation-max-new-tokens", "64"]
        options = train_grpo_slime.parse([*FILES, *words])
        validating = SlimeValidation(options, tmp_path, trained, tmp_path / "user_calls.jsonl")
        told = train_grpo_slime.hook_settings(options, tmp_path) | validating.settings()
        command = train_grpo_slime.slime_arguments(
            options,
            config=config(),
            folder=tmp_path,
            hooks=tmp_path / "tau2.yaml",
            validating=validating.arguments(),
        )
        known = argparse.ArgumentParser()
        known.add_argument("--eval-prompt-data", nargs="+")
        known.add_argument("--eval-interval", type=int)
        known.add_argument("--skip-eval-before-train", action="store_true")
        args, _ = known.parse_known_args(command)
        vars(args).update(yaml.safe_load(yaml.safe_dump(told)))
        args.sglang_router_ip, args.sglang_router_port = "127.0.0.1", fake.port
        vars(args).update(more)
        return args

    return start


def validate(args, rollout_id):
    return generate_with_tau.validate(args, rollout_id, None, evaluation=True)


@pytest.fixture
def transferring(tokenizer):
    """A server whose policy hands every user to a human."""
    codec = ChatCodec(tokenizer)
    turns = [
        [*codec.tokenizer(text, add_special_tokens=False)["input_ids"], codec.stop_id]
        for text in (TRANSFER, GOODBYE)
    ]
    with FakeSGLang([]) as fake:
        fake.respond = lambda handler, request, headers: respond(fake, turns, handler, request)
        yield fake


def respond(fake, turns, handler, request):
    """The first turn of an episode, or the second: its prompt is longer by the first."""
    with fake.lock:
        fake.requests.append(request)
    called = turns[0] == request["input_ids"][-200:][: len(turns[0])] or any(
        request["input_ids"][i : i + len(turns[0])] == turns[0]
        for i in range(len(request["input_ids"]) - len(turns[0]))
    )
    handler.answer(200, fake.generated(request, turns[1] if called else turns[0]))


def test_the_fixed_tasks_are_played_greedily_with_the_raw_reward(started, transferring, tmp_path):
    args = started(transferring, "--validation-every", "2", "--temperature", "0.9")
    data = validate(args, 0)
    (row,) = read_validation(tmp_path)
    assert (row.rollout, row.tasks, row.excluded) == (0, 3, 0)
    assert row.ends == {"user_stop": 3}
    # none of them is a task to be transferred; the partial score is of no account
    assert row.pass_at_1 == row.avg_reward == 0.0 and data == {"validation": {"rewards": [0.0]}}
    tasks = [json.loads(line) for line in Path(args.eval_prompt_data[1]).read_text().splitlines()]
    assert [task["metadata"]["task_id"] for task in tasks] == draw(split_ids("extra_dev"), 3)
    sampling = [request["sampling_params"] for request in transferring.requests]
    assert {one["temperature"] for one in sampling} == {0.0}
    assert {one["max_new_tokens"] for one in sampling} == {64}


@pytest.mark.parametrize(("limit", "end"), [("3", "repeat_limit"), ("0", "max_steps")])
def test_a_loop_ends_as_it_does_in_training(started, tokenizer, tmp_path, limit, end):
    look = '<tool_call>\n{"name": "get_data_usage", "arguments": {}}\n</tool_call>'
    turn = tokenizer(look, add_special_tokens=False)["input_ids"]
    words = ("--validation-every", "1", "--validation-tasks", "2", "--validation-max-steps", "8")
    with FakeSGLang([]) as fake:
        fake.respond = lambda handler, request, headers: handler.answer(
            200, fake.generated(request, [*turn, ChatCodec(tokenizer).stop_id])
        )
        validate(started(fake, *words, "--repeat-limit", limit), 0)
    (row,) = read_validation(tmp_path)
    assert row.ends == {end: 2}


def test_it_plays_when_it_is_due_and_each_rollout_once(started, transferring, tmp_path):
    args = started(transferring, "--validation-every", "2")
    for rollout_id in (0, 0, 1, 2, 3, 4, 4):  # slime calls before the first one and after each
        validate(args, rollout_id)
    assert [row.rollout for row in read_validation(tmp_path)] == [0, 2, 4, 5]


def test_with_every_rollout_the_first_two_are_told_apart(started, transferring, tmp_path):
    args = started(transferring, "--validation-every", "1", "--validation-tasks", "1")
    for rollout_id in (0, 0, 1):
        validate(args, rollout_id)
    assert [row.rollout for row in read_validation(tmp_path)] == [0, 1, 2]


def test_a_resumed_job_keeps_its_rows_and_plays_none_again(started, transferring, tmp_path):
    words = ("--validation-every", "2", "--validation-tasks", "1")
    args = started(transferring, *words)
    for rollout_id in (0, 0, 1, 2, 3):
        validate(args, rollout_id)
    assert [row.rollout for row in read_validation(tmp_path)] == [0, 2, 4]
    args = started(transferring, *words, trained=3)  # the checkpoint is that of rollout id 2
    assert args.skip_eval_before_train
    assert [row.rollout for row in read_validation(tmp_path)] == [0, 2]
    for rollout_id in (3, 4):
        validate(args, rollout_id)
    assert [row.rollout for row in read_validation(tmp_path)] == [0, 2, 4, 5]


def test_a_job_that_begins_again_validates_its_first_weights_once(started, transferring, tmp_path):
    words = ("--validation-every", "1", "--validation-tasks", "1")
    validate(started(transferring, *words), 0)
    args = started(transferring, *words)  # killed before its first checkpoint
    assert args.skip_eval_before_train
    validate(args, 0)  # slime's first call is now the one after rollout 0
    assert [row.rollout for row in read_validation(tmp_path)] == [0, 1]


def test_without_validation_slime_is_asked_for_none(started, transferring, tmp_path):
    args = started(transferring, "--validation-every", "0")
    assert args.eval_interval is None and args.eval_prompt_data is None
    assert not (tmp_path / "validation_tasks.jsonl").exists()


def test_a_broken_server_stops_the_job_with_its_reason(started, transferring, caplog, tmp_path):
    transferring.respond = lambda handler, *_: handler.answer(400, {"error": "broken"})
    args = started(transferring, "--validation-every", "1", "--validation-tasks", "25")
    with caplog.at_level(logging.ERROR), pytest.raises(JobStop, match="the policy's server"):
        validate(args, 0)
    log = JobLog(Start("/s"))
    for record in caplog.records:
        log.feed(f"(RolloutManager pid=1) {record.getMessage()}")
    assert "episodes failed because of the policy's server" in log.stop
    assert read_validation(tmp_path) == []


def test_the_users_of_validation_have_the_training_s_purse_and_a_count_of_their_own() -> None:
    users = Users()
    users._model = object()  # one language model, with its ledger
    beside = users.beside()
    assert beside._model is users._model and beside.fingerprint() == users.fingerprint()
    beside.failures.count(SimpleNamespace(end=EndReason.USER_ERROR, failure="x", detail=""))
    assert beside.failures.kinds and not users.failures.kinds


def test_what_a_kill_left_out_is_played_by_a_server_of_our_own(
    transferring, random_model, monkeypatch, tmp_path, capsys
):
    """With the evaluation's arguments for it; the next job finds its GPUs as they were."""
    begun = []

    class Server:
        url = transferring.url
        restarts_done = 0

        def __init__(self, options, log):
            begun.append((options, log))

        async def __aenter__(self):
            return self

        async def __aexit__(self, *_):
            pass

        async def guard(self, playing):
            await playing

        async def until_ready(self):
            pass

    monkeypatch.setattr("tau2_agent.inference.sglang_server.SGLangServer", Server)
    monkeypatch.setattr("tau2_agent.preflight.checks.require", lambda wanted: None)
    monkeypatch.setattr(
        "tau2_agent.evaluation.model_players.take_gpus",
        lambda count: os.environ.update(CUDA_VISIBLE_DEVICES="1"),
    )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,3")
    words = ["--rollouts", "5", "--validation-every", "2", "--validation-tasks", "3"]
    words += ["--prompt", "short", "--validation-context-length", "2000", "--checkpoint", "best"]
    words += ["--tensor-parallel", "2", "--server-args=--attention-backend triton"]
    options = train_grpo_slime.parse([*FILES, *words])
    validating = SlimeValidation(options, tmp_path, 4, tmp_path / "user_calls.jsonl")
    assert validating.is_missing(4) and not validating.is_missing(3)
    validating.play(random_model, 4)
    (row,) = read_validation(tmp_path)
    assert (row.rollout, row.tasks, row.excluded) == (4, 3, 0)
    assert row.settings == validating.settings()["tau2_validation"]["digest"]
    ((server, log),) = begun
    assert server.model == random_model and server.tensor_parallel == 2
    assert server.extra == ("--attention-backend", "triton")
    assert log == tmp_path / "logs" / "validation.sglang.log"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1,3"
    assert "validation after 4 rollouts: pass@1 0.000" in capsys.readouterr().out


def test_progress_says_what_was_solved(started, transferring, caplog, tmp_path):
    from tau2_agent.records.progress import Progress

    with caplog.at_level(logging.INFO):
        validate(started(transferring, "--validation-every", "1"), 0)
    progress = Progress("train x", 5, unit="rollouts", says=False)
    log = JobLog(Start("/s"), metrics=tmp_path / "metrics.jsonl", progress=progress)
    for record in caplog.records:
        log.feed(f"(RolloutManager pid=1) [2026] {record.getMessage()}")
    log.feed("(RolloutManager pid=1) [2026] rollout_metrics.py:247 - eval 1: {}")
    assert "validation 0.000" in progress.line()
    assert not (tmp_path / "metrics.jsonl").exists()


@pytest.mark.skipif(not SLIME, reason="needs slime's source in SLIME_HOME")
@pytest.mark.parametrize("first", [0, 2])
def test_slimes_own_loop_calls_it_when_it_must(started, transferring, monkeypatch, tmp_path, first):
    """train.py as it is, around stand-ins for the models: also the ends of epochs, here of 3."""
    args = started(transferring, "--validation-every", "2", "--validation-tasks", "1")
    called = []
    remote = SimpleNamespace(
        eval=lambda rollout_id: called.append(validate(args, rollout_id)),
        **dict.fromkeys(
            ["generate", "save", "offload", "onload", "onload_weights", "onload_kv", "dispose"],
            lambda *_: None,
        ),
    )
    manager = SimpleNamespace(
        **{name: SimpleNamespace(remote=call) for name, call in vars(remote).items()}
    )

    class Anything:
        def __getattr__(self, name):
            return lambda *_, **__: None

    misc = ast.parse((Path(SLIME) / "slime/utils/misc.py").read_text())
    (function,) = [
        node for node in misc.body if getattr(node, "name", "") == "should_run_periodic_action"
    ]
    place = {}
    exec(ast.unparse(function), place)
    modules = {
        "ray": {"get": lambda value: value},
        "slime.observability": {},
        "slime.observability.logging_utils": dict.fromkeys(
            ["configure_logger", "finish_tracking", "init_tracking"], lambda *_: None
        ),
        "slime.ray": {},
        "slime.ray.placement_group": {
            "create_placement_groups": lambda args: {"rollout": None},
            "create_rollout_manager": lambda args, group: (manager, 3),
            "create_training_models": lambda *_: (Anything(), None),
        },
        "slime.utils.arguments": {"parse_args": None},
        "slime.utils.misc": {"should_run_periodic_action": place["should_run_periodic_action"]},
    }
    for name, content in modules.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    vars(args).update(start_rollout_id=first, num_rollout=5, save_interval=2, use_critic=False)
    vars(args).update(release_train=False, offload_rollout=True, offload_train=True)
    vars(args).update(check_weight_update_equal=False, rollout_global_dataset=True)
    loop = {"__name__": "train"}
    exec(compile((Path(SLIME) / "train.py").read_text(), "train.py", "exec"), loop)
    loop["train"](args)
    expected = [0, 2, 4, 5] if first == 0 else [4, 5]
    assert [row.rollout for row in read_validation(tmp_path)] == expected
    assert len(called) == (6 if first == 0 else 3)
