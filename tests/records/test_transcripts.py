"""Conversations that are kept: what they tell, and the file that grows."""

from __future__ import annotations

import asyncio
import errno
import gzip
import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from replays import gold_calls, play
from tau2.data_model.message import AssistantMessage, UserMessage

from tau2_agent.benchmark.tasks import get_task, load_tasks
from tau2_agent.records import transcripts
from tau2_agent.records.conversation import flat, make_transcript, tau2_messages
from tau2_agent.records.counters import COUNTERS, count
from tau2_agent.records.episode_row import EpisodeRow, ResultsError, episode_row
from tau2_agent.records.transcripts import TranscriptFile, Turn, read_transcripts, transcripts_path
from tau2_agent.rollout.episode import OUT_OF_SCOPE, run_episode
from tau2_agent.rollout.trajectory import EndReason, TokenRecord, Trajectory
from tau2_agent.rollout.trajectory import Turn as Sampled
from tau2_agent.teachers.baselines import make_agent
from tau2_agent.users.registry import make_user

ROAMING = "[mobile_data_issue]user_abroad_roaming_enabled_off[PERSONA:None]"
LINE = {"customer_id": "C1001", "line_id": "L1002"}


def kept(task, trajectory, **more):
    return make_transcript(task, trajectory, episode_row(task, trajectory), **more)


def scripted(task):
    return asyncio.run(run_episode(task, make_agent("scripted"), make_user("scripted", task)))


# What is told


def test_every_check_that_was_met_names_its_message():
    """On every test task, solved by the teacher: the message is what made the check true."""
    kinds = set()
    for task in load_tasks("test"):
        made = kept(task, scripted(task))
        kinds |= {(check.kind, check.message is None) for check in made.checks}
        assert made.solved and made.user_end in ("stop", "transfer")
        for check in made.checks:
            if check.held_at_start or not check.met:
                assert check.message is None
            elif check.kind == "action":
                calls = made.messages[check.message].tool_calls
                assert made.messages[check.message].role == check.side
                assert check.name in [call["name"] for call in calls]
            else:  # something changed there, or the state that the assertion asks for would not
                assert check.message in [change.message for change in made.changes]
    assert {("action", False), ("assertion", False), ("assertion", True)} <= kinds


def test_a_fault_that_came_back_counts_from_its_last_repair():
    task = get_task(ROAMING)
    toggle = [("user", "toggle_roaming", {})]
    made = kept(task, play(task, [toggle, toggle, toggle]))
    speed = next(check for check in made.checks if check.kind == "assertion" and check.required)
    places = [c.message for c in made.changes if c.path == "device.roaming_enabled"]
    assert places == [1, 3, 5] and speed.message == 5
    assert [c.after for c in made.changes if c.path == "device.roaming_enabled"] == [
        True,
        False,
        True,
    ]
    made = kept(task, play(task, [toggle, toggle]))
    missed = next(check for check in made.checks if check.kind == "assertion" and check.required)
    assert (missed.met, missed.message) == (False, None)


def test_changes_of_the_account_are_named_by_line():
    task = get_task(ROAMING)
    made = kept(task, play(task, [[("assistant", "suspend_line", LINE | {"reason": "lost"})]]))
    change = next(change for change in made.changes if change.path == "lines.L1002.status")
    assert (change.side, change.message, change.after) == ("account", 1, "Suspended")


def test_an_episode_without_a_score_keeps_its_conversation():
    task = load_tasks("test")[0]
    made = kept(task, play(task, gold_calls(task), EndReason.USER_ERROR))
    assert made.excluded and made.reward is None and made.checks == []
    assert len(made.messages) > 2 and made.changes


def test_messages_come_back_as_tau2_has_them():
    task = load_tasks("test")[-1]
    trajectory = scripted(task)
    back = tau2_messages(kept(task, trajectory))
    assert back == flat(trajectory.messages)
    for one, other in zip(back, flat(trajectory.messages), strict=True):
        apart = datetime.fromisoformat(one.timestamp) - datetime.fromisoformat(other.timestamp)
        assert abs(apart) < timedelta(seconds=0.02)  # kept to the hundredth


def test_out_of_scope_is_told_from_a_solved_stop():
    task = load_tasks("test")[0]
    trajectory = play(task, [])
    assert kept(task, trajectory).user_end == "stop"
    trajectory.messages.append(UserMessage(role="user", content=f"Never mind. {OUT_OF_SCOPE}"))
    assert kept(task, trajectory).user_end == "out_of_scope"
    assert episode_row(task, trajectory).user_end == "out_of_scope"
    trajectory.messages[-1].content = "Goodbye."  # an end by a word that is none of tau2's
    assert kept(task, trajectory).user_end == ""
    trajectory.messages[-1].content = None
    assert kept(task, trajectory).user_end == ""
    trajectory.end = EndReason.MAX_STEPS
    assert kept(task, trajectory).user_end == ""


def test_what_nobody_counted_is_nothing():
    row = EpisodeRow(task_id="t", end=EndReason.USER_STOP)
    counted = (row.trial, row.steps, row.agent_turns, row.tool_errors, row.seconds, row.attempts)
    assert counted == (0, 0, 0, 0, 0.0, 1)
    empty = Trajectory("t", [], EndReason.USER_STOP)
    assert (empty.steps, empty.agent_turns, empty.tool_errors, empty.seconds) == (0, 0, 0, 0.0)
    assert (TokenRecord().prompt_length, TokenRecord().cut_turns) == (0, 0)
    task = load_tasks("test")[0]
    plain = episode_row(task, play(task, []))
    assert (plain.attempts, plain.trial, plain.messages) == (1, 0, None)
    trajectory = play(task, gold_calls(task))
    trajectory.seconds, trajectory.tool_errors = 1.23456, 3
    told = episode_row(task, trajectory, trial=2, attempts=3, keep_messages=True)
    assert (told.attempts, told.trial, told.seconds, told.tool_errors) == (3, 2, 1.235, 3)
    assert len(told.messages) == len(trajectory.messages)
    assert all(None not in message.values() for message in told.messages)


def test_what_the_user_reports_is_in_the_row():
    task = load_tasks("test")[0]
    trajectory = play(task, [])
    trajectory.user_report = {"unknown": 2}
    trajectory.detail, trajectory.failure = "why", "timed_out"
    row = episode_row(task, trajectory)
    assert (row.user_report, row.detail, row.failure) == ({"unknown": 2}, "why", "timed_out")


# What is counted


def counted(*groups, says=(), tokens=None) -> dict[str, int]:
    task = get_task(ROAMING)
    messages = play(task, groups).messages
    messages += [AssistantMessage(role="assistant", content=text) for text in says]
    return count(task, messages, tokens)


def agent(name: str, **arguments):
    return [("assistant", name, arguments)]


BOTH_ERRORS = {"tool_errors": 1, "agent_tool_errors": 1}
LOOK = agent("get_details_by_id", id="L1002")
TWICE = {"repeated_turns": 1, "longest_loop": 2}
THRICE = {"repeated_turns": 2, "longest_loop": 3}
REVERSED = dict(reversed(LINE.items()))
ASKS = [("user", "check_status_bar", {})]
CASES: list[tuple[Callable[[], dict[str, int]], dict[str, int]]] = [
    (lambda: counted(LOOK, ASKS), {}),
    (lambda: counted(agent("toggle_data")), {"foreign_tool_calls": 1, **BOTH_ERRORS}),
    (
        lambda: counted(agent("toggle_data"), agent("toggle_roaming")),
        {"foreign_tool_calls": 2, "tool_errors": 2, "agent_tool_errors": 2},
    ),
    (lambda: counted(agent("fix_it", a=1)), {"unknown_tool_calls": 1, **BOTH_ERRORS}),
    (lambda: counted([("user", "grant_app_permission", {})]), {"tool_errors": 1}),
    (lambda: counted(LOOK, LOOK, LOOK), {"repeated_calls": 2, **THRICE}),
    (lambda: counted([*LOOK, *LOOK]), {"repeated_calls": 1}),
    (lambda: counted(LOOK, ASKS, LOOK), {}),  # the user did something in between
    (lambda: counted(LOOK, agent("enable_roaming", **LINE), LOOK), {}),  # and here the agent
    (lambda: counted(*[agent("enable_roaming", **LINE)] * 2), {"repeated_calls": 1, **TWICE}),
    (
        lambda: counted(agent("enable_roaming", **LINE), agent("enable_roaming", **REVERSED)),
        {"repeated_calls": 1, **TWICE},
    ),
    (lambda: counted(says=["Is it on?"] * 3), THRICE),
    (lambda: counted(agent("transfer_to_human_agents", summary="s")), {"transfers": 1}),
    # the same user's other line, and another user's
    (
        lambda: counted(
            agent("suspend_line", customer_id="C1001", line_id="L1001", reason="r"),
            agent("enable_roaming", customer_id="C1002", line_id="L1004"),
        ),
        {"outside_writes": 2},
    ),
    (
        lambda: counted(agent("send_payment_request", customer_id="C1002", bill_id="B1005")),
        {"outside_writes": 1},
    ),
    (
        lambda: counted(agent("suspend_line", customer_id="C1001", line_id="L9", reason="r")),
        BOTH_ERRORS,  # it wrote nothing
    ),
    (lambda: counted(says=['<tool_call>{"name": </tool_call>']), {"unparsed_calls": 1}),
]


@pytest.mark.parametrize(("found", "wanted"), CASES)
def test_what_a_score_does_not_tell_is_counted(found, wanted):
    assert found() == wanted
    assert wanted.keys() <= COUNTERS.keys()


def test_cut_turns_are_counted():
    tokens = TokenRecord()
    tokens.append_sampled(Sampled([1], [0.0], "length"))
    tokens.append_sampled(Sampled([1], [0.0], "stop"))
    assert counted(tokens=tokens) == {"cut_turns": 1}


def test_the_teacher_writes_nothing_outside_a_task():
    for task in load_tasks("test"):
        assert "outside_writes" not in count(task, scripted(task).messages)


# Tokens


def test_tokens_after_the_first_prompt_with_their_text(tokenizer):
    task = load_tasks("test")[0]
    trajectory = play(task, [LOOK, ASKS])
    said = ["Grüße \U0001f600 ok", "Please check the status bar."]
    first, second = (tokenizer(text)["input_ids"] for text in said)
    record = TokenRecord()
    record.append_context(tokenizer("the first prompt")["input_ids"])
    record.prompt_length = len(record.ids)
    record.append_sampled(Sampled(first, [-0.123456789] * len(first), "stop"))
    record.append_context([tokenizer.eos_token_id])
    record.append_sampled(Sampled(second, [-1.0] * len(second), "stop"))
    trajectory.tokens = record
    tokens = kept(task, trajectory, tokenizer=tokenizer).tokens
    assert tokens.ids == record.ids[record.prompt_length :]
    assert tokens.mask == [1] * len(first) + [0] + [1] * len(second)
    assert tokens.log_probs[0] == -0.12346 and tokens.log_probs[len(first)] == 0.0
    assert "".join(tokens.pieces) == said[0] + tokenizer.eos_token + said[1]
    assert len(tokens.pieces) == len(tokens.ids)
    end = len(first) + 1 + len(second)
    # The second turn was cut at the end of the context: it became no message.
    assert tokens.turns() == [Turn(1, 0, len(first)), Turn(None, len(first) + 1, end)]
    assert kept(task, trajectory).tokens is None


# The file


@pytest.fixture
def episode():
    task = get_task(ROAMING)
    return kept(task, play(task, [LOOK, ASKS]))


def test_the_file_grows_and_can_be_read_meanwhile(tmp_path, episode):
    path = transcripts_path(tmp_path / "eval_test.json")
    assert path.name == "eval_test.transcripts.jsonl.gz"
    with TranscriptFile(path, "run") as file:
        for trial in range(3):
            file.append(episode.model_copy(update={"trial": trial}))
            assert len(read_transcripts(path)) == trial + 1
            assert gzip.decompress(path.read_bytes()).count(b"\n") == trial + 1  # as zcat does
    assert read_transcripts(path)[0] == episode.model_copy(update={"fingerprint": "run"})


@pytest.mark.parametrize("cut", [1, 9, 300])
def test_a_kill_costs_the_line_that_it_cut(tmp_path, episode, cut):
    path = tmp_path / "t.gz"
    with TranscriptFile(path, "run") as file:
        for trial in range(2):
            file.append(episode.model_copy(update={"trial": trial}))
    path.write_bytes(path.read_bytes()[:-cut])
    assert [t.trial for t in read_transcripts(path)] == [0]
    with TranscriptFile(path, "run") as file:
        assert file.keys == {(ROAMING, 0)}
        file.append(episode.model_copy(update={"trial": 7}))
    assert [t.trial for t in read_transcripts(path)] == [0, 7]


def test_an_episode_that_is_played_again_replaces_the_old_one(tmp_path, episode):
    path = tmp_path / "t.gz"
    with TranscriptFile(path, "run") as file:
        file.append(episode.model_copy(update={"detail": "first"}))
        file.append(episode.model_copy(update={"detail": "again"}))
    assert [t.detail for t in read_transcripts(path)] == ["again"]


def test_lines_of_other_weights_are_set_aside_and_come_back(tmp_path, episode):
    path = tmp_path / "t.gz"
    for run in ("one", "two"):
        with TranscriptFile(path, run) as file:
            file.append(episode.model_copy(update={"detail": run}))
    with TranscriptFile(path, "one") as file:
        assert file.keys == {(ROAMING, 0)}
    assert [t.detail for t in read_transcripts(path)] == ["one"]
    assert [t.detail for t in read_transcripts(tmp_path / "t.gz.two")] == ["two"]


def test_lines_that_an_earlier_version_wrote_are_set_aside_too(tmp_path, episode):
    path = tmp_path / "t.gz"
    line = json.loads(episode.model_dump_json()) | {"run": "earlier"}
    del line["fingerprint"]
    path.write_bytes(gzip.compress(json.dumps(line).encode() + b"\n"))
    with TranscriptFile(path, "now") as file:
        assert not file.keys
    assert [one.fingerprint for one in read_transcripts(tmp_path / "t.gz.earlier")] == ["earlier"]


def test_a_full_disk_is_an_error(tmp_path, episode, monkeypatch):
    path = tmp_path / "t.gz"
    with TranscriptFile(path) as file:
        file.append(episode)
        write = os.write
        monkeypatch.setattr(transcripts.os, "write", lambda handle, data: write(handle, data[:9]))
        with pytest.raises(OSError) as caught:
            file.append(episode.model_copy(update={"trial": 1}))
        assert caught.value.errno == errno.ENOSPC
        monkeypatch.undo()
    with TranscriptFile(path) as file:
        assert file.keys == {(ROAMING, 0)}


def test_a_file_of_something_else_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "t.gz"
    path.write_bytes(gzip.compress(b'{"task_id": 3}\n'))
    with pytest.raises(ResultsError, match=r"t\.gz, line 1: no transcript"):
        read_transcripts(path)
    with pytest.raises(FileNotFoundError):
        read_transcripts(tmp_path / "other.gz")
