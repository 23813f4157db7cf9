"""Rejection sampling as programs: a served model plays, is killed, resumes; slime learns of it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from fake_sglang import FakeSGLang
from model_configs import config
from program_runs import Program, run_here

import rejection_sampling
import teacher_traces
from tau2_agent.benchmark.tasks import split_ids
from tau2_agent.files import read_jsonl, write_jsonl
from tau2_agent.records.episode_log import read_rows
from tau2_agent.records.transcripts import read_transcripts, transcripts_path
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.training.megatron import checkpoints as store
from tau2_agent.users.registry import Users

STAND_IN = Path(__file__).parents[1] / "slime_stand_in"
TASKS = split_ids("train")[:3]
UNSOLVED = TASKS[2]


@pytest.fixture(scope="module")
def traces():
    users = Users()
    return [asyncio.run(teacher_traces.trace(i, "scripted", users, "short")) for i in TASKS]


class TeachersWords(FakeSGLang):
    """A model that says what the teacher says, every other turn a token a letter; of the last task
    it knows nothing and says nothing."""

    def __init__(self, codec, traces) -> None:
        super().__init__([])
        self.codec = codec
        self.texts = {
            trace["task_id"]: codec.decode(codec.trace(trace["messages"], trace["tools"]).ids)
            for trace in traces
        }

    def respond(self, handler, request, headers) -> None:
        with self.lock:
            self.requests.append(request)
            number = len(self.requests)
        so_far = self.codec.decode(request["input_ids"])
        # Tasks begin alike, and the teacher says the same until they differ.
        task_id = next(i for i, text in self.texts.items() if text.startswith(so_far))
        answer = self.texts[task_id][len(so_far) :].partition(self.codec.stop_text)[0]
        pieces = [""] if task_id == UNSOLVED else answer if number % 2 else [answer]
        ids = [i for piece in pieces for i in self.codec.encode(piece)]
        handler.answer(200, self.generated(request, [*ids, self.codec.stop_id]))


@pytest.fixture
def server(tokenizer, traces):
    with TeachersWords(ChatCodec(tokenizer), traces) as server:
        yield server


@pytest.fixture
def words(random_model, server, tmp_path):
    tasks = [{"index": n, "metadata": {"task_id": i}} for n, i in enumerate(TASKS)]
    write_jsonl(tmp_path / "tasks.jsonl", tasks)
    return [
        *("--checkpoint", random_model, "--tasks", tmp_path / "tasks.jsonl"),
        *("--output", tmp_path / "sampled.jsonl", "--samples-per-task", 2, "--prompt", "short"),
        *("--max-new-tokens", 400, "--context-length", 8000, "--max-length", 8000),
        *("--sglang-port", server.port, "--concurrency", 1),
    ]


def wait_for(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


@pytest.mark.slow
def test_killed_it_plays_only_what_is_missing_and_keeps_what_was_solved(words, server, tmp_path):
    output = tmp_path / "sampled.jsonl"
    log = output.with_suffix(".episodes.jsonl")
    killed = Program("rejection_sampling.py", *words)
    wait_for(lambda: log.exists() and log.read_bytes().count(b"\n") >= 2)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait(60)
    done = len(read_rows(log))
    assert 2 <= done < 6 and not output.exists()

    again = Program("rejection_sampling.py", *words)
    text, _ = again.communicate(timeout=120)
    assert again.returncode == 0, text
    assert f"{done} episodes of 6 are done already" in text
    assert "kept 2 of 6 episodes, on 2 of 3 tasks (2 were solved)" in text
    assert "2 unsolved" in text and "2 duplicate" in text

    kept = list(read_jsonl(output))
    assert [(row["task_id"], row["reward"]) for row in kept] == [(i, 1.0) for i in TASKS[:2]]
    episodes = {(one.task_id, one.trial): one for one in read_transcripts(transcripts_path(output))}
    for row in kept:
        own = episodes[row["task_id"], row["trial"]].tokens
        assert [own.ids[turn.start : turn.end] for turn in own.turns()] == row["sampled"]
    rejected = list(read_jsonl(output.with_suffix(".rejected.jsonl")))
    places = [(row["task_id"], row["trial"]) for row in [*kept, *rejected]]
    assert sorted(places) == sorted((i, trial) for i in TASKS for trial in range(2))
    source = json.loads(output.with_suffix(".source.json").read_text())
    assert source["dropped"] == dict(Counter(row["reason"] for row in rejected))
    assert (source["episodes"], source["solved"], source["kept"]) == (6, 4, 2)
    assert source["manifest"]["user_simulator"] == "scripted" and source["code"]
    assert source["inputs"].keys() == {str(words[1]), str(words[3])}


@pytest.mark.slow
def test_another_choice_or_more_samples_play_nothing_twice(
    words, server, tmp_path, monkeypatch, capfd
):
    status, text = run_here(monkeypatch, capfd, "rejection_sampling.py", *words)
    assert status in (0, None), text
    played = len(server.requests)
    # What the teacher said is no news where its traces are learnt from as well.
    write_jsonl(tmp_path / "teacher.jsonl", asyncio.run(all_traces()))
    beside = ["--beside", tmp_path / "teacher.jsonl"]
    status, text = run_here(monkeypatch, capfd, "rejection_sampling.py", *words, *beside)
    assert status == 2 and len(server.requests) == played
    assert "none can be learnt from (2 taught, 2 duplicate, 2 unsolved;" in text
    assert "has each); they ended by user_stop 4, " in text
    assert "Play other tasks (tasks.rejection_sampling)" in text and "Traceback" not in text
    words[words.index("--samples-per-task") + 1] = 3
    status, text = run_here(monkeypatch, capfd, "rejection_sampling.py", *words)
    assert status in (0, None), text
    assert "6 episodes of 9 are done already" in text and "kept 2 of 9 episodes" in text
    words[words.index("--samples-per-task") + 1] = 0
    status, text = run_here(monkeypatch, capfd, "rejection_sampling.py", *words)
    assert status == 2 and "--samples-per-task 0 plays nothing" in text
    words[words.index("--samples-per-task") + 1] = 3
    status, text = run_here(
        monkeypatch, capfd, "rejection_sampling.py", *words, "--issues", "balanced"
    )
    assert status == 2 and "--num-tasks -1 plays all; give a number" in text


def test_a_file_to_learn_from_that_is_not_there_costs_no_episode(
    words, server, monkeypatch, capfd
) -> None:
    missing = ["--beside", "nowhere.jsonl"]
    status, text = run_here(monkeypatch, capfd, "rejection_sampling.py", *words, *missing)
    assert status == 2 and "nowhere.jsonl" in text and not server.requests


def test_by_hand_it_has_the_limits_of_its_backends_recipe() -> None:
    files = ["--checkpoint", "sft", "--tasks", "tasks.jsonl", "--output", "out.jsonl"]
    cpu = rejection_sampling.parse([*files, "--backend", "cpu"])
    assert (cpu.prompt, cpu.context_length, cpu.max_new_tokens) == ("short", 896, 48)
    slime = rejection_sampling.parse(files)
    assert (slime.prompt, slime.context_length, slime.max_new_tokens) == ("tau2", 16384, 1024)


async def all_traces():
    return [await teacher_traces.trace(i, "scripted", Users(), "short") for i in TASKS]


@pytest.mark.slow
def test_slime_goes_on_from_the_sft_checkpoint_with_the_sampled_tokens(
    words, random_model, traces, tmp_path, monkeypatch, capfd
):
    status, text = run_here(monkeypatch, capfd, "rejection_sampling.py", *words)
    assert status in (0, None), text
    write_jsonl(tmp_path / "teacher.jsonl", traces)
    sft = (
        tmp_path / "sft"
    )  # a Hugging Face model and a Megatron checkpoint in one, as SFT leaves it
    shutil.copytree(random_model, sft)
    (sft / "config.json").write_text(json.dumps(config()))
    inner = store.iteration_folder(sft, 48)
    inner.mkdir()
    (inner / "common.pt").write_text(json.dumps({"rollout": 48}))
    (inner / ".metadata").touch()
    (sft / store.TRACKER).write_text("48")
    command = [
        *(sys.executable, str(STAND_IN / "run.py"), "train_sft_slime.py"),
        *("--model", str(sft), "--base", str(sft), "--output", "checkpoints/x_rejection"),
        *("--traces", "teacher.jsonl", "sampled.jsonl", "--prompt", "short", "--steps", "2"),
        *("--batch-size", "5", "--max-length", "8000", "--gpus", "1", "--tensor-parallel", "1"),
    ]
    homes = {"SLIME_HOME": str(STAND_IN), "MEGATRON_HOME": str(STAND_IN)}
    outcome = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, **homes},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert re.search(r"training begins with .*/sft", outcome.stdout)
    rows = list(read_jsonl(tmp_path / "checkpoints/x_rejection/tokens.jsonl"))
    assert [row["metadata"]["task_id"] for row in rows] == [*TASKS, *TASKS[:2]]
    episodes = read_transcripts(transcripts_path(tmp_path / "sampled.jsonl"))
    for row, kept in zip(rows[3:], read_jsonl(tmp_path / "sampled.jsonl"), strict=True):
        place = kept["task_id"], kept["trial"]
        (own,) = (one.tokens for one in episodes if (one.task_id, one.trial) == place)
        assert row["metadata"]["tokens"][own.prompt_length :] == own.ids
        assert row["metadata"]["loss_mask"] == own.mask
