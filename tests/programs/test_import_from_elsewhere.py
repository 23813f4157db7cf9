"""Traces that tau2 wrote, and those of the hub behind a stand-in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fake_hub import COMMIT, FakeHub
from imported import rejected, run
from official import scripted_episode

from tau2_agent.benchmark.environment import prompt_tools, system_prompt
from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.errors import InputError
from tau2_agent.files import read_jsonl
from tau2_agent.rollout.trajectory import agent_view, as_chat

ROOT = Path(__file__).resolve().parents[2]


# --- what tau2 writes -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def results():
    """tau2's own results of eight episodes, two of which failed."""
    import asyncio

    from tau2.data_model.simulation import (
        AgentInfo,
        Info,
        Results,
        RewardInfo,
        SimulationRun,
        UserInfo,
    )
    from tau2.environment.environment import EnvironmentInfo

    from tau2_agent.benchmark.environment import domain_policy

    async def play():
        return [(task, await scripted_episode(task)) for task in load_tasks("train")[:8]]

    simulations = []
    for number, (task, episode) in enumerate(asyncio.run(play())):
        end, reward = episode.end.value, 1.0
        if number == 2:
            end, reward = "max_steps", 0.0
        elif number == 5:
            reward = 0.0
        simulations.append(
            SimulationRun(
                id=f"run-{number}",
                task_id=task.id,
                start_time="",
                end_time="",
                duration=1.0,
                termination_reason=end,
                reward_info=RewardInfo(reward=reward),
                messages=episode.messages,
                trial=0,
            )
        )
    environment = EnvironmentInfo(domain_name="telecom", policy=domain_policy())
    info = Info(
        git_commit="0" * 40,
        num_trials=1,
        max_steps=200,
        max_errors=10,
        user_info=UserInfo(implementation="user_simulator"),
        agent_info=AgentInfo(implementation="llm_agent"),
        environment_info=environment,
    )
    return Results(info=info, tasks=load_tasks("train")[:8], simulations=simulations)


def from_tau2(results):
    """What is to be learned from those results."""
    tools = prompt_tools("tau2")
    return [
        as_trace_of(simulation) | {"tools": tools}
        for number, simulation in enumerate(results.simulations)
        if number not in (2, 5)
    ]


def as_trace_of(simulation):
    system = {"role": "system", "content": system_prompt("tau2")}
    return {
        "task_id": simulation.task_id,
        "reward": 1.0,
        "end": "user_stop",
        "steps": None,
        "messages": [system, *map(as_chat, agent_view(simulation.messages))],
    }


SHARE = ("--prompt", "tau2", "--max-rejected-share", "0.5")


@pytest.mark.parametrize("compact", [False, True])
def test_results_of_tau2(results, tmp_path, compact, capsys) -> None:
    path = tmp_path / "results.json"
    if compact:
        path.write_text(results.model_dump_json(), encoding="utf-8")
    else:
        results.save(path)
    assert run(path, tmp_path, *SHARE) == from_tau2(results)
    text = capsys.readouterr().out
    assert "results.json: 8 conversations, read as tau2's simulations" in text
    assert "results.json, simulation 3: reward: reward_info.reward 0; only solved" in text
    assert [row["simulation"] for row in rejected(tmp_path)] == [3, 6]


@pytest.mark.parametrize("named", ["folder", "file", "above"])
def test_results_of_tau2_in_a_folder(results, tmp_path, named) -> None:
    """Upstream's other format: a description, and a file for each simulation."""
    folder = write_folder(results, tmp_path / "data" / "run")
    source = {"folder": folder, "file": folder / "results.json", "above": tmp_path / "data"}
    assert run(source[named], tmp_path, *SHARE) == from_tau2(results)
    assert rejected(tmp_path)[0]["file"].endswith("simulations/run-2.json")


def test_a_folder_of_tau2_that_lost_a_simulation(results, tmp_path) -> None:
    folder = write_folder(results, tmp_path / "run")
    (folder / "simulations" / "run-4.json").unlink()
    with pytest.raises(InputError, match=r"lists 8 simulations, 1 of which .* \(run-4\)"):
        run(folder, tmp_path, *SHARE)


def write_folder(results, folder):
    (folder / "simulations").mkdir(parents=True)
    for simulation in results.simulations:
        path = folder / "simulations" / f"{simulation.id}.json"
        path.write_text(simulation.model_dump_json(indent=2), encoding="utf-8")
    index = [{"id": s.id, "task_id": s.task_id, "trial": 0} for s in results.simulations]
    meta = results.model_dump(mode="json", exclude={"simulations"}) | {"simulation_index": index}
    (folder / "results.json").write_text(json.dumps(meta, indent=2), encoding="utf-8")
    return folder


# --- the hub -------------------------------------------------------------------------------------


def from_hub(hub, tmp_path, *arguments):
    command = [sys.executable, str(ROOT / "scripts" / "import_traces.py"), "--teacher", "hub"]
    command += ["--output", str(tmp_path / "traces.jsonl"), "--prompt", "short", *arguments]
    environment = hub.environment(tmp_path / "hf")
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("revision", [COMMIT, "v1"])
def test_data_set_of_the_hub_at_its_revision(solved, tmp_path, revision) -> None:
    text = "".join(json.dumps(row) + "\n" for row in solved)
    files = {"README.md": b"# traces", "data/train.jsonl": text.encode()}
    with FakeHub("someone/traces", files) as hub:
        outcome = from_hub(hub, tmp_path, "--source", "someone/traces", "--revision", revision)
        assert outcome.returncode == 0, outcome.stderr
    assert list(read_jsonl(tmp_path / "traces.jsonl")) == solved
    assert any(path.endswith("data/train.jsonl") for path in hub.paths)
    assert not any("README" in path.split("/")[-1] for path in hub.paths)
    source = json.loads((tmp_path / "traces.source.json").read_text())
    assert source["revision"] == revision
    assert list(source["files"]) == ["data/train.jsonl"]


@pytest.mark.slow
def test_revision_that_is_missing_or_unknown(tmp_path) -> None:
    with FakeHub("someone/traces", {}) as hub:
        outcome = from_hub(hub, tmp_path, "--source", "someone/traces")
        assert outcome.returncode == 2
        assert "pin one (traces.revision" in outcome.stderr
        assert hub.paths == []
        outcome = from_hub(hub, tmp_path, "--source", "someone/traces", "--revision", "v2")
    assert outcome.returncode == 2
    (line,) = [text for text in outcome.stderr.splitlines() if text.startswith("error: ")]
    assert "someone/traces@v2 could not be downloaded" in line and "Check the id" in line
    assert "Traceback" not in outcome.stderr
