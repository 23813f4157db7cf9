"""Trajectory -> Score: tau2's official reward, the checks behind it, and the partial score.

The reward equals tau2's `evaluate_simulation` on every episode that tau2 can evaluate. tau2 builds
two environments and replays the whole episode in one of them; here the assertions run on the
environment in which the episode took place, which is a hundred times cheaper. Two things are
added: the checks are computed also for an episode that was cut off (tau2 leaves them out and
scores 0), and each check carries the flag that partial credit goes by (see
`tau2_reward_shaping.compute_partial_score`).

Left out: `db_check`, which is meaningless in telecom (gold replays fail it) and in no task's
reward basis, and tau2's LLM judge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tau2.data_model.message import Message, ToolCall
from tau2.data_model.tasks import Action, EnvAssertion, RewardType, Task
from tau2.domains.telecom.environment import TelecomEnvironment

from tau2_agent.benchmark.environment import make_environment
from tau2_agent.reward.action_checks import ExecutedCall, carried_out, executed_calls
from tau2_agent.rollout.trajectory import INFRASTRUCTURE_ENDS, OFFICIAL_ENDS, Trajectory
from tau2_reward_shaping import PartialWeights, compute_partial_score

DEFAULT_WEIGHTS = PartialWeights()
_BASES = {RewardType.ENV_ASSERTION, RewardType.ACTION, RewardType.COMMUNICATE}

# task id -> (the task, its assertions that hold before the first message)
_HELD_AT_START: dict[str, tuple[Task, list[bool]]] = {}


@dataclass(frozen=True)
class Score:
    """The score of one episode.

    `reward` is tau2's, 0.0 or 1.0; `partial` lies in [0, 1]. `reward_info` has the form of
    tau2's `RewardInfo.model_dump(mode="json")`, plus "verified" on each entry of `action_checks`
    and "held_at_start" on each entry of `env_assertions`.
    """

    reward: float
    partial: float
    reward_info: dict[str, Any]


def score(trajectory: Trajectory, task: Task, weights: PartialWeights = DEFAULT_WEIGHTS) -> Score:
    """Score an episode by the final state of its environment, which is left as it is.

    A trajectory without an environment (read from a file) is replayed. The reward is 0 for every
    end but tau2's `OFFICIAL_ENDS`; the checks are computed for all. Raises ValueError for
    `INFRASTRUCTURE_ENDS`, which are nobody's score, for another task's trajectory, and for a task
    whose reward basis telecom does not have.
    """
    if trajectory.end in INFRASTRUCTURE_ENDS:
        raise ValueError(
            f"{task.id}: ended with {trajectory.end.value}; retry such an episode or leave it "
            "out, but do not score it"
        )
    if trajectory.task_id != task.id:
        raise ValueError(f"a trajectory of {trajectory.task_id} cannot be scored as {task.id}")
    criteria = task.evaluation_criteria
    if criteria is None or not set(criteria.reward_basis) <= _BASES:
        raise ValueError(
            f"{task.id}: reward basis {criteria and criteria.reward_basis} is not one of "
            f"{sorted(basis.value for basis in _BASES)}; use tau2's evaluator"
        )
    environment = trajectory.environment or replay(task, trajectory.messages)

    # Sources: EnvironmentEvaluator, ActionEvaluator and CommunicateEvaluator of tau2.evaluator.
    met = _run_assertions(environment, criteria.env_assertions or [])
    action_checks = _check_actions(
        criteria.actions or [], executed_calls(trajectory.messages), environment
    )
    communicated, communicate_checks = _check_communication(task, trajectory.messages)

    breakdown = {}
    if RewardType.ENV_ASSERTION in criteria.reward_basis:
        breakdown[RewardType.ENV_ASSERTION.value] = float(all(met))
    if RewardType.ACTION in criteria.reward_basis:
        breakdown[RewardType.ACTION.value] = float(
            all(check["action_match"] for check in action_checks)
        )
    if RewardType.COMMUNICATE in criteria.reward_basis:
        breakdown[RewardType.COMMUNICATE.value] = communicated
    official = trajectory.end in OFFICIAL_ENDS
    reward = float(official and all(breakdown.values()))
    ended = f"Simulation terminated prematurely. Termination reason: {trajectory.end.value}"
    reward_info = {
        "reward": reward,
        "db_check": None,
        "env_assertions": [
            {
                "env_assertion": assertion.model_dump(mode="json"),
                "met": holds,
                "reward": float(holds),
                "held_at_start": held,
            }
            for assertion, holds, held in zip(
                criteria.env_assertions or [], met, _held_at_start(task), strict=True
            )
        ],
        "action_checks": action_checks or None,
        "nl_assertions": None,
        "communicate_checks": communicate_checks or None,
        "reward_basis": [basis.value for basis in criteria.reward_basis] if official else None,
        "reward_breakdown": breakdown if official else None,
        "info": None if official else {"note": ended},
    }
    return Score(reward, compute_partial_score(reward_info, weights), reward_info)


def replay(task: Task, messages: list[Message]) -> TelecomEnvironment:
    """Carry out the calls of an episode in a fresh environment and return it.

    Results are not compared with the recorded ones: tau2 draws random bill ids.
    """
    environment = make_environment(task)
    for executed in executed_calls(messages):
        environment.get_response(executed.call)
    return environment


def _run_assertions(environment: TelecomEnvironment, assertions: list[EnvAssertion]) -> list[bool]:
    # As tau2 does after its replay. Idempotent, and an episode syncs after every step anyway.
    environment.sync_tools()
    return [assertion_holds(environment, assertion) for assertion in assertions]


def assertion_holds(environment: TelecomEnvironment, assertion: EnvAssertion) -> bool:
    """Whether an assertion holds now; False for one that the state makes impossible to ask."""
    # A malformed call can break the phone itself, set_apn_settings(None) for one. tau2's evaluator
    # raises then and the simulation is lost; an episode of training must have a score.
    try:
        return environment.run_env_assertion(assertion, raise_assertion_error=False)
    except Exception:
        return False


def _held_at_start(task: Task) -> list[bool]:
    known = _HELD_AT_START.get(task.id)
    if known is None or known[0] is not task:
        held = _run_assertions(
            make_environment(task), task.evaluation_criteria.env_assertions or []
        )
        known = _HELD_AT_START[task.id] = (task, held)
    return known[1]


def _check_communication(task: Task, messages: list[Message]) -> tuple[float, list[dict[str, Any]]]:
    """tau2's reward and checks for what an agent had to say: no task of telecom has any."""
    if not task.evaluation_criteria.communicate_info:
        return 1.0, []
    from tau2.evaluator.evaluator_communicate import CommunicateEvaluator  # imports pandas

    found = CommunicateEvaluator.calculate_reward(task, messages)
    return found.reward, [check.model_dump() for check in found.communicate_checks or []]


def _check_actions(
    gold: list[Action], calls: list[ExecutedCall], environment: TelecomEnvironment
) -> list[dict[str, Any]]:
    """tau2's action checks, failed calls and wrong sides included, and our own beside them."""
    by_name: dict[str, list[ToolCall]] = {}
    for executed in calls:
        by_name.setdefault(executed.call.name, []).append(executed.call)
    checks = []
    for action, done in zip(gold, carried_out(gold, calls, environment), strict=True):
        match = any(action.compare_with_tool_call(call) for call in by_name.get(action.name, ()))
        checks.append(
            {
                "action": action.model_dump(mode="json"),
                "action_match": match,
                "action_reward": float(match),
                "verified": done,
            }
        )
    return checks
