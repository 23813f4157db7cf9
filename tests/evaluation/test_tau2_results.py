"""tau2's own programs work on our results, and give the same rewards."""

from __future__ import annotations

import asyncio
import json

import pytest
from made_results import MANIFEST
from tau2.data_model.simulation import Results, TerminationReason
from tau2.metrics.agent_metrics import compute_metrics
from tau2.scripts import evaluate_trajectories, view_simulations
from tau2.scripts.leaderboard import prepare_submission, submission, verify_trajectories

import make_submission
from tau2_agent.benchmark.selection import draw
from tau2_agent.benchmark.tasks import get_task, split_ids
from tau2_agent.errors import InputError
from tau2_agent.evaluation.results import summarise
from tau2_agent.evaluation.tau2_results import read_tau2_results, write_tau2_results
from tau2_agent.records.conversation import make_transcript
from tau2_agent.records.episode_log import EpisodeLog
from tau2_agent.records.episode_row import ResultsError, episode_row
from tau2_agent.records.transcripts import TranscriptFile, transcripts_path
from tau2_agent.rollout.episode import Limits, run_episode
from tau2_agent.rollout.trajectory import EndReason
from tau2_agent.teachers.baselines import make_agent
from tau2_agent.users.registry import make_user


def evaluated(folder, task_ids, agents, split, ends=()):
    """An evaluation with an agent a trial; `ends` replace those of the first episodes."""
    path = folder / f"eval_{split}.json"
    ends = list(ends)
    with (
        EpisodeLog(path.with_suffix(".episodes.jsonl"), "run") as log,
        TranscriptFile(transcripts_path(path), "run") as transcripts,
    ):
        for task_id in task_ids:
            for trial, name in enumerate(agents):
                task = get_task(task_id)
                agent, user = make_agent(name), make_user("scripted", task)
                trajectory = asyncio.run(run_episode(task, agent, user, limits=Limits(120)))
                trajectory.end = ends.pop() if ends else trajectory.end
                row = episode_row(task, trajectory, trial=trial)
                transcripts.append(make_transcript(task, trajectory, row))
                log.append(row)
        summary = summarise(
            log.rows.values(),
            task_ids=task_ids,
            trials=len(agents),
            stage="rl",
            checkpoint="checkpoints/demo_rl_telecom",
            split=split,
            manifest=MANIFEST,
        )
        write_tau2_results(
            path.with_suffix(".tau2.json"), summary, log.rows, transcripts_path(path)
        )
    path.write_text(summary.model_dump_json())
    return path, summary, log.rows


@pytest.fixture(scope="module")
def test_split(tmp_path_factory):
    odd = [EndReason.CONTEXT_LENGTH, EndReason.TIMEOUT, EndReason.MAX_STEPS, EndReason.USER_ERROR]
    ids = draw(split_ids("test"), 12)
    agents = ["scripted", "blind_script", "vague", "silent"]
    return evaluated(tmp_path_factory.mktemp("test"), ids, agents, "test", odd)


@pytest.fixture(scope="module")
def base_split(tmp_path_factory):
    return evaluated(
        tmp_path_factory.mktemp("base"), split_ids("base"), ["transfer_at_once"], "base"
    )


def test_evaluate_trajs_gives_equal_rewards(test_split, tmp_path, capfd):
    path, _, rows = test_split
    evaluate_trajectories.evaluate_trajectories([str(path.with_suffix(".tau2.json"))], tmp_path)
    assert "All files processed successfully" in capfd.readouterr().out
    graded = Results.load(tmp_path / "updated_eval_test.tau2.json")
    counted = {key: row for key, row in rows.items() if not row.excluded}
    assert len(graded.simulations) == len(counted) == 46
    for run in graded.simulations:
        assert run.reward_info.reward == counted[run.task_id, run.trial].reward
    ours = Results.load(path.with_suffix(".tau2.json")).simulations
    assert {run.reward_info.reward for run in graded.simulations} == {0.0, 1.0}
    # tau2 finds every check as it stands in our file.
    for one, other in zip(ours, graded.simulations, strict=True):
        assert one.reward_info.env_assertions == other.reward_info.env_assertions
        assert one.reward_info.action_checks == other.reward_info.action_checks


def test_ends_that_26_3_does_not_know_are_told_by_one_that_it_does(test_split):
    path, _, rows = test_split
    runs = Results.load(path.with_suffix(".tau2.json")).simulations
    run_of = {(run.task_id, run.trial): run for run in runs}
    ends = {EndReason.CONTEXT_LENGTH: 0}
    for key, row in rows.items():
        if row.end in ends:
            ends[row.end] += 1
            assert run_of[key].termination_reason is TerminationReason.AGENT_ERROR
            assert row.end.value in run_of[key].reward_info.info["note"]
    assert all(ends.values())


def test_the_viewer_shows_a_conversation(test_split, monkeypatch, capfd):
    path, _, _ = test_split
    words = iter(["1", "2", "3", "", "4", "5"])
    numbers = iter([1, 5, 1])
    monkeypatch.setattr(view_simulations.Prompt, "ask", lambda *_, **__: next(words))
    monkeypatch.setattr(view_simulations.IntPrompt, "ask", lambda *_, **__: next(numbers))
    monkeypatch.setattr(view_simulations.ConsoleDisplay.console, "width", 300)
    view_simulations.main(sim_file=str(path.with_suffix(".tau2.json")))
    shown = capfd.readouterr().out
    assert "Loaded 46 simulations" in shown and "How can I help you today?" in shown
    assert next(words, None) is next(numbers, None) is None


def test_tau2_computes_our_pass_hat_k(base_split):
    path, summary, _ = base_split
    metrics = compute_metrics(Results.load(path.with_suffix(".tau2.json")))
    assert metrics.pass_hat_ks[1] == pytest.approx(summary.pass_at_1)


def submitted(path, folder, *words):
    make_submission.main(
        [str(path), "--output", str(folder), "--organization", "Us", "--email", "a@b.c", *words]
    )
    return next(folder.iterdir())


def test_a_submission_passes_tau2s_own_checks(base_split, tmp_path, capfd):
    path, summary, _ = base_split
    folder = submitted(path, tmp_path, "--form", "26.3")
    prepare_submission.validate_submission(str(folder))
    said = capfd.readouterr().out
    assert "Submission validation successful" in said and "✅ Tasks validation" in said
    assert "Submission metrics validation successful" in said
    made = submission.Submission.model_validate_json((folder / "submission.json").read_bytes())
    assert made.results.telecom.pass_1 == pytest.approx(100 * summary.pass_at_1, abs=0.01)
    assert "trained on tau2-bench telecom tasks" in made.methodology.notes
    files = [str(file) for file in (folder / "trajectories").iterdir()]
    verify_trajectories.verify_trajectories(files, verify_trajectories.VerificationMode.PUBLIC)


def test_the_leaderboards_form_says_that_the_model_is_custom(base_split, tmp_path):
    path, _, _ = base_split
    folder = submitted(path, tmp_path, "--reference", "https://example.org/code")
    made = json.loads((folder / "submission.json").read_text())
    assert made["submission_type"] == "custom"
    assert (folder / "trajectories" / made["trajectory_files"]["telecom"]).is_file()
    assert made["methodology"]["verification"]["modified_prompts"] is True  # the short prompt
    assert made["references"][0]["url"] == "https://example.org/code"
    # What upstream's model (a2c0247) requires, and all that it allows of what is not voice.
    required = {"model_name", "model_organization", "submitting_organization", "submission_date"}
    assert required | {"contact_info", "results"} <= made.keys()
    assert made.keys() <= required | {
        *("contact_info", "results", "submission_type", "modality", "is_new", "references"),
        *("trajectories_available", "trajectory_files", "methodology", "model_release"),
        "reasoning_effort",
    }


def test_an_incomplete_evaluation_is_no_submission(test_split, base_split, tmp_path):
    with pytest.raises(InputError, match="every task of the split base, and this is 12 tasks"):
        submitted(test_split[0], tmp_path)
    _, summary, _ = base_split
    lost = summary.model_copy(update={"excluded": 2})
    other = tmp_path / "eval_base.json"
    other.write_text(lost.model_dump_json())
    with pytest.raises(InputError, match="2 episodes failed"):
        submitted(other, tmp_path)
    assert not list(tmp_path.glob("*/submission.json"))


# tau2's results, read


def test_our_file_is_read_back(test_split):
    path, _, rows = test_split
    read = read_tau2_results(path.with_suffix(".tau2.json"))
    assert len(read) == 46
    for one in read:
        row = rows[one.task_id, one.trial]
        assert (one.reward, one.trial, one.excluded) == (row.reward, row.trial, False)
    call = next(said for one in read for said in one.messages if said.role == "tool")
    assert call.name and call.requestor in ("assistant", "user")


def test_upstreams_folder_and_its_ends_are_read(test_split, tmp_path):
    results = json.loads(test_split[0].with_suffix(".tau2.json").read_text())
    runs = results.pop("simulations")[:3]
    ends = ["context_window_exceeded", "infrastructure_error", "user_stop"]
    (tmp_path / "simulations").mkdir()
    for run, end in zip(runs, ends, strict=True):
        run |= {"termination_reason": end, "mode": "half_duplex", "ticks": None}
        (tmp_path / "simulations" / f"{run['id']}.json").write_text(json.dumps(run))
    (tmp_path / "results.json").write_text(json.dumps(results | {"format_version": 1}))
    read = read_tau2_results(tmp_path)
    assert {one.end for one in read} == {
        EndReason.CONTEXT_LENGTH,
        EndReason.POLICY_ERROR,
        EndReason.USER_STOP,
    }
    assert [one.reward for one in read if one.excluded] == [None]


@pytest.mark.parametrize("text", ["", "[]", '{"simulations": [{"task_id": "a"}]}'])
def test_another_file_is_an_error(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(ResultsError, match=r"x\.json: no results of tau2"):
        read_tau2_results(path)
