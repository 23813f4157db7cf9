"""A language model reviews failed episodes; how far it agrees with people is always said."""

from __future__ import annotations

import gzip
import json

import pytest
from fake_openai import FakeOpenAI, says

import review_episodes
from tau2_agent.benchmark.environment import domain_policy
from tau2_agent.errors import InputError
from tau2_agent.evaluation.review import Label, Review, agreement, read, request
from tau2_agent.rollout.trajectory import JobStop

LABELLED = review_episodes.read_conversations(review_episodes.LABELLED)


def error(source="agent", severity="critical", turn_idx=2, tags=("other",)):
    return {
        "source": source,
        "error_tags": list(tags),
        "severity": severity,
        "turn_idx": turn_idx,
        "reasoning": "It did.",
        "correct_behavior": "Not to.",
    }


def answer(*errors):
    return says(json.dumps({"errors": list(errors), "summary": "So it went."}))


def right(request):
    """A reviewer that finds what the person found."""
    text = request["messages"][1]["content"]
    for one in LABELLED:
        if text == review_request(one):
            label = one.label
            return answer(
                error("agent", "minor", 0),
                error(label.fault, label.severity, label.first_critical, label.error_tags),
            )
    return answer(error("user", "critical_helped", 1, ["hallucination", "other"]))


def review_request(conversation):
    return request(conversation)[1]["content"]


def run(tmp_path, server, *more):
    output = tmp_path / "review.json"
    arguments = ["--model", "openai/stand-in", "--api-base", server.url, "--output", str(output)]
    review_episodes.main([*arguments, *map(str, more)])
    return json.loads(output.read_text(encoding="utf-8"))


def conversation(**more):
    messages = [
        {"role": "assistant", "content": "Hi! How can I help you today?"},
        {"role": "user", "content": "My phone is dead."},
        {"role": "assistant", "tool_calls": [{"name": "get_bills", "arguments": {"x": "é"}}]},
        {"role": "tool", "content": "No such tool", "requestor": "assistant", "error": True},
    ]
    given = {"task_id": LABELLED[0].task_id, "reward": 0.0, "end": "max_steps"}
    return given | {"messages": messages} | more


def write(path, *rows):
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(lines.encode()))
    else:
        path.write_text(lines, encoding="utf-8")
    return path


# --- the handful ----------------------------------------------------------------------------------


def test_labels_point_at_messages_of_whom_they_blame() -> None:
    assert len(LABELLED) >= 8 and {c.label.fault for c in LABELLED} == {"agent", "user"}
    for one in LABELLED:
        role = {"agent": "assistant", "user": "user"}[one.label.fault]
        assert one.messages[one.label.first_critical]["role"] == role
        assert one.reward == 0.0 and one.label.reasoning


def test_a_reviewer_that_agrees(tmp_path, capsys) -> None:
    with FakeOpenAI(right) as server:
        made = run(tmp_path, server)
        assert len(server.requests) == len(LABELLED)
    known = made["agreement_with_labels"]
    assert (known["same_fault"], known["kappa"], known["same_message"]) == (1.0, 1.0, 1.0)
    assert (made["reviewed"], made["faults"]) == (0, {})  # the handful is nobody's result
    assert "same fault 1.000, Cohen's kappa 1.000" in capsys.readouterr().out


def test_a_reviewer_that_blames_the_agent_for_all(tmp_path) -> None:
    with FakeOpenAI(lambda request: answer(error())) as server:
        known = run(tmp_path, server)["agreement_with_labels"]
    assert known["same_fault"] == 0.5 and known["kappa"] == 0.0


# --- what is asked, and what counts ---------------------------------------------------------------


def test_it_sees_both_sides_and_the_rules() -> None:
    user = next(c for c in LABELLED if any(m.get("requestor") == "user" for m in c.messages))
    system, asked = (message["content"] for message in request(user))
    assert "critical_hindered" in system and "{{" not in system
    for part in (domain_policy(), "###STOP###", "check_network_status(", "response to the User"):
        assert part in asked
    assert f"[{len(user.messages) - 1}] " in asked


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_failed_episodes_are_counted_by_fault(tmp_path, name) -> None:
    other = LABELLED[1].task_id
    rows = [conversation(), conversation(trial=1), conversation(task_id=other, reward=1.0)]
    source = write(tmp_path / name, *rows, conversation(trial=1, end="user_stop"))
    with FakeOpenAI(right) as server:
        made = run(tmp_path, server, "--conversations", source)
        # Two trials with one conversation are asked once.
        assert len(server.requests) == len(LABELLED) + 1
        assert run(tmp_path, server, "--conversations", source, "--all")["reviewed"] == 3
        assert len(server.requests) == len(LABELLED) + 2
    assert (made["reviewed"], made["without_review"]) == (2, 0)
    assert made["faults"] == {"user": 2}
    assert made["errors"] == {"user, critical_helped": 2}
    assert made["tags"] == {"user, hallucination": 2, "user, other": 2}
    assert [e["end"] for e in made["episodes"][-2:]] == ["max_steps", "user_stop"]


@pytest.mark.parametrize(
    "said",
    [
        "I would say the agent.",
        '{"errors": "none"}',
        '{"summary": "fine"}',
        json.dumps({"errors": [error(severity="critical_helped")]}),
        json.dumps({"errors": [error(source="user")]}),
        json.dumps({"errors": [error(turn_idx=4)]}),
        json.dumps({"errors": [error(tags=[])]}),
        "",
    ],
)
def test_what_is_no_review_is_asked_again_and_never_no_error(tmp_path, said) -> None:
    with pytest.raises(ValueError):
        read(said, 4)
    source = write(tmp_path / "a.jsonl", conversation())
    mine = 0

    def say(request):
        nonlocal mine
        if "My phone is dead." in request["messages"][1]["content"]:
            mine += 1
            return says(said)
        return right(request)

    with FakeOpenAI(say) as server:
        made = run(tmp_path, server, "--conversations", source)
    assert mine == 3
    assert (made["reviewed"], made["without_review"], made["faults"]) == (0, 1, {})


@pytest.mark.parametrize(
    "dress", ["{}", "```json\n{}\n```", "Here:\n```\n{}\n```\nDone.", "Hm {{x}}.</think>\n{}"]
)
def test_reviews_in_any_dress(dress) -> None:
    plain = answer(error("user", "critical_hindered", 3), error("agent", "critical", 1))["content"]
    found = read(dress.replace("{}", plain).replace("{{x}}", "{x}"), 4)
    assert (found.fault, found.first_critical) == ("agent", 1)
    assert read('{"errors": []}', 4).fault == "none"


@pytest.mark.parametrize("name", ["fingerprint", "run"])  # the second in earlier versions
def test_a_run_goes_on_without_paying_twice(tmp_path, name) -> None:
    broken = FakeOpenAI(right, faults=lambda number: 401 if number >= 3 else None)
    with broken as server, pytest.raises(JobStop, match="the reviewer: refused"):
        run(tmp_path, server, "--concurrency", 1)
    with open(tmp_path / "review.reviews.jsonl", "a", encoding="utf-8") as stream:
        stream.write('{"fingerprint": "cut')
    for file in tmp_path.glob("*.jsonl"):
        file.write_text(file.read_text().replace('"fingerprint":', f'"{name}":'))
    with FakeOpenAI(right) as server:
        made = run(tmp_path, server)
        assert len(server.requests) == len(LABELLED) - 3
    assert made["agreement_with_labels"]["conversations"] == len(LABELLED)
    assert made["usage"]["calls"] == len(LABELLED)


def test_the_reviewer_s_options_in_another_order_are_no_other_reviewer(tmp_path) -> None:
    with FakeOpenAI(right) as server:
        run(tmp_path, server, "--options", '{"top_p": 0.5, "seed": 1}')
        paid = len(server.requests)
        run(tmp_path, server, "--options", '{"seed": 1, "top_p": 0.5}')
        assert len(server.requests) == paid
        run(tmp_path, server, "--options", '{"seed": 2, "top_p": 0.5}')
        assert len(server.requests) == 2 * paid


def test_files_without_conversations(tmp_path) -> None:
    bare = write(tmp_path / "a.jsonl", conversation(), {"task_id": "x", "messages": None})
    with pytest.raises(InputError, match=r"a.jsonl, line 2: no conversation with its messages"):
        review_episodes.read_conversations(bare)
    (tmp_path / "b.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match="cannot be read"):
        review_episodes.read_conversations(tmp_path / "b.jsonl.gz")


def test_agreement_over_counts() -> None:
    def label(fault):
        return Label(fault=fault, first_critical=2)

    def found(source):
        severity = "critical" if source == "agent" else "critical_hindered"
        return Review.model_validate({"errors": [error(source, severity)]})

    agent, user = (label("agent"), found("agent")), (label("user"), found("user"))
    crossed = (label("agent"), found("user"))
    both = agreement([agent] * 4 + [user] * 4 + [crossed] * 2)
    assert both.same_fault == 0.8 and both.same_message == 1.0
    assert both.kappa == pytest.approx((0.8 - 0.48) / 0.52)  # chance: 0.6 × 0.4 + 0.4 × 0.6
    assert agreement([]).kappa is None
