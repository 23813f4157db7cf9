"""Let a teacher solve tasks and keep what it solved, one conversation a line.

A line holds `messages` and `tools` as SFT trainers expect them, and `task_id`, `reward`, `steps`.
Only episodes with official reward 1 are kept; the others are listed. The first message is the
system prompt that the trained model will see (`--prompt`), the second tau2's greeting, which is not
the model's own.

A teacher or a user that is a language model costs money, so nothing is asked for twice: every
finished episode is a line of OUTPUT.attempts.jsonl, every call one of OUTPUT.teacher_calls.jsonl
(or user_calls), and a job that was stopped resumes where it was. OUTPUT.usage.json has the sums.
Such a teacher gets several attempts a task; its first good one is kept.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tau2_agent import cli
from tau2_agent.benchmark.environment import prompt_tools, system_prompt
from tau2_agent.benchmark.tasks import get_task, read_task_file
from tau2_agent.config.program_options import add, add_language_model, add_user
from tau2_agent.errors import InputError
from tau2_agent.files import write_jsonl
from tau2_agent.reward.scoring import score
from tau2_agent.rollout.episode import run_episode
from tau2_agent.rollout.trajectory import INFRASTRUCTURE_ENDS, agent_view, as_chat
from tau2_agent.teachers.baselines import AGENTS, make_agent
from tau2_agent.users import registry as users
from tau2_agent.users.registry import Users


async def trace(
    task_id: str, teacher: str, users: Users, prompt: str, wording: int = 0
) -> dict[str, Any]:
    """One episode of a free teacher as a trace line, with its reward and how it ended.

    wording: the number of the user's draw, which decides its words where they vary.
    """
    task = get_task(task_id)
    trajectory = await run_episode(task, make_agent(teacher), users.make(task, str(wording)))
    reward = 0.0
    if trajectory.end not in INFRASTRUCTURE_ENDS:
        reward = score(trajectory, task).reward
    system = {"role": "system", "content": system_prompt(prompt)}
    return {
        "task_id": task_id,
        "reward": reward,
        "end": trajectory.end.value,
        "steps": trajectory.steps,
        "messages": [system, *map(as_chat, agent_view(trajectory.messages))],
        "tools": prompt_tools(prompt),
    }


async def free_traces(task_ids: list[str], users: Users, args) -> list[dict[str, Any]]:
    """The traces that a teacher made of code makes with a user made of code."""
    rows = [
        await trace(task_id, args.teacher, users, args.prompt, wording)
        for wording in range(args.wordings)
        for task_id in task_ids
    ]
    for row in rows:
        if row["reward"] != 1.0:
            print(f"not solved ({row['end']}), left out: {row['task_id']}")
    return [row for row in rows if row["reward"] == 1.0]


def main(argv: list[str] | None = None) -> int:
    parser = cli.parser(__doc__)
    parser.add_argument("--tasks", type=Path, required=True, help="task file (tau2_mock.py)")
    parser.add_argument(
        "--output", type=cli.file_to_write, required=True, help="trace file to write"
    )
    parser.add_argument(
        "--teacher",
        default="scripted",
        choices=[*AGENTS, "llm"],
        help="who plays the agent; llm: a model",
    )
    add(parser, "traces.wordings prompt seed", "slime")
    llm = parser.add_argument_group("a teacher or a user that is a language model")
    add_language_model(llm, "traces", "teacher-")
    add(llm, "traces.attempts traces.concurrency traces.max_length", "slime")
    llm.add_argument("--tokenizer", type=Path, help="trained model, whose tokens are counted")
    add_user(parser, trains=True)
    args = parser.parse_args(argv)
    if args.teacher == "llm" and not args.teacher_model:
        parser.error("--teacher llm needs --teacher-model")
    if (args.tokenizer is None) != (args.max_length is None):
        parser.error("--tokenizer and --max-length go together: tokens are the model's")

    task_ids = [row.task_id for row in read_task_file(args.tasks)]
    simulators = users.from_options(args, args.seed)
    played = len(task_ids)
    if args.teacher == "llm" or simulators.needs_llm:
        from tau2_agent.teachers.collection import paid_traces

        kept = paid_traces(task_ids, simulators, args)
    else:
        played *= args.wordings
        kept = asyncio.run(free_traces(task_ids, simulators, args))
    if not kept:
        raise InputError(
            f"{args.tasks}: the teacher {args.teacher!r} solved none of {len(task_ids)} tasks in a "
            "way that can be learnt from; the lines above say why"
        )
    write_jsonl(args.output, kept)
    print(f"kept {len(kept)} of {played} episodes in {args.output}")
    return 0


if __name__ == "__main__":
    cli.run(main)
