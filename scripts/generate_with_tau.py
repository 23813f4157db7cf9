"""slime's hook that plays an episode of tau2 telecom.

    --custom-generate-function-path generate_with_tau.generate
    --eval-function-path            generate_with_tau.validate

An episode is the one of everything else here (`tau2_agent.rollout.model_rollout`), with slime's
router as policy: token ids in, token ids and log probs out, nothing is ever tokenised twice.
Settings come from `--custom-config-path`, whose keys (`tau2_*`) become attributes of slime's
arguments.

No episode can end a rollout: time-outs, failures of the server or of the user simulator, and
mistakes of this program become aborted samples without loss or reward. What ends it, and the job:
a user simulator that no episode can be played with any more: no key, budget spent, too many
failures. Which episodes a rollout has, and what is recorded of them, is decided elsewhere
(tau2_agent/training/slime/grpo_rollout.py).
"""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tau2_agent.benchmark.tasks import get_task
from tau2_agent.records.counters import count, loops, wasted_turns
from tau2_agent.records.samples import Sample
from tau2_agent.reward.scoring import Score, score
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.episode import Limits
from tau2_agent.rollout.model_rollout import EpisodeSettings, play
from tau2_agent.rollout.policy import Sampling
from tau2_agent.rollout.trajectory import (
    INFRASTRUCTURE_ENDS,
    EndReason,
    JobStop,
    TokenRecord,
    Trajectory,
)
from tau2_agent.training import objective
from tau2_agent.training.slime.records import EPISODES
from tau2_agent.training.slime.router import (
    ANSWERS,
    Router,
    Timed,
    option,
    rollout_state,
    routed_experts,
)
from tau2_agent.users.registry import Users, from_settings
from tau2_reward_shaping import ALPHA, PartialWeights

logger = logging.getLogger(__name__)

# Ends of an episode that was not over: slime counts such samples as truncated.
CUT_ENDS = {EndReason.CONTEXT_LENGTH, EndReason.MAX_STEPS, EndReason.REPEAT_LIMIT}
USER_WINDOW = 200  # the last episodes, of which too many may not fail for the user's sake

_policies: dict[tuple[int, str], Router] = {}
_codecs: dict[int, ChatCodec] = {}
_users: dict[str, Users] = {}


async def generate(
    args: Any, sample: Any, sampling_params: dict[str, Any], evaluation=False
) -> Any:
    """Play the sample's task and fill the sample. Raises nothing but JobStop and cancellation."""
    _reset(sample)
    began = time.perf_counter()
    try:
        task = get_task(sample.metadata["task_id"])
        policy, codec = _policy(args)
        timed = Timed(policy)
        settings = episode_settings(args, sampling_params, sample.index)
        session = sample.session_id or f"{sample.index}"
        for attempt in range(objective.ATTEMPTS):
            answers: list[dict[str, Any]] = []
            ANSWERS.set(answers)
            # a name of its own: the router may take another engine for it
            name = f"{session}/{attempt}" if attempt else session
            trajectory = await play(task, timed, codec, settings, name, f"{sample.index}")
            if trajectory.end not in INFRASTRUCTURE_ENDS:
                break
        if not evaluation:
            settings.users.failures.count(trajectory)
        sample.non_generation_time = time.perf_counter() - began - timed.seconds
        if trajectory.end in INFRASTRUCTURE_ENDS or not sum(trajectory.tokens.loss_mask):
            return give_up(args, sample, trajectory.end, trajectory.detail, trajectory.failure)
        result = finish(args, sample, trajectory, task, routed_experts(answers))
        if not evaluation:  # whose samples are numbered from 0, too
            EPISODES[sample.index] = Sample(task, trajectory, result, sample.reward["shaped"])
        for meta in answers:
            sample.prefix_cache_info.add(meta)
        sample.response = codec.tokenizer.decode(
            trajectory.tokens.ids[trajectory.tokens.prompt_length :]
        )
    except JobStop:
        raise
    except Exception as error:
        logger.exception("an episode failed; its sample is aborted")
        return give_up(args, sample, EndReason.POLICY_ERROR, f"{type(error).__name__}: {error}")
    return sample


def episode_settings(
    args: Any, sampling_params: dict[str, Any], index: int | None = None
) -> EpisodeSettings:
    """What an episode is told, from slime's arguments and its sampling parameters.

    slime's `max_new_tokens` bounds everything after the first prompt; a single turn is bounded by
    `tau2_max_new_tokens`. With deterministic inference slime seeds the samples of a group alike in
    every group: `index`, which no other sample of the run has, makes one seed of each.
    """
    response = int(sampling_params["max_new_tokens"])
    seed = sampling_params.get("sampling_seed")
    return EpisodeSettings(
        prompt=option(args, "tau2_prompt", "tau2"),
        users=_simulators(args),
        sampling=Sampling(
            temperature=float(sampling_params["temperature"]),
            top_p=float(sampling_params.get("top_p", 1.0)),
            top_k=int(sampling_params.get("top_k", -1)),
            max_new_tokens=min(int(option(args, "tau2_max_new_tokens", 1024)), response),
            seed=None if seed is None else zlib.crc32(f"{seed}/{index}".encode()),
        ),
        context_length=int(option(args, "rollout_max_context_len", 32768)),
        response_length=response,
        limits=Limits(
            max_steps=int(option(args, "tau2_max_steps", 200)),
            timeout_s=float(option(args, "tau2_episode_timeout_s", 900.0)),
            repeat_limit=int(option(args, "tau2_repeat_limit", 0)),
        ),
    )


def finish(
    args: Any, sample: Any, trajectory: Trajectory, task: Any, experts: bytes | None = None
) -> Score:
    """Put a finished episode into the sample: tokens, mask, log probs, reward, status.

    experts: of a mixture of experts, see `routed_experts`.
    """
    record = trajectory.tokens
    sample.tokens = record.ids[: record.prompt_length]
    for trainable, ids, log_probs in spans(record):
        # The last span ends with what the policy wrote last, up to where the experts are known.
        last = len(sample.tokens) + len(ids) == len(record.ids)
        sample.append_response_tokens(
            args,
            tokens=ids,
            log_probs=log_probs if trainable else None,
            trainable=trainable,
            meta_info={"routed_experts": experts} if last and experts is not None else None,
        )
    weights = PartialWeights.read(option(args, "tau2_partial_weights", None))
    result = score(trajectory, task, weights)
    counts = count(task, trajectory.messages, record)
    sample.reward = objective.rewards(
        result,
        wasted_turns(counts),
        alpha=float(option(args, "tau2_alpha", ALPHA)),
        each=float(option(args, "tau2_repeat_penalty", 0.0)),
    )
    cut = trajectory.end in CUT_ENDS
    sample.status = type(sample).Status.TRUNCATED if cut else type(sample).Status.COMPLETED
    sample.metadata |= {
        "end": trajectory.end.value,
        "steps": trajectory.steps,
        "agent_turns": trajectory.agent_turns,
        "tool_errors": trajectory.tool_errors,
        **loops(counts),
        "seconds": round(trajectory.seconds, 3),
        "reward_info": result.reward_info,
    }
    return result


def give_up(args: Any, sample: Any, end: EndReason, detail: str, failure: str = "") -> Any:
    """Make an aborted sample: two filler tokens, no loss, and rewards that every reader can add."""
    _reset(sample)
    sample.tokens = [0, 0]
    sample.response_length = 1
    sample.loss_mask = [0]
    sample.rollout_log_probs = [0.0]
    if option(args, "use_rollout_routing_replay", False):
        some = list(range(args.moe_router_topk))  # slime refuses zeros only, and None
        sample.rollout_routed_experts = [[some] * args.num_layers]
    sample.reward = {"reward": 0.0, "partial": 0.0, "penalty": 0.0, "shaped": 0.0}
    sample.status = type(sample).Status.ABORTED
    sample.remove_sample = True
    told = {"end": end.value, "detail": detail[:500], "failure": failure}
    sample.metadata = {**(sample.metadata or {}), **told}
    return sample


def validate(
    args: Any, rollout_id: int, data_source: Any, evaluation: bool = True
) -> dict[str, Any]:
    """slime's evaluation: the policy plays what it is not trained on. See validation_slime.py."""
    from tau2_agent.evaluation.validation_slime import validate_in_slime

    return validate_in_slime(args, rollout_id, _simulators)


def spans(record: TokenRecord) -> Iterator[tuple[bool, list[int], list[float]]]:
    """Cut what follows the first prompt into runs of equal loss mask: (mask, ids, log probs)."""
    start = record.prompt_length
    while start < len(record.ids):
        end, on = start, record.loss_mask[start]
        while end < len(record.ids) and record.loss_mask[end] == on:
            end += 1
        yield bool(on), record.ids[start:end], record.log_probs[start:end]
        start = end


def _policy(args: Any) -> tuple[Router, ChatCodec]:
    """The router as a policy, one a loop since connections belong to it, and the codec."""
    tokenizer = rollout_state(args).tokenizer
    if id(tokenizer) not in _codecs:
        _codecs[id(tokenizer)] = ChatCodec(tokenizer)
    codec = _codecs[id(tokenizer)]
    place = f"{args.sglang_router_ip}:{args.sglang_router_port}"
    key = (id(asyncio.get_running_loop()), place)
    if key not in _policies:
        _policies[key] = Router(args, codec.stop_ids)
    return _policies[key], codec


def _simulators(args: Any) -> Users:
    """User simulators of this process: one language model, one ledger, one failure count."""
    ledger = option(args, "tau2_user_calls", None)
    if str(ledger) not in _users:
        settings = option(args, "tau2_users", None)
        users = from_settings(settings) if settings else Users()
        users.open(ledger and Path(ledger))
        users.failures.window = USER_WINDOW
        _users[str(ledger)] = users
    return _users[str(ledger)]


def _reset(sample: Any) -> None:
    """A sample that slime hands out again begins anew."""
    sample.tokens = []
    sample.response = ""
    sample.response_length = 0
    sample.loss_mask = None
    sample.rollout_log_probs = None
    sample.rollout_routed_experts = None
    sample.reward = None
    sample.remove_sample = False
    sample.status = type(sample).Status.PENDING
