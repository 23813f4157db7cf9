"""Traces in the forms that others write: the same trace comes out, or what is wrong is named."""

from __future__ import annotations

import asyncio
import copy
import json
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from official import scripted_episode

from tau2_agent.benchmark.environment import (
    assistant_tools,
    domain_policy,
    prompt_tools,
    system_prompt,
    user_tools,
)
from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.rollout.trajectory import OFFICIAL_ENDS, EndReason, agent_view, as_chat
from tau2_agent.teachers.trace_checks import RejectedTrace, TraceRules, checked
from tau2_agent.teachers.trace_forms import as_trace

RULES = TraceRules("tau2")
INFO = {
    "agent_info": {"implementation": "llm_agent"},
    "environment_info": {"domain_name": "telecom", "policy": domain_policy()},
}


def played():
    async def play():
        tasks = load_tasks("train")[:6]
        return [(task, await scripted_episode(task)) for task in tasks]

    return asyncio.run(play())


EPISODES = played()
SYSTEM = {"role": "system", "content": system_prompt("tau2")}
TRACES = [
    {
        "task_id": task.id,
        "reward": 1.0,
        "end": "user_stop",
        "steps": run.steps,
        "messages": [SYSTEM, *map(as_chat, agent_view(run.messages))],
        "tools": prompt_tools("tau2"),
    }
    for task, run in EPISODES
]


def calls_of(trace):
    return [call for m in trace["messages"] for call in m.get("tool_calls") or []]


def renumbered(trace):
    """Ids do not matter: the trace with its calls numbered."""
    trace = copy.deepcopy(trace)
    names = {}
    for message in trace["messages"]:
        for call in message.get("tool_calls") or []:
            call["id"] = names.setdefault(call["id"], f"call_{len(names) + 1}")
        if message["role"] == "tool":
            message["tool_call_id"] = names[message["tool_call_id"]]
    return trace


# --- the same trace in other words ---------------------------------------------------------------


def arguments_as_objects(trace, dice):
    for call in calls_of(trace):
        if dice.random() < 0.5:
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])


def ids_as_numbers(trace, dice):
    start = dice.choice([0, 1, 1000])
    names = {call["id"]: start + n for n, call in enumerate(calls_of(trace))}
    rename(trace, names.get)


def no_ids(trace, dice):
    missing = dice.choice([None, ""])
    rename(trace, lambda old: missing)


def rename(trace, new):
    for message in trace["messages"]:
        for call in message.get("tool_calls") or []:
            call["id"] = new(call["id"])
        if message["role"] == "tool":
            message["tool_call_id"] = new(message["tool_call_id"])


def flat_calls(trace, dice):
    for message in trace["messages"]:
        if message.get("tool_calls"):
            message["tool_calls"] = [
                {"id": call["id"], **call["function"]} for call in message["tool_calls"]
            ]


def null_content(trace, dice):
    for message in trace["messages"]:
        if message.get("tool_calls") and not message["content"]:
            message["content"] = None
        message.setdefault("tool_calls", dice.choice([None, []]))


def texts_in_parts(trace, dice):
    for message in trace["messages"]:
        if message["content"]:
            cut = dice.randrange(len(message["content"]))
            parts = message["content"][:cut], message["content"][cut:]
            message["content"] = [{"type": "text", "text": part} for part in parts]


def the_systems_other_name(trace, dice):
    trace["messages"][0]["role"] = "developer"


def calls_as_text(trace, dice):
    for message in trace["messages"]:
        if message.get("tool_calls"):
            message["tool_calls"] = json.dumps(message["tool_calls"])


def lists_as_text(trace, dice):
    for name in ("messages", "tools"):
        trace[name] = json.dumps(trace[name], ensure_ascii=dice.random() < 0.5)


def metadata_as_text(trace, dice):
    trace["metadata"] = json.dumps({"task_id": trace.pop("task_id"), "reward": 1})


def more_fields(trace, dice):
    trace |= {"id": 7, "model": "x", "source": {"a": []}}
    for message in trace["messages"]:
        message |= {"name": None, "timestamp": "2026-01-01", "cost": 0.1}


FORMS = [
    arguments_as_objects,
    ids_as_numbers,
    no_ids,
    flat_calls,
    null_content,
    more_fields,
    metadata_as_text,
    texts_in_parts,
    the_systems_other_name,
    calls_as_text,
    lists_as_text,  # the last: the others look inside
]


@settings(max_examples=60, deadline=None)
@given(
    number=st.integers(0, len(TRACES) - 1),
    chosen=st.sets(st.sampled_from(range(len(FORMS))), min_size=1),
    seed=st.integers(0, 99),
)
def test_any_mixture_of_forms_is_the_same_trace(number, chosen, seed):
    trace, dice = copy.deepcopy(TRACES[number]), random.Random(seed)
    for index in sorted(chosen):
        FORMS[index](trace, dice)
    assert renumbered(checked(as_trace(trace), RULES)) == renumbered(TRACES[number])


@pytest.mark.parametrize("number", range(len(EPISODES)))
@pytest.mark.parametrize("packed", [False, True])
def test_a_simulation_of_tau2(number, packed):
    task, run = EPISODES[number]
    messages = [message.model_dump(mode="json") for message in run.messages]
    if packed:  # results of one turn in one message, as its orchestrator hands them on
        messages = list(pack(messages))
    simulation = {
        "id": "1",
        "task_id": task.id,
        "termination_reason": "user_stop",
        "reward_info": {"reward": 1.0},
        "messages": messages,
    }
    wanted = TRACES[number] | {"steps": None}
    assert checked(as_trace(simulation, INFO), RULES) == wanted
    # an agent that was told the solution saw another prompt
    told = {**INFO, "agent_info": {"implementation": "llm_agent_gt"}}
    assert as_trace(simulation, told)["messages"][0]["role"] == "assistant"
    other = {**INFO, "environment_info": {"policy": "Be nice."}}
    with pytest.raises(RejectedTrace, match="another system prompt"):
        checked(as_trace(simulation, other), RULES)
    assert checked(as_trace(simulation, other), TraceRules("tau2", replace_prompt=True)) == wanted


def pack(messages):
    results = []
    for message in messages:
        if message["role"] == "tool":
            results.append(message)
            continue
        if results:
            yield {"role": "tool", "tool_messages": results}
        results = []
        yield message


# --- its own words --------------------------------------------------------------------------------

PLACES = ["", "metadata", "info", "extra_info", "reward_info", "evaluation", "info.reward_info"]


@settings(max_examples=60, deadline=None)
@given(
    number=st.integers(0, len(TRACES) - 1),
    place=st.sampled_from(PLACES),
    word=st.sampled_from(
        [
            *(("reward", value) for value in (0, 0.0, 0.99, "0.5", -1, False)),
            *((name, False) for name in ("success", "Solved", "passed", "is_correct", "resolved")),
            *((name, "failed") for name in ("result", "outcome", "status", "success")),
            *((name, 0) for name in ("final_reward", "total_reward", "Reward", "task_success")),
            ("rewards", [0, 0.5]),
            *(("end", name) for name in EndReason if name not in OFFICIAL_ENDS),
            *(("end", name) for name in ("Max Steps", "TerminationReason.MAX_STEPS", "max-turns")),
            ("finish_reason", "length"),
            ("stop_reason", "max_tokens"),
            ("exit_reason", "exit_cost_limit"),
            ("truncated", True),
            ("termination_reason", "too_many_errors"),
            ("end_reason", "user_error"),
        ]
    ),
    claims=st.booleans(),
)
def test_what_says_that_it_failed_is_not_taught(number, place, word, claims):
    trace = copy.deepcopy(TRACES[number])
    if not claims:
        trace.pop("reward")
        trace.pop("end")
    name, value = word
    *outer, last = [*filter(None, place.split(".")), name]
    inner = trace
    for key in outer:
        inner = inner.setdefault(key, {})
    inner[last] = value
    with pytest.raises(RejectedTrace) as caught:
        checked(as_trace(trace), RULES)
    assert caught.value.kind in ("reward", "end")
    assert name in caught.value.detail or "it ended by" in caught.value.detail


@pytest.mark.parametrize(
    ("words", "taken"),
    [
        # a score may be on another scale than a reward that is there, too
        ({"score": 0.4, "reward": 1}, True),
        ({"score": 0.4, "reward": None}, False),
        ({"score": 87, "reward": None}, True),
        ({"rewards": [0, 0, 1], "reward": None}, True),
        ({"success": "yes", "result": "passed", "status": "stored"}, True),
        # what a reward is made of is no reward, nor is what is said of a server's last answer
        ({"reward_info": {"reward": 1, "action_checks": {"reward": 0}}}, True),
        ({"finish_reason": "stop", "reward": None}, True),
        ({"finish_reason": "tool_calls", "reward": None}, True),
        ({"end": " USER_STOP", "reward": None}, True),
        ({"task": {"status": "failed"}}, True),
    ],
)
def test_other_words_for_the_same(words, taken):
    trace = TRACES[0] | words
    if taken:
        assert checked(as_trace(trace), RULES)["end"] == "user_stop"
        return
    with pytest.raises(RejectedTrace, match=r"score 0\.4"):
        checked(as_trace(trace), RULES)


@pytest.mark.parametrize("stop", ["###STOP###", "###TRANSFER###", "###OUT-OF-SCOPE###"])
def test_the_users_stop_words_are_the_end_and_the_users(stop):
    trace = copy.deepcopy(TRACES[0])
    said = [m for m in trace["messages"][2:] if m["content"] and m["role"] != "tool"]
    for message in said[:-1]:
        whole, message["content"] = message["content"], f"{message['content']} {stop}"
        with pytest.raises(RejectedTrace, match=f"has {stop}") as caught:
            checked(trace, RULES)
        assert caught.value.kind == {"user": "order", "assistant": "markup"}[message["role"]]
        message["content"] = whole
    assert checked(trace, RULES) == TRACES[0]


def test_half_a_character_within_arguments_as_text_is_refused():
    trace = copy.deepcopy(TRACES[0])
    calls_of(trace)[0]["function"]["arguments"] = '{"phone_number": "\\ud83d"}'
    with pytest.raises(RejectedTrace, match=r"arguments.*surrogates not allowed"):
        checked(trace, RULES)


def test_a_word_for_the_end_that_nobody_knows_needs_a_reward():
    trace = TRACES[0] | {"end": "completed"}
    assert checked(trace, RULES)["end"] == "completed"
    with pytest.raises(RejectedTrace, match="it ended by 'completed'"):
        checked(trace | {"reward": None}, RULES)
    assert checked(TRACES[0] | {"reward": None}, RULES)["reward"] is None


# --- calls that cannot be carried out -------------------------------------------------------------

OWNED = {tool["function"]["name"]: tool["function"]["parameters"] for tool in assistant_tools()}
USERS = [tool["function"]["name"] for tool in user_tools()]
STRANGE = ["no_such_tool", "get_bills", "GET_CUSTOMER_BY_ID", "functions.get_customer_by_id", " "]
VALUES = [None, [], {}, "", "text", True, 5, 2.5]


def spoiled(draw_from, parameters):
    """Arguments that do not fit: one missing, one too many, or one of another type."""
    good = {name: example(schema) for name, schema in parameters["properties"].items()}
    name = draw_from(sorted(good))
    way = draw_from(["missing", "more", "type"])
    if way == "missing" and parameters.get("required"):
        good.pop(draw_from(parameters["required"]))
    elif way == "more":
        good["confirm"] = draw_from(VALUES)
    else:
        kind = parameters["properties"][name]["type"]
        fits = {"string": str, "integer": int, "number": (int, float)}[kind]
        good[name] = draw_from(
            [v for v in VALUES if isinstance(v, bool) or not isinstance(v, fits)]
        )
    return good


def example(schema):
    return {"string": "x", "integer": 3, "number": 2.5}[schema["type"]]


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_calls_that_the_agent_cannot_make_are_named(data):
    def draw_from(values):
        return data.draw(st.sampled_from(values))

    trace = copy.deepcopy(TRACES[draw_from(range(len(TRACES)))])
    function = draw_from(calls_of(trace))["function"]
    fault = draw_from(["the user's", "unknown", "arguments"])
    if fault == "arguments":
        function["name"] = draw_from(sorted(OWNED))
        given = spoiled(draw_from, OWNED[function["name"]])
        function["arguments"] = json.dumps(given) if draw_from([True, False]) else given
    else:
        function["name"] = draw_from(USERS if fault == "the user's" else STRANGE)
    with pytest.raises(RejectedTrace) as caught:
        checked(as_trace(trace), RULES)
    kind = "arguments" if fault == "arguments" else "tools"
    assert caught.value.kind == kind and function["name"] in caught.value.detail
    assert "message " in caught.value.detail and "\n" not in caught.value.detail
    if fault == "the user's":
        assert "the user's tool" in caught.value.detail
    if fault == "unknown":
        assert "does not exist" in caught.value.detail


@pytest.mark.parametrize("name", sorted(OWNED))
def test_calls_that_fit_pass(name):
    trace = copy.deepcopy(TRACES[0])
    good = {key: example(schema) for key, schema in OWNED[name]["properties"].items()}
    for optional in good.keys() - set(OWNED[name]["required"]):
        good.pop(optional)
    calls_of(trace)[0]["function"] |= {"name": name, "arguments": good}
    assert checked(as_trace(trace), RULES)


@pytest.mark.parametrize(
    "arguments", ['{"gb_amount": NaN}', "[" * 100_000, "null", "[]", '"{}"', "", 5, None, [{}]]
)
def test_arguments_that_are_no_object(arguments):
    trace = copy.deepcopy(TRACES[0])
    calls_of(trace)[0]["function"]["arguments"] = arguments
    with pytest.raises(RejectedTrace) as caught:
        checked(as_trace(trace), RULES)
    assert caught.value.kind == "schema"


@pytest.mark.parametrize(
    "said",
    [
        '<tool_call>{"name": "enable_roaming"}</tool_call>',
        "First I look him up.</think>How can I help?",
        "enable_roaming(customer_id='C1001', line_id='L1002')",
        '{"name": "toggle_data", "arguments": {}}',
        "Done.<|im_end|>",
    ],
)
def test_markup_is_not_taught_as_words(said):
    trace = copy.deepcopy(TRACES[0])
    spoken = [m for m in trace["messages"][2:] if m["role"] == "assistant" and m["content"]]
    spoken[0]["content"] = said
    with pytest.raises(RejectedTrace, match="markup: message") as caught:
        checked(trace, RULES)
    assert "server" not in str(caught.value)  # there may be none
    if "|im_end|" not in said:
        with pytest.raises(RejectedTrace, match="start the model's server with its"):
            checked(trace, replace(RULES, served=True))


@pytest.mark.parametrize("row", [None, 3, "x", [], {}, {"messages": "{"}, {"messages": [[], 5]}])
def test_what_is_no_trace_is_rejected_not_raised(row):
    with pytest.raises(RejectedTrace, match="schema"):
        checked(as_trace(row), RULES)
