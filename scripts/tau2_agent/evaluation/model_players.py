"""How a checkpoint plays many episodes: in this process, or behind an SGLang server.

The server is one that runs already, or one that is started here for the time of the job.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

from tau2_agent.errors import InputError
from tau2_agent.files import content_hash
from tau2_agent.gpus import take_gpus
from tau2_agent.processes import seldom_full_collections


async def play_all(jobs, policy, codec, settings, args, write) -> None:
    """Play every (task, trial) of `jobs` with a model; see `play_each`."""
    from tau2_agent.evaluation.playing import play_each
    from tau2_agent.rollout.model_rollout import play
    from tau2_agent.rollout.trajectory import EndReason
    from tau2_agent.users.failure_limit import FailureShare

    async def episode(task, session: str, sample: str):
        return await play(task, policy, codec, settings, session, sample)

    failures = FailureShare(
        args.max_failure_share,
        (EndReason.POLICY_ERROR, EndReason.TIMEOUT),
        "the policy's server",
        "evaluation.max_failure_share",
    )
    with seldom_full_collections():
        await play_each(jobs, episode, settings.users, args, write, [failures])


async def local_model(jobs, codec, settings, args, write) -> None:
    """Evaluate with the model in this process."""
    from tau2_agent.inference.transformers_policy import LocalPolicy
    from tau2_agent.processes import compute_with_avx2, keep_freed_memory
    from tau2_agent.rollout.loading import load_model

    keep_freed_memory()
    compute_with_avx2()
    model = load_model(args.checkpoint).eval()
    policy = LocalPolicy(model, codec.stop_ids, seed=args.seed, max_batch=args.concurrency)
    await play_all(jobs, policy, codec, settings, args, write)


async def served_model(jobs, codec, settings, args, write) -> None:
    """Evaluate with an SGLang server: one that runs on this machine already, or one of our own."""
    from tau2_agent.inference.sglang_client import SGLangPolicy
    from tau2_agent.inference.sglang_server import ForeignPolicy, PatientPolicy, SGLangServer
    from tau2_agent.preflight.checks import require
    from tau2_agent.preflight.requirements import Requirements

    async with contextlib.AsyncExitStack() as stack:
        if args.sglang_port:
            policy = SGLangPolicy(f"http://127.0.0.1:{args.sglang_port}", codec.stop_ids)
            stack.push_async_callback(policy.close)
            await policy.check()
            await play_all(jobs, ForeignPolicy(policy), codec, settings, args, write)
            return
        take_gpus(args.tensor_parallel)
        options = server_options(args)
        wanted = Requirements("slime", args.tensor_parallel, model=args.checkpoint, megatron=False)
        require(replace(wanted, server_args=options.extra))
        log = args.output_path.with_suffix(".sglang.log")
        print(f"starting SGLang; its log: {log}", flush=True)
        server = await stack.enter_async_context(SGLangServer(options, log))
        policy = SGLangPolicy(server.url, codec.stop_ids)
        stack.push_async_callback(policy.close)
        patient = PatientPolicy(policy, server)
        await server.guard(play_all(jobs, patient, codec, settings, args, write))


def server_options(args) -> Any:
    """How our own server serves the checkpoint."""
    from tau2_agent.inference.sglang_server import ServerOptions

    return ServerOptions(
        args.checkpoint,
        tensor_parallel=args.tensor_parallel,
        context_length=args.context_length,
        seed=args.seed,
        extra=tuple(shlex.split(args.server_args)),
    )


def server_account(args) -> dict[str, Any]:
    """How the model is served: what a running server says of itself, or what ours is told.

    Raises PolicyFailure if none answers, InputError if it serves another model.
    """
    if args.backend != "slime":
        return {}
    if not args.sglang_port:
        words = shlex.split(args.server_args)
        return {"tp_size": args.tensor_parallel, "arguments": words}

    from tau2_agent.inference.server_arguments import account
    from tau2_agent.inference.sglang_client import SGLangPolicy

    async def ask() -> dict[str, Any]:
        policy = SGLangPolicy(f"http://127.0.0.1:{args.sglang_port}", ())
        try:
            await policy.check()
            return account(await policy.server_info())
        finally:
            await policy.close()

    found = asyncio.run(ask())
    served = Path(found.get("model_path", args.checkpoint))
    if served.is_dir() and content_hash(served) != content_hash(args.checkpoint):
        raise InputError(
            f"the server at port {args.sglang_port} serves {served}, not {args.checkpoint}; "
            "start it with that one, or leave the port out"
        )
    return found
