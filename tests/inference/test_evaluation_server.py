"""An evaluation against an SGLang server that somebody else runs, and stops in the middle."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest
from fake_sglang import FakeSGLang
from program_runs import run_here
from tau2.data_model.message import AssistantMessage

from tau2_agent.records.episode_log import read_rows
from tau2_agent.records.transcripts import read_transcripts, transcripts_path
from tau2_agent.rollout import model_rollout
from tau2_agent.rollout.trajectory import EndReason, Trajectory


@pytest.mark.slow
def test_a_server_that_stops_ends_the_evaluation_and_keeps_what_is_done(
    random_model, tokenizer, tmp_path, monkeypatch, capfd
) -> None:
    # An answer of nothing but the stop token is an empty turn, and ends an episode.
    server = FakeSGLang([[tokenizer.eos_token_id]])
    output = tmp_path / "eval.json"
    episodes = output.with_suffix(".episodes.jsonl")
    words = ["--checkpoint", random_model, "--output-path", output, "--prompt", "short"]
    words += ["--task-split", "test", "--sglang-port", server.port, "--concurrency", "1"]
    server.thread.start()
    respond = server.respond

    def stop_after_six(handler, request, headers):
        respond(handler, request, headers)
        if len(server.requests) == 6:
            threading.Thread(target=server.__exit__).start()

    server.respond = stop_after_six
    status, text = run_here(monkeypatch, capfd, "evaluate_tau2.py", *words)
    assert status not in (0, None), text
    assert f"no SGLang server answers at {server.url}" in text
    assert "The same command resumes where it stopped" in text and "Traceback" not in text
    assert not output.exists()
    kept = read_rows(episodes)
    assert 6 <= len(kept) < 40 and not any(row.excluded for row in kept)
    said = transcripts_path(output)
    before = {one.task_id: one.started for one in read_transcripts(said)}
    assert before.keys() >= {row.task_id for row in kept}

    with FakeSGLang([[tokenizer.eos_token_id]]) as again:
        words[words.index(server.port)] = again.port
        status, text = run_here(monkeypatch, capfd, "evaluate_tau2.py", *words)
    assert status in (0, None), text
    assert f"{len(kept)} episodes of 40 are done already" in text
    assert len(again.requests) == 40 - len(kept)
    assert output.exists()
    after = {one.task_id: one.started for one in read_transcripts(said)}
    assert len(after) == 40 and all(after[row.task_id] == before[row.task_id] for row in kept)

    said.unlink()  # conversations that are gone are played again, and the numbers are made anew
    with FakeSGLang([[tokenizer.eos_token_id]]) as again:
        words[words.index("--sglang-port") + 1] = again.port
        status, text = run_here(monkeypatch, capfd, "evaluate_tau2.py", *words)
    assert status in (0, None), text
    assert "40 episodes have no transcript" in text and len(again.requests) == 40
    assert len(read_transcripts(said)) == 40


def test_a_server_that_mostly_fails_stops_the_evaluation(
    random_model, tokenizer, tmp_path, monkeypatch, capfd
) -> None:
    """One episode in four: far more than `--max-failure-share`, far fewer than all."""
    output = tmp_path / "eval.json"
    words = ["--checkpoint", random_model, "--output-path", output, "--prompt", "short"]
    words += ["--task-split", "test", "--concurrency", "1"]
    played = []

    async def play(task, policy, codec, settings, session, sample):
        await asyncio.sleep(0)  # as a model does: others have their turn, and a stop arrives
        if task.id not in played:
            played.append(task.id)
        failed = played.index(task.id) % 4 == 0
        end = EndReason.POLICY_ERROR if failed else EndReason.MAX_STEPS
        hello = AssistantMessage(role="assistant", content="Hi!")
        return Trajectory(task.id, [hello], end, "overloaded" if failed else "")

    monkeypatch.setattr(model_rollout, "play", play)
    with FakeSGLang([[tokenizer.eos_token_id]]) as server:
        more = ["--sglang-port", server.port]
        status, text = run_here(monkeypatch, capfd, "evaluate_tau2.py", *words, *more)
        assert status not in (0, None) and not output.exists()
        assert "5 of 20 episodes failed because of the policy's server" in text
        assert "evaluation.max_failure_share" in text and "overloaded" in text
        assert "Traceback" not in text and len(played) == 20
        kept = len(read_rows(output.with_suffix(".episodes.jsonl")))
        more += ["--max-failure-share", "0.5"]
        status, text = run_here(monkeypatch, capfd, "evaluate_tau2.py", *words, *more)
    assert status in (0, None), text
    summary = json.loads(output.read_text())
    assert kept == 20 and (summary["policy_errors"], summary["excluded"]) == (10, 10)
    assert summary["lower_bound"]["tasks"] == 40
