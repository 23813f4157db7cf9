"""Each option of what plays with a model reaches the episodes, the policy and the server."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from types import SimpleNamespace

import pytest
from arrivals import USER, Arrival, Reached, Run, at, check_arrivals, make_inputs, refused
from made_results import row, summary

import evaluate_tau2
from tau2_agent.benchmark.tasks import faults
from tau2_agent.evaluation import model_players, rescoring, tau2_results

PLAYS: dict[str, Arrival] = {
    **USER,
    "checkpoint": refused("no Hugging Face checkpoint"),
    "backend": lambda seen, value: (hasattr(seen, "server"), value == "slime"),
    "sglang_port": refused(":9"),
    "temperature": at("episode.sampling.temperature"),
    "max_new_tokens": at("episode.sampling.max_new_tokens"),
    "context_length": at("episode.context_length"),
    "tensor_parallel": at("server.tensor_parallel"),
    "server_args": lambda seen, value: (" ".join(seen.server.extra), value),
    "prompt": at("episode.prompt"),
    "max_steps": at("episode.limits.max_steps"),
    "concurrency": lambda seen, value: (
        (seen.policy.max_batch, seen.told.concurrency),
        (value,) * 2,
    ),
    "seed": lambda seen, value: ((seen.policy.seed, seen.users.seed), (value, value)),
    "max_failure_share": at("failures.most"),
    "weights": at("told.weights"),
}
ARRIVES: dict[str, dict[str, Arrival]] = {
    "evaluate_tau2": {
        **PLAYS,
        "output_path": lambda seen, value: (value.with_suffix(".episodes.jsonl").exists(), True),
        "stage": at("summary.stage"),
        "compare": at("options.compare"),
        "domain": lambda seen, value: (value, "telecom"),  # there is one
        "task_split": at("summary.split"),
        "num_tasks": lambda seen, value: (len(seen.jobs), value),
        "first": lambda seen, value: (len(seen.jobs), value),
        "trials": lambda seen, value: (sorted({trial for _, trial in seen.jobs}), [*range(value)]),
        "keep_tokens": lambda seen, value: (seen.tokenizer is not None, value),
        "weights": lambda seen, value: (
            tuple(seen.summary["manifest"].partial_weights.values()),
            tuple(value),
        ),
    },
    "rejection_sampling": {
        **PLAYS,
        "tasks": refused("other_tasks"),
        "output_path": lambda seen, value: (value.with_suffix(".episodes.jsonl").exists(), True),
        "repeat_limit": at("episode.limits.repeat_limit"),
        "beside": refused("other_beside"),
        "prompt": lambda seen, value: ((seen.episode.prompt, seen.choice.prompt), (value, value)),
        "trials": lambda seen, value: (
            sorted({trial for _, trial in seen.jobs}),
            [*range(value)],
        ),
        "num_tasks": lambda seen, value: (len({name for name, _ in seen.jobs}), value),
        "issues": lambda seen, value: (value, issues_played(seen)),
        "keep_per_task": at("choice.most"),
        "min_partial": at("choice.min_partial"),
        "max_length": at("choice.max_length"),
    },
}


def issues_played(seen) -> str:
    """How the tasks' two issues, one twice as large as the other, share in the four played."""
    counts = Counter(faults(name)[0] for name in {name for name, _ in seen.jobs})
    return "balanced" if list(counts.values()) == [2, 2] else "proportional"


SERVED = ["--backend", "slime", "--prompt", "short"]  # tau2's would be 24,000 tokens here
INSTEAD = {
    "domain": ["--domain", "telecom"],
    "backend": SERVED,
    "task_split": ["--task-split", "small"],
    "issues": ["--issues", "balanced", "--num-tasks", "4"],
    "prompt": ["--prompt", "tau2-owners", "--context-length", "32000"],
    "context_length": ["--context-length", "3000"],
    "min_partial": ["--min-partial", "0.5"],
    "sglang_port": ["--sglang-port", "9", *SERVED],
    "tensor_parallel": ["--tensor-parallel", "2", *SERVED],
    "server_args": ["--server-args=--quantization fp8", *SERVED],
}


# Imported now: imported beneath the stand-ins below, they would keep these for later tests.
IMPORTED = rescoring, tau2_results


def on_evaluation(monkeypatch, module, seen, tmp_path) -> None:
    real = model_players.play_all

    async def play_all(jobs, policy, codec, settings, args, write):
        seen.policy, seen.episode, seen.users = policy, settings, settings.users
        await real(jobs, policy, codec, settings, args, write)

    async def play_each(jobs, episode, simulators, args, write, failures):
        seen.jobs = [(task.id, trial) for task, trial in jobs]
        seen.told, (seen.failures,) = args, failures
        with contextlib.suppress(Reached):
            write(SimpleNamespace(task_id=jobs[0][0].id), None)

    def make_transcript(task, trajectory, row, tokenizer):
        seen.tokenizer = tokenizer
        raise Reached

    def summarise(_, **given):
        seen.summary = given
        raise Reached

    def read_transcripts(_):
        return [SimpleNamespace(task_id=task_id, trial=trial) for task_id, trial in seen.jobs]

    def choose(_, choice):
        seen.choice = choice
        raise Reached

    def server(options, log):
        seen.server = options
        raise Reached

    monkeypatch.setattr(model_players, "play_all", play_all)
    monkeypatch.setattr(model_players, "take_gpus", lambda _: None)
    monkeypatch.setattr("tau2_agent.evaluation.playing.play_each", play_each)
    monkeypatch.setattr("tau2_agent.records.conversation.make_transcript", make_transcript)
    monkeypatch.setattr("tau2_agent.evaluation.results.summarise", summarise)
    monkeypatch.setattr("tau2_agent.teachers.kept_episodes.choose", choose)
    monkeypatch.setattr("tau2_agent.records.transcripts.read_transcripts", read_transcripts)
    monkeypatch.setattr("tau2_agent.inference.sglang_server.SGLangServer", server)
    monkeypatch.setattr("tau2_agent.preflight.checks.require", lambda *_: None)


@pytest.mark.parametrize("program", ARRIVES)
def test_every_option_arrives(monkeypatch, random_model, tmp_path, program) -> None:
    inputs = make_inputs(tmp_path, random_model, monkeypatch)
    given = ["--checkpoint", str(inputs["model"]), "--backend", "cpu"]
    if program == "evaluate_tau2":
        given += ["--output-path", str(tmp_path / "out.json"), "--task-split", "test"]
    else:
        given += ["--output", str(tmp_path / "out.jsonl"), "--tasks", str(inputs["tasks"])]
        given += ["--samples-per-task", "2"]
    longer = {"prompt": ["--max-length", "32000"]} if program == "rejection_sampling" else {}
    check_arrivals(
        Run(monkeypatch, tmp_path, on_evaluation, given), program, ARRIVES[program], INSTEAD, longer
    )


def test_results_to_compare_with_stand_before_the_new_ones(monkeypatch, tmp_path) -> None:
    before, now = (summary([row("a")], ["a"], stage=stage) for stage in ("base", "rl"))
    path = tmp_path / "base.json"
    path.write_text(before.model_dump_json())
    shown = []
    monkeypatch.setattr(evaluate_tau2, "evaluate", lambda args: now)
    monkeypatch.setattr("tau2_agent.evaluation.table.show", shown.extend)
    words = ["--checkpoint", "m", "--output-path", "o.json", "--compare", str(path)]
    monkeypatch.setattr(sys, "argv", ["evaluate_tau2.py", *words])
    assert evaluate_tau2.main() == 0
    assert [one.stage for one in shown] == ["base", "rl"] and shown == [before, now]
