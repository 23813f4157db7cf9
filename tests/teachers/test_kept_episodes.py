"""Which episodes of a model are taught, and that their tokens are the ones that it sampled."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

import teacher_traces
from base_model import demo_tokenizer, training_texts
from tau2_agent.benchmark.environment import prompt_tools, system_prompt
from tau2_agent.benchmark.tasks import get_task, split_ids
from tau2_agent.errors import InputError
from tau2_agent.files import write_jsonl
from tau2_agent.records.conversation import make_transcript
from tau2_agent.records.episode_row import episode_row
from tau2_agent.records.transcripts import Transcript
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.model_rollout import EpisodeSettings, play
from tau2_agent.rollout.policy import Sampling
from tau2_agent.rollout.trajectory import EndReason, Turn
from tau2_agent.teachers.kept_episodes import Choice, _said, choose
from tau2_agent.training.sft_data import token_records
from tau2_agent.users.registry import Users

LONGEST = 4000  # tokens
TASKS = split_ids("train")[:2]


@pytest.fixture(scope="module")
def traces():
    users = Users()
    return [asyncio.run(teacher_traces.trace(i, "scripted", users, "short")) for i in TASKS]


@pytest.fixture(scope="module")
def codec(traces, tmp_path_factory):
    path = tmp_path_factory.mktemp("texts") / "traces.jsonl"
    write_jsonl(path, traces)
    return ChatCodec(demo_tokenizer(training_texts(path, system_prompt("short")), 1500))


@pytest.fixture
def choice(codec):
    return Choice("short", codec, LONGEST)


def by_letters(codec, message):
    """`codec.answer` in other tokens: one a letter, with blanks that parsing takes off."""
    text = f" {codec.answer_text(message)} "
    return [*(i for letter in text for i in codec.encode(letter)), codec.stop_id]


def episode(codec, trace, spelling, trial=0, prompt="short", longest=LONGEST):
    """The transcript of an episode in which a policy writes the trace's answers, from its file."""
    answers = iter([m for m in trace["messages"][2:] if m["role"] == "assistant"])

    class Policy:
        async def generate(self, prompt, sampling, session):
            ids = spelling(codec, next(answers))
            return Turn(ids, [-0.5] * len(ids), "stop")

    task = get_task(trace["task_id"])
    settings = EpisodeSettings(Users(), prompt, Sampling(), context_length=longest)
    run = asyncio.run(play(task, Policy(), codec, settings, "session", "0"))
    kept = make_transcript(
        task, run, episode_row(task, run, trial=trial), tokenizer=codec.tokenizer
    )
    return run.tokens, Transcript.model_validate_json(kept.model_dump_json(exclude_defaults=True))


@pytest.fixture(scope="module")
def spelled(codec, traces):
    """Per task: the episode's token record, and its transcript."""
    return [episode(codec, trace, by_letters) for trace in traces]


def reasons(kept):
    return [(row["trial"], row["reason"]) for row in kept.dropped]


# --- tokens --------------------------------------------------------------------------------------


def test_sft_learns_from_the_tokens_as_they_were_sampled(choice, spelled):
    kept = choose([transcript for _, transcript in spelled], choice)
    assert [trace["task_id"] for trace in kept.traces] == TASKS and not kept.dropped
    for trace, (_, one) in zip(kept.traces, spelled, strict=True):
        told = {name: trace[name] for name in set(trace) - {"messages", "tools", "sampled"}}
        assert told == {
            "task_id": one.task_id,
            "trial": one.trial,
            "reward": 1.0,
            "partial": one.partial,
            "end": "user_stop",
            "steps": one.steps,
        }
    lines = json.loads(json.dumps(kept.traces))  # as from the file
    records = token_records(lines, choice.codec, LONGEST)
    for record, (sampled, _) in zip(records, spelled, strict=True):
        assert (record.ids, record.loss_mask) == (sampled.ids, sampled.loss_mask)
        assert record.prompt_length == sampled.prompt_length
    for line in lines:
        del line["sampled"]
    again = token_records(lines, choice.codec, LONGEST)
    assert all(new.ids != old.ids for new, (old, _) in zip(again, spelled, strict=True))


def test_tools_that_are_no_part_of_the_prompts_text_are_in_the_trace(codec):
    trace = asyncio.run(teacher_traces.trace(TASKS[0], "scripted", Users(), "tau2"))
    spelling = ChatCodec.answer
    _, transcript = episode(codec, trace, spelling, prompt="tau2", longest=90_000)
    (kept,) = choose([transcript], Choice("tau2", codec, 90_000)).traces
    assert kept["tools"] == trace["tools"] == prompt_tools("tau2") != []


def test_a_turn_that_ended_with_another_stop_token_stays_as_it_was(codec, traces):
    other = codec.tokenizer.convert_tokens_to_ids("<|im_start|>")
    two_stops = ChatCodec(codec.tokenizer)
    two_stops.stop_ids = (*codec.stop_ids, other)

    def spelling(codec, message):
        return [*codec.encode(codec.answer_text(message)), other]

    sampled, transcript = episode(two_stops, traces[0], spelling)
    assert other in sampled.ids[sampled.prompt_length :]
    kept = choose([transcript], Choice("short", two_stops, LONGEST))
    (record,) = token_records(kept.traces, two_stops, LONGEST)
    assert (record.ids, record.loss_mask) == (sampled.ids, sampled.loss_mask)


def test_tokens_of_another_tokenizer_or_an_edited_trace_are_refused(choice, spelled, traces):
    (trace,) = choose([spelled[0][1]], choice).traces
    edited = trace | {"messages": [dict(message) for message in trace["messages"]]}
    edited["messages"][3]["content"] += " Now."
    shorter = trace | {"sampled": trace["sampled"][:-1]}
    shifted = trace | {"sampled": [[max(i - 1, 0) for i in ids] for ids in trace["sampled"]]}
    for row in (edited, shorter, shifted):
        with pytest.raises(
            InputError, match=r"another tokenizer .* or was edited .* sample it again"
        ):
            token_records([row], choice.codec, LONGEST)


def test_an_episode_whose_stream_does_not_come_out_again_is_dropped(choice, spelled):
    transcript = spelled[0][1]
    tokens = transcript.tokens.model_copy(update={"prompt_length": 5})
    kept = choose([transcript.model_copy(update={"tokens": tokens})], choice)
    assert reasons(kept) == [(0, "tokens")] and not kept.traces


# --- which ---------------------------------------------------------------------------------------


@pytest.fixture
def three(codec, traces):
    """Three solved episodes of a task that say different things, the later the longer."""

    def spelling(extra):
        def spell(codec, message):
            content = message["content"]
            asked = content.startswith("What is your phone number")
            return codec.answer(message | {"content": content + extra} if asked else message)

        return spell

    return [
        episode(codec, traces[0], spelling(" Please." * number), trial=number)[1]
        for number in range(3)
    ]


def test_most_checks_come_first_then_the_shorter_then_the_earlier(choice, three):
    assert all(one.solved for one in three)
    kept = choose(reversed(three), choice)
    assert kept.traces[0]["trial"] == 0
    assert sorted(reasons(kept)) == [(1, "surplus"), (2, "surplus")]
    longest_first = [one.model_copy(update={"trial": 9 - one.trial}) for one in three]
    assert choose(longest_first, choice).traces[0]["trial"] == 9
    better = [three[0].model_copy(update={"partial": 0.0}), *three[1:]]
    assert choose(better, choice).traces[0]["trial"] == 1
    two = choose(better, replace(choice, most=2))
    assert [trace["trial"] for trace in two.traces] == [1, 2]


def test_what_was_said_before_is_not_kept_again(choice, three):
    twice = [three[1], three[1].model_copy(update={"trial": 7}), three[2]]
    kept = choose(twice, replace(choice, most=3))
    assert [trace["trial"] for trace in kept.traces] == [1, 2]
    assert reasons(kept) == [(7, "duplicate")]


def test_another_call_is_something_else_that_is_said(traces):
    messages = traces[0]["messages"]

    def said(**changes):
        changed = json.loads(json.dumps(messages))
        of_agent = [m for m in changed if m["role"] == "assistant" and m.get("tool_calls")]
        call = of_agent[0]["tool_calls"][0]
        call["id"] = "another"
        call["function"] |= changes
        return _said(changed)

    assert said() == _said(messages)
    assert len({said(), said(name="another"), said(arguments='{"id": "another"}')}) == 3


def test_what_the_teacher_said_takes_a_place_where_its_traces_are_learnt_from(
    choice, three, traces
):
    beside = choose(three, replace(choice, beside=traces))
    assert not beside.traces
    assert sorted(reasons(beside)) == [(0, "taught"), (1, "surplus"), (2, "surplus")]
    two = choose(
        [*three, three[0].model_copy(update={"trial": 7})], replace(choice, beside=traces, most=2)
    )
    assert [trace["trial"] for trace in two.traces] == [1]
    assert sorted(reasons(two)) == [(0, "taught"), (2, "surplus"), (7, "duplicate")]
    # A place of its own task only.
    other = [trace | {"task_id": TASKS[1]} for trace in traces]
    assert choose(three, replace(choice, beside=other)).traces[0]["trial"] == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"reward": 0.0}, "unsolved"),
        ({"reward": None, "end": EndReason.USER_ERROR}, "infrastructure"),
        ({"counters": {"cut_turns": 1}}, "cut_turn"),
        ({"tokens": None}, "tokens"),
    ],
)
def test_what_cannot_be_taught_is_dropped_for_its_reason(choice, three, changes, reason):
    kept = choose([three[0].model_copy(update=changes), three[1]], choice)
    assert [trace["trial"] for trace in kept.traces] == [1]
    assert reasons(kept) == [(0, reason)]
    (dropped,) = kept.dropped
    assert set(dropped) == {"task_id", "trial", "reason", "detail"}
    assert dropped["task_id"] == TASKS[0] and dropped["detail"]


def test_a_solved_episode_is_held_against_what_every_trace_is(choice, codec, traces, three):
    """A call of the user's tool that the agent recovered from would be taught with the rest."""
    first = next(m for m in traces[0]["messages"] if m.get("tool_calls"))
    wrong = json.loads(json.dumps(first))
    wrong["tool_calls"][0]["function"] |= {"name": "toggle_airplane_mode", "arguments": "{}"}
    answers = [m for m in traces[0]["messages"] if m["role"] == "assistant"]
    place = answers.index(first)
    trace = traces[0] | {"messages": [None, *answers[:place], wrong, *answers[place:]]}
    _, transcript = episode(codec, trace, ChatCodec.answer)
    assert transcript.solved and transcript.counters["foreign_tool_calls"] == 1
    kept = choose([transcript], choice)
    assert reasons(kept) == [(0, "tools")]


def test_longer_than_sft_takes_is_dropped(choice, three):
    length = three[0].tokens.prompt_length + len(three[0].tokens.ids)
    assert choose(three[:1], replace(choice, max_length=length)).traces
    kept = choose(three, replace(choice, max_length=length - 1))
    assert {reason for _, reason in reasons(kept)} == {"length"}


def test_a_task_never_solved_gives_its_best_episode_above_the_bar(choice, three):
    failed = [
        one.model_copy(update={"reward": 0.0, "partial": partial})
        for one, partial in zip(three, (0.4, 0.6, 0.5), strict=True)
    ]
    assert not choose(failed, choice).traces
    assert not choose(failed, replace(choice, min_partial=0.61)).traces
    hopeless = [one.model_copy(update={"partial": 0.0}) for one in failed]
    assert not choose(hopeless, replace(choice, min_partial=0.1)).traces
    bar = replace(choice, min_partial=0.5, most=3)
    kept = choose(failed, bar)
    assert [(t["trial"], t["reward"], t["partial"]) for t in kept.traces] == [(1, 0.0, 0.6)]
    assert sorted(reasons(kept)) == [(0, "unsolved"), (2, "surplus")]
    # A loop to the end of the steps is no example, however far it had come before.
    failed[1] = failed[1].model_copy(update={"end": EndReason.MAX_STEPS})
    assert [trace["trial"] for trace in choose(failed, bar).traces] == [2]
    # One solved episode, and no other of the task is an example.
    failed[1] = failed[1].model_copy(update={"end": EndReason.USER_STOP})
    assert [trace["trial"] for trace in choose([*failed[:2], three[2]], bar).traces] == [2]
