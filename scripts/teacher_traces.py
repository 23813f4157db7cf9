"""Let a teacher solve tasks and keep what it solved, one conversation a line.

A line holds `messages` and `tools` as SFT trainers expect them, and `task_id`, `reward`, `steps`.
Only episodes with official reward 1 are kept; the others are listed. The first message is the
system prompt that the trained model will see (`--prompt`), the second tau2's greeting, which is not
the model's own.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tau2_agent import command
from tau2_agent.baselines import make_agent
from tau2_agent.environment import PROMPTS, prompt_tools, system_prompt
from tau2_agent.episode import run_episode
from tau2_agent.files import write_jsonl
from tau2_agent.scoring import score
from tau2_agent.tasks import get_task, read_task_file
from tau2_agent.trajectory import INFRASTRUCTURE_ENDS, agent_view, as_chat
from tau2_agent.users import make_user


async def trace(task_id: str, teacher: str, user: str, prompt: str) -> dict[str, Any]:
    """One episode of the teacher as a trace line, with the reward it got and how it ended."""
    task = get_task(task_id)
    trajectory = await run_episode(task, make_agent(teacher), make_user(user, task))
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


async def all_traces(task_ids: list[str], args) -> list[dict[str, Any]]:
    return [await trace(task_id, args.teacher, args.user, args.prompt) for task_id in task_ids]


def main() -> int:
    parser = command.parser(__doc__)
    parser.add_argument("--tasks", type=Path, required=True, help="task file (tau2_mock.py)")
    parser.add_argument("--output", type=Path, required=True, help="trace file to write")
    parser.add_argument("--teacher", default="scripted", help="who plays the agent")
    parser.add_argument("--user", default="scripted", help="who plays the customer")
    parser.add_argument("--prompt", default="tau2", choices=PROMPTS, help="the system prompt")
    args = parser.parse_args()

    task_ids = [row.task_id for row in read_task_file(args.tasks)]
    rows = asyncio.run(all_traces(task_ids, args))
    kept = [row for row in rows if row["reward"] == 1.0]
    for row in rows:
        if row["reward"] != 1.0:
            print(f"not solved ({row['end']}), left out: {row['task_id']}")
    if not kept:
        raise command.InputError(
            f"{args.tasks}: the teacher {args.teacher!r} solved none of {len(rows)} tasks"
        )
    write_jsonl(args.output, kept)
    print(f"kept {len(kept)} of {len(rows)} episodes in {args.output}")
    return 0


if __name__ == "__main__":
    command.run(main)
