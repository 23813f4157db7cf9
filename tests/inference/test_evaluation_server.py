"""An evaluation against an SGLang server that somebody else runs, and stops in the middle."""

from __future__ import annotations

import threading

import pytest
from fake_sglang import FakeSGLang
from program_runs import run_here

from tau2_agent.records.episode_log import read_rows


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
    assert "The same command goes on where it stopped" in text and "Traceback" not in text
    assert not output.exists()
    kept = read_rows(episodes)
    assert 6 <= len(kept) < 40 and not any(row.excluded for row in kept)

    with FakeSGLang([[tokenizer.eos_token_id]]) as again:
        words[words.index(server.port)] = again.port
        status, text = run_here(monkeypatch, capfd, "evaluate_tau2.py", *words)
    assert status in (0, None), text
    assert f"{len(kept)} episodes of 40 are done already" in text
    assert len(again.requests) == 40 - len(kept)
    assert output.exists()
