"""Traces that import_traces.py is given, and what it makes of them."""

from __future__ import annotations

import json

import import_traces
from tau2_agent.benchmark.environment import prompt_tools, system_prompt
from tau2_agent.files import read_jsonl
from tau2_agent.rollout.trajectory import agent_view, as_chat


def as_trace(task, run, prompt="short"):
    system = {"role": "system", "content": system_prompt(prompt)}
    return {
        "task_id": task.id,
        "reward": 1.0,
        "end": run.end.value,
        "steps": run.steps,
        "messages": [system, *map(as_chat, agent_view(run.messages))],
        "tools": prompt_tools(prompt),
    }


def write(path, rows):
    text = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(f"{line}\n" for line in text))
    return path


def run(source, tmp_path, *more):
    output = tmp_path / "traces.jsonl"
    arguments = ["--source", str(source), "--output", str(output), "--prompt", "short", *more]
    import_traces.main(arguments)
    return list(read_jsonl(output))


def rejected(tmp_path):
    return list(read_jsonl(tmp_path / "traces.rejected.jsonl"))
