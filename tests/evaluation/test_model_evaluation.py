"""An evaluation from its options to its files, with a policy that always says the same."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from made_results import MANIFEST
from transformers import AutoModelForCausalLM, AutoTokenizer

import evaluate_tau2
from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.errors import InputError
from tau2_agent.evaluation import model_evaluation, model_players
from tau2_agent.evaluation.results import EvaluationSummary
from tau2_agent.inference import transformers_policy
from tau2_agent.inference.sglang_server import ForeignPolicy, PatientPolicy, ServerOptions
from tau2_agent.preflight.requirements import Requirements
from tau2_agent.records.episode_log import read_rows
from tau2_agent.records.progress import PROGRESS_FILE, read_progress
from tau2_agent.records.transcripts import read_transcripts, transcripts_path
from tau2_agent.rollout.trajectory import Turn
from tau2_agent.teachers.baselines import BASELINES
from tau2_agent.training.trained_for import TrainedFor, write_record
from tau2_agent.users.registry import Users

TASKS = [task.id for task in load_tasks("small")[:2]]


@pytest.fixture
def evaluation(random_model, tmp_path, monkeypatch, capsys):
    """Runs evaluate_tau2.py on two tasks; returns its summary, the policies made, what it said."""
    made = []

    class Policy:
        def __init__(self, model, stop_ids, *, seed, max_batch):
            self.model, self.seed, self.max_batch, self.asked = model, seed, max_batch, []
            self.stop_id = stop_ids[0]
            made.append(self)

        async def generate(self, prompt, sampling, session):
            self.asked.append((session, sampling))
            return Turn([5, 6, self.stop_id], [-0.5] * 3, "stop")

    def run(*words, output="out/eval.json"):
        made.clear()
        given = ["evaluate_tau2", "--checkpoint", str(random_model), "--backend", "cpu"]
        given += ["--task-split", "small", "--first", "2", "--max-steps", "6", "--stage", "sft"]
        given += ["--output-path", str(tmp_path / output), "--prompt", "short"]
        monkeypatch.setattr("sys.argv", [*given, *words])
        assert evaluate_tau2.main() == 0
        text = (tmp_path / output).read_text(encoding="utf-8")
        summary = EvaluationSummary.model_validate_json(text)
        return SimpleNamespace(summary=summary, policies=list(made), said=capsys.readouterr().out)

    monkeypatch.setattr(transformers_policy, "LocalPolicy", Policy)
    run.folder = tmp_path / "out"
    return run


def test_it_plays_each_task_and_keeps_everything(evaluation):
    words = ["--seed", "3", "--concurrency", "5", "--temperature", "0.25"]
    words += ["--context-length", "900"]
    found = evaluation(*words, "--domain", "telecom")
    (policy,) = found.policies
    weights = next(policy.model.parameters())
    assert weights.dtype == torch.float32 and not policy.model.training
    assert (policy.seed, policy.max_batch) == (3, 5)
    assert {sampling.temperature for _, sampling in policy.asked} == {0.25}
    summary = found.summary
    assert [task.task_id for task in summary.tasks] == TASKS
    assert (summary.split, summary.stage, summary.trials) == ("small", "sft", 1)
    assert (summary.evaluated, summary.excluded, summary.avg_reward) == (2, 0, 0.0)
    assert summary.selection == {"rule": "first", "num_tasks": 2}
    assert summary.manifest.seed == 3
    assert summary.manifest.limits == {
        "max_steps": 6,
        "max_errors": 10,
        "timeout_s": model_evaluation.EPISODE_TIMEOUT_S,
        "repeat_limit": 0,  # tau2 lets a loop go on
        "context_length": 900,
    }
    assert [one.agent for one in summary.baselines] == list(BASELINES)
    assert not summary.copies and summary.user_usage is None
    rows = read_rows(evaluation.folder / "eval.episodes.jsonl")
    assert sorted(row.task_id for row in rows) == sorted(TASKS)
    said = read_transcripts(transcripts_path(evaluation.folder / "eval.json"))
    assert sorted(one.task_id for one in said) == sorted(TASKS)
    assert all(one.tokens is not None for one in said)
    official = json.loads((evaluation.folder / "eval.tau2.json").read_text(encoding="utf-8"))
    assert len(official["simulations"]) == 2
    assert "already" not in found.said and "2/2 episodes, 0 solved" in found.said


def test_the_same_command_plays_only_what_is_missing(evaluation):
    evaluation()
    again = evaluation()
    assert again.policies == [] and "2 episodes of 2 are done already" in again.said
    transcripts_path(evaluation.folder / "eval.json").unlink()
    lost = evaluation()
    assert "2 episodes have no transcript in" in lost.said and len(lost.policies) == 1
    assert "are done already" not in lost.said
    rows = evaluation.folder / "eval.episodes.jsonl"
    kept = [line for line in rows.read_text().splitlines(keepends=True) if TASKS[1] not in line]
    rows.write_text("".join(kept))
    half = evaluation()
    assert "1 episodes of 2 are done already" in half.said
    assert "no transcript" not in half.said and len(half.policies) == 1
    sessions = {session for session, _ in half.policies[0].asked}
    assert len(sessions) == 1 and half.summary.evaluated == 2


def test_progress_goes_on_from_what_was_played(evaluation, monkeypatch):
    output = evaluation.folder / "eval.json"
    monkeypatch.setenv(PROGRESS_FILE, str(evaluation.folder / "progress.json"))
    trials = ["--trials", "3", "--temperature", "0.5"]
    evaluation(*trials)
    rows = evaluation.folder / "eval.episodes.jsonl"
    _, *kept = rows.read_text().splitlines()
    kept = [line.replace('"reward":0.0', '"reward":1.0') for line in kept]
    rows.write_text("".join(f"{line}\n" for line in kept))
    again = evaluation(*trials)
    assert "6/6 episodes, 5 solved" in again.said
    ((stage, entry),) = read_progress(evaluation.folder / "progress.json").items()
    assert stage == f"evaluate {output}"
    found = [entry[name] for name in ("state", "done", "total", "solved")]
    assert found == ["done", 6, 6, 5]
    assert entry["tokens_per_second"] > 0


def test_the_summary_says_what_the_model_was_trained_for_and_what_its_user_cost(
    evaluation, random_model, tmp_path, monkeypatch
):
    """The record as far as it says something."""
    shutil.copytree(random_model, folder := tmp_path / "trained")
    write_record(folder, TrainedFor(stage="grpo", prompt="short", rollout=3))
    asked = []
    usage = {"model": "openai/x", "calls": 7}
    monkeypatch.setattr(Users, "usage", lambda self, *of: asked.append(of) or usage)
    found = evaluation("--checkpoint", str(folder)).summary
    assert (found.checkpoint, found.user_usage) == (str(folder), usage)
    told = {name: found.trained_for[name] for name in ("stage", "prompt", "rollout")}
    assert told == {"stage": "grpo", "prompt": "short", "rollout": 3}
    assert set(found.trained_for) - set(told) <= {"code", "commit", "tokenizer_sha256"}
    (row, *_) = read_rows(evaluation.folder / "eval.episodes.jsonl")
    assert asked == [(evaluation.folder / "eval.user_calls.jsonl", row.fingerprint)]


def test_rows_belong_together_while_model_code_and_settings_are_the_same(
    random_model, tmp_path, monkeypatch
):
    args = SimpleNamespace(checkpoint=random_model, domain="telecom")

    def mark(**changed):
        manifest = MANIFEST.model_copy(update={"user_settings": {"a": 1, "b": 2}} | changed)
        return model_evaluation.evaluation_fingerprint(args, manifest)

    plain = mark()
    assert mark(user_settings={"b": 2, "a": 1}, partial_weights={}) == plain
    assert plain != mark(seed=1) != mark(limits={"max_steps": 9})
    monkeypatch.setattr(model_evaluation, "code_digest", lambda *_: "edited")
    assert mark() != plain


def test_trials_that_would_be_copies_are_named(evaluation):
    copies = evaluation("--trials", "2", "--temperature", "0")
    assert copies.summary.copies and "--trials 2: at temperature 0" in copies.said
    assert copies.summary.evaluated == 4
    for number, words in enumerate((["--temperature", "0.5"], ["--trials", "1"])):
        other = evaluation("--trials", "2", "--temperature", "0", *words, output=f"{number}.json")
        assert not other.summary.copies and "copies" not in other.said


def test_tokens_are_kept_unless_told_otherwise(evaluation):
    evaluation("--no-keep-tokens")
    said = read_transcripts(transcripts_path(evaluation.folder / "eval.json"))
    assert [one.tokens for one in said] == [None, None]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sglang-port", "9"], "--sglang-port goes with --backend slime"),
        (["--num-tasks", "1"], "--first and --num-tasks both"),
        (["--first", "0"], "first 0: no task is left"),
        (["--first", "-1"], "first -1: no task is left"),
    ],
)
def test_what_cannot_be_played_is_refused(evaluation, words, said):
    with pytest.raises(InputError, match=said):
        evaluation(*words)
    assert not (evaluation.folder / "eval.json").exists()


def test_another_domain_is_refused(evaluation, capsys):
    with pytest.raises(SystemExit):
        evaluation("--domain", "retail")
    assert "invalid choice: 'retail'" in capsys.readouterr().err


def test_its_time_limit_reaches_the_episode(random_model):
    parser = model_evaluation.argparse.ArgumentParser()
    model_evaluation.add_flags(parser)
    args = parser.parse_args(["--max-steps", "7"])
    plain = (args.domain, args.task_split, args.backend, args.first)
    assert plain == ("telecom", "test", "slime", None)
    args.user_phrasing, args.user_one_action = None, None
    limits = model_evaluation.make_settings(args, simulators=object()).limits
    assert (limits.max_steps, limits.timeout_s) == (7, model_evaluation.EPISODE_TIMEOUT_S)


def test_weights_are_computed_with_as_floats(evaluation, random_model, tmp_path):
    half = AutoModelForCausalLM.from_pretrained(random_model, dtype=torch.bfloat16)
    half.save_pretrained(tmp_path / "half")
    AutoTokenizer.from_pretrained(random_model).save_pretrained(tmp_path / "half")
    (policy,) = evaluation("--checkpoint", str(tmp_path / "half")).policies
    assert next(policy.model.parameters()).dtype == torch.float32


@pytest.mark.parametrize("port", [None, 9])
def test_a_served_model_is_played_with_by_its_server(monkeypatch, tmp_path, port):
    """A server of our own is asked for, started and guarded; a foreign one is only asked."""
    seen = SimpleNamespace(wanted=None, server=None, guarded=0, closed=0)

    class Policy:
        def __init__(self, url, stop_ids):
            self.url, self.stop_ids = url, stop_ids

        async def check(self):
            seen.checked = True

        async def close(self):
            seen.closed += 1

    class Server:
        url = "http://127.0.0.1:30000"

        def __init__(self, options, log):
            seen.server = options, log

        async def __aenter__(self):
            return self

        async def __aexit__(self, *_):
            pass

        async def guard(self, work):
            seen.guarded += 1
            return await work

    async def play_all(jobs, policy, *given):
        seen.played = jobs, policy, given

    monkeypatch.setattr("tau2_agent.inference.sglang_client.SGLangPolicy", Policy)
    monkeypatch.setattr("tau2_agent.inference.sglang_server.SGLangServer", Server)
    monkeypatch.setattr("tau2_agent.preflight.checks.require", lambda w: setattr(seen, "wanted", w))
    monkeypatch.setattr(model_players, "take_gpus", lambda gpus: setattr(seen, "gpus", gpus))
    monkeypatch.setattr(model_players, "play_all", play_all)
    args = SimpleNamespace(
        sglang_port=port,
        tensor_parallel=2,
        checkpoint=tmp_path,
        context_length=99,
        seed=3,
        server_args="--quantization fp8",
        output_path=tmp_path / "eval.json",
    )
    codec = SimpleNamespace(stop_ids=(1, 2))
    asyncio.run(model_players.served_model(["job"], codec, "settings", args, "write"))
    jobs, policy, given = seen.played
    assert (jobs, given) == (["job"], (codec, "settings", args, "write")) and seen.closed == 1
    assert policy.policy.stop_ids == (1, 2)
    if port:
        assert isinstance(policy, ForeignPolicy) and policy.policy.url == "http://127.0.0.1:9"
        assert seen.checked and seen.wanted is seen.server is None
        return
    assert isinstance(policy, PatientPolicy) and policy.policy.url == Server.url
    wanted = Requirements("slime", 2, model=tmp_path, megatron=False)
    assert seen.wanted == replace(wanted, server_args=("--quantization", "fp8"))
    told = ServerOptions(
        tmp_path, tensor_parallel=2, context_length=99, seed=3, extra=("--quantization", "fp8")
    )
    assert seen.server == (told, tmp_path / "eval.sglang.log")
    assert (seen.gpus, seen.guarded) == (2, 1)
