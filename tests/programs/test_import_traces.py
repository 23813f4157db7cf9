"""Traces from elsewhere: what is taken, what is rejected and why."""

from __future__ import annotations

import copy
import json

import pytest
from imported import rejected, run, write

from tau2_agent.benchmark.environment import prompt_tools, system_prompt
from tau2_agent.errors import InputError
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.teachers.trace_checks import RejectedTrace, TraceRules, checked


@pytest.fixture
def trace(solved):
    return copy.deepcopy(solved[0])


SHORT = TraceRules("short")


# --- one trace -----------------------------------------------------------------------------------


def test_what_the_teacher_wrote_passes_unchanged(solved) -> None:
    assert [checked(row, SHORT) for row in solved] == solved


def calls(trace):
    return next(m for m in trace["messages"] if m.get("tool_calls"))


def first(trace, role):
    return next(i for i, m in enumerate(trace["messages"]) if m["role"] == role)


def arguments(value):
    return lambda t: calls(t)["tool_calls"][0]["function"].update(arguments=value)


FAULTS = {
    "no messages": (lambda t: t.pop("messages"), "schema", "messages: Field required"),
    "unknown role": (lambda t: t["messages"][2].update(role="customer"), "schema", "customer"),
    "content of parts": (lambda t: t["messages"][2].update(content=[]), "schema", "valid string"),
    "silent assistant": (
        lambda t: t["messages"][3].update(content=" "),
        "schema",
        "neither text nor a tool call",
    ),
    "arguments cut": (arguments('{"phone_number": "555'), "schema", "no JSON"),
    "arguments no object": (arguments('"555"'), "schema", "valid dict"),
    "reward no number": (lambda t: t.update(reward=float("nan")), "schema", "finite"),
    "no task id": (lambda t: t.pop("task_id"), "task_id", "no task_id"),
    "unknown task": (lambda t: t.update(task_id="[x]y[PERSONA:None]"), "task_id", "no task has"),
    "not solved": (lambda t: t.update(reward=0.0), "reward", "only solved"),
    "other system prompt": (
        lambda t: t["messages"][0].update(content="You are a cat."),
        "prompt",
        "another system prompt",
    ),
    "no system prompt": (lambda t: t["messages"].pop(0), "prompt", "another system prompt"),
    "no greeting": (lambda t: t["messages"].pop(1), "prompt", "greeting"),
    "other tools": (lambda t: t.update(tools=[{"type": "function"}]), "prompt", "tool schemas"),
    "two of the user": (
        lambda t: t["messages"].insert(2, {"role": "user", "content": "Hello?"}),
        "order",
        "message 4 is of user, expected assistant",
    ),
    "call not answered": (
        lambda t: t["messages"].pop(first(t, "tool")),
        "order",
        "is of assistant, expected tool",
    ),
    "ends with a call": (
        lambda t: t.update(messages=t["messages"][: first(t, "tool")]),
        "tool_calls",
        "no answer to the tool call 'call_1'",
    ),
    "answers another call": (
        lambda t: t["messages"][first(t, "tool")].update(tool_call_id="call_9"),
        "tool_calls",
        "answers 'call_9', 'call_1' is to be answered",
    ),
    "one id twice": (
        lambda t: calls(t)["tool_calls"].append(calls(t)["tool_calls"][0]),
        "tool_calls",
        "uses a tool call id twice",
    ),
    "only the greeting": (
        lambda t: t.update(messages=t["messages"][:3]),
        "no_assistant_turn",
        "after the greeting",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_named(trace, name) -> None:
    spoil, kind, part = FAULTS[name]
    spoil(trace)
    with pytest.raises(RejectedTrace) as caught:
        checked(trace, SHORT)
    assert caught.value.kind == kind
    assert part in caught.value.detail


@pytest.mark.parametrize("row", [None, [], "text", 1])
def test_line_that_is_no_object(row) -> None:
    with pytest.raises(RejectedTrace, match="schema"):
        checked(row, SHORT)


def test_length_is_counted_with_the_models_own_tokenizer(trace, tokenizer) -> None:
    codec = ChatCodec(tokenizer)
    length = len(codec.trace(trace["messages"], trace["tools"]).ids)
    assert checked(trace, TraceRules("short", codec=codec, max_length=length)) == trace
    with pytest.raises(RejectedTrace, match=f"length: {length} tokens, at most {length - 1}"):
        checked(trace, TraceRules("short", codec=codec, max_length=length - 1))


def test_prompt_tools_and_greeting_can_be_replaced(trace) -> None:
    rules = TraceRules("tau2", replace_prompt=True)
    wanted = [{"role": "system", "content": system_prompt("tau2")}, *trace["messages"][1:]]
    bare = trace | {"messages": trace["messages"][2:]}
    greeted = trace | {
        "messages": [{"role": "assistant", "content": "Hello!"}, *trace["messages"][2:]]
    }
    bare.pop("tools")
    for row in (trace, bare, greeted):
        taken = checked(row, rules)
        assert taken["messages"] == wanted
        assert taken["tools"] == prompt_tools("tau2")
    # What opens with work instead of a greeting cannot be mended.
    called = trace | {"messages": trace["messages"][first(trace, "tool") - 1 :]}
    with pytest.raises(RejectedTrace, match="message 3 is of assistant, expected user"):
        checked(called, rules)


def test_other_forms_of_the_same_trace_become_one(trace) -> None:
    other = copy.deepcopy(trace)
    other["metadata"] = {"task_id": other.pop("task_id")}
    for message in other["messages"]:
        message["name"] = None
        for call in message.setdefault("tool_calls", None) or []:
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
            message["content"] = None
    assert checked(other, SHORT) == trace


# --- files ---------------------------------------------------------------------------------------


def test_every_rejected_line_is_reported_with_its_number(solved, tmp_path, capsys) -> None:
    unsolved = solved[3] | {"reward": 0.25}
    rows = [*solved[:10], "{cut", "", unsolved, solved[0], "nonsense"]
    source = write(tmp_path / "in.jsonl", rows)
    assert run(source, tmp_path, "--max-rejected-share", "0.5") == solved[:10]
    found = rejected(tmp_path)
    assert [(row["line"], row["reason"]) for row in found] == [
        (11, "json"),
        (13, "reward"),
        (14, "duplicate"),
        (15, "json"),
    ]
    assert found[0]["detail"].startswith("not valid JSON (Expecting property name")
    assert "line 1" in found[2]["detail"]
    assert found[1]["task_id"] == solved[3]["task_id"]
    text = capsys.readouterr().out
    assert "in.jsonl, line 13: reward: reward 0.25" in text
    assert "rejected 4 of 14 lines (2 json, 1 reward, 1 duplicate)" in text
    source = json.loads((tmp_path / "traces.source.json").read_text())
    assert (source["kept"], source["rejected"]) == (10, 4)


def test_bytes_that_are_no_text_are_lines_too(solved, tmp_path) -> None:
    path = tmp_path / "in.jsonl"
    good = "".join(json.dumps(row) + "\n" for row in solved)
    half = json.dumps(solved[0] | {"end": "\ud800"})
    path.write_bytes(good.encode() + b"\xff\xfe\n" + b"[" * 200_000 + b"\n" + half.encode() + b"\n")
    assert run(path, tmp_path, "--max-rejected-share", "0.2") == solved
    found = rejected(tmp_path)
    assert [(row["line"], row["reason"]) for row in found] == [(n, "json") for n in (21, 22, 23)]


def test_too_much_rejected_is_an_error_and_writes_nothing_else(solved, tmp_path) -> None:
    source = write(tmp_path / "in.jsonl", [*solved[:8], "{", "{"])
    with pytest.raises(InputError, match=r"2 of 10 lines .* traces.max_rejected_share 0\.1\."):
        run(source, tmp_path)
    assert len(rejected(tmp_path)) == 2
    assert not (tmp_path / "traces.jsonl").exists()
    # At the limit it passes.
    assert len(run(source, tmp_path, "--max-rejected-share", "0.2")) == 8


def test_nothing_left_is_an_error_whatever_the_share(tmp_path) -> None:
    source = write(tmp_path / "in.jsonl", ["{", "[]"])
    with pytest.raises(InputError, match=r"no trace of .* can be trained on \(1 json, 1 schema\)"):
        run(source, tmp_path, "--max-rejected-share", "1")


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda path: None, "is not there"),
        (lambda path: path.write_text("\n"), "holds no trace"),
        (lambda path: path.mkdir(), "has no"),
    ],
)
def test_source_without_traces(tmp_path, make, part) -> None:
    make(tmp_path / "in")
    with pytest.raises(InputError, match=part):
        run(tmp_path / "in", tmp_path)


def test_folder_of_files(solved, tmp_path) -> None:
    folder = tmp_path / "set" / "data"
    folder.mkdir(parents=True)
    write(folder / "a.jsonl", solved[:2])
    write(folder / "b.jsonl", [*solved[2:12], solved[0]])
    assert run(tmp_path / "set", tmp_path) == solved[:12]
    assert rejected(tmp_path)[0]["file"] == "data/b.jsonl"


def test_parquet(solved, tmp_path) -> None:
    import pandas

    rows = [row | {"tools": None} for row in solved]  # an empty struct has no Parquet type
    pandas.DataFrame(rows).to_parquet(tmp_path / "in.parquet")
    assert run(tmp_path / "in.parquet", tmp_path) == solved
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "in.parquet").read_bytes()[:500])
    with pytest.raises(InputError, match=r"cut.parquet cannot be read as Parquet"):
        run(tmp_path / "cut.parquet", tmp_path)


def test_reward_that_is_not_said_is_noted(solved, tmp_path, capsys) -> None:
    rows = [{k: v for k, v in row.items() if k != "reward"} for row in solved]
    assert len(run(write(tmp_path / "in.jsonl", rows), tmp_path)) == len(rows)
    assert f"{len(rows)} traces do not say their reward" in capsys.readouterr().out


def test_tokenizer_and_length_go_together(tmp_path) -> None:
    with pytest.raises(InputError, match="go together"):
        run(tmp_path, tmp_path, "--max-length", "10")


# --- what a file is, its content says -------------------------------------------------------------


@pytest.mark.parametrize("name", ["in.jsonl", "in.json", "in.txt"])
@pytest.mark.parametrize("indent", [None, 0, 2])
def test_a_json_array(solved, tmp_path, name, indent, capsys) -> None:
    rows = [*solved, solved[0] | {"reward": 0}]
    (tmp_path / name).write_text(json.dumps(rows, indent=indent), encoding="utf-8")
    assert run(tmp_path / name, tmp_path) == solved
    text = capsys.readouterr().out
    assert f"{name}: 21 conversations, read as a JSON array or object" in text
    assert f"rejected: {name}, entry 21: reward: reward 0" in text


def test_an_array_with_an_object_a_line(solved, tmp_path) -> None:
    lines = ",\n".join(json.dumps(row) for row in solved)
    (tmp_path / "in.json").write_text(f"[{lines}]\n", encoding="utf-8")
    assert run(tmp_path / "in.json", tmp_path) == solved


def test_one_trace_on_several_lines(solved, tmp_path) -> None:
    (tmp_path / "in.json").write_text(json.dumps(solved[0], indent=1), encoding="utf-8")
    assert run(tmp_path / "in.json", tmp_path) == solved[:1]


def test_a_byte_order_mark_is_no_fault(solved, tmp_path) -> None:
    text = "".join(json.dumps(row) + "\n" for row in solved)
    (tmp_path / "in.jsonl").write_text(text, encoding="utf-8-sig")
    assert run(tmp_path / "in.jsonl", tmp_path) == solved


def test_what_is_neither_lines_nor_an_array_is_told_apart(solved, tmp_path) -> None:
    array = json.dumps(solved[:3], indent=1)
    (tmp_path / "cut.json").write_text(array[:-200], encoding="utf-8")
    with pytest.raises(InputError, match=r"cut.json begins as a JSON array, but line \d+"):
        run(tmp_path / "cut.json", tmp_path)
    objects = "\n".join(json.dumps(row, indent=1) for row in solved[:3])
    (tmp_path / "many.json").write_text(objects, encoding="utf-8")
    with pytest.raises(InputError, match="several lines one after another; write one object a"):
        run(tmp_path / "many.json", tmp_path)


def test_an_array_over_lines_may_begin_with_a_byte_order_mark(solved, tmp_path) -> None:
    source = tmp_path / "source.json"
    source.write_text(json.dumps(solved[:2], indent=1), encoding="utf-8-sig")
    assert run(source, tmp_path) == solved[:2]
