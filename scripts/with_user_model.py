"""Run a command beside an SGLang server that plays the user.

    python scripts/with_user_model.py --model models/user_model --gpus 1 -- python scripts/….py …

The server gets `--gpus` of the visible GPUs, those first that no other job of this user has, and
the command the others; it finds the server's address in TAU2_USER_API_BASE. A server that dies is
started again; when it is given up, the command is stopped. Signals go on to the command and its
exit status is this program's. Both end with this program, however that ends.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import signal
import subprocess
from pathlib import Path

from tau2_agent import cli
from tau2_agent.errors import InputError
from tau2_agent.files import content_hash
from tau2_agent.gpus import take_gpus, visible_names
from tau2_agent.inference.server_arguments import deciding
from tau2_agent.inference.sglang_server import ServerError, ServerOptions, SGLangServer
from tau2_agent.processes import end_with_parent
from tau2_agent.users.mixture import API_BASE, SERVED

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
GRACE_S = 60.0  # for the command to save its state once the server is given up


def share_gpus(wanted: int) -> tuple[list[str], list[str]]:
    """Return the GPUs of the server and those of the command, by the names that CUDA knows.

    Raises InputError when there are too few.
    """
    names = visible_names()
    if len(names) < wanted:
        raise InputError(
            f"--gpus {wanted}, but {len(names)} GPU(s) are visible; the user's model needs "
            "GPUs of its own: take user.serve away and name a provider, or use a larger machine"
        )
    theirs = take_gpus(wanted)
    return theirs, [name for name in names if name not in theirs]


async def beside(server: SGLangServer, words: list[str], environment: dict[str, str]) -> int:
    """Run the command while the server serves; return its exit status. Raises ServerError."""
    loop = asyncio.get_running_loop()
    process: subprocess.Popen[bytes] | None = None

    def forward(number: int) -> None:
        if process is not None and process.poll() is None:
            process.send_signal(number)

    async with server:
        try:
            # First: a signal that comes while the command is started reaches it afterwards.
            for number in FORWARDED:
                loop.add_signal_handler(number, forward, number)
            process = subprocess.Popen(
                words,
                env=environment,
                start_new_session=True,  # a Ctrl-C would reach it twice
                preexec_fn=end_with_parent,
            )
            return await server.guard(asyncio.to_thread(process.wait))
        except ServerError:
            print("the user simulator's server is given up; stopping the command", flush=True)
            if process is not None:
                process.terminate()
            raise
        finally:
            if process is not None:
                await asyncio.to_thread(_end, process)
            for number in FORWARDED:
                loop.remove_signal_handler(number)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main() -> int:
    parser = cli.parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face folder")
    parser.add_argument("--name", default="user", help="what the server calls the model")
    parser.add_argument("--gpus", type=int, default=1, help="of the server")
    parser.add_argument("--log", type=Path, default=Path("logs/user_model.log"))
    parser.add_argument("--server-args", default="", help="further SGLang arguments, one string")
    parser.add_argument("--restarts", type=int, default=2, help="of a server that died")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="after --")
    args = parser.parse_args()
    words = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not words:
        parser.error("give a command after --")

    theirs, ours = share_gpus(args.gpus)
    extra = ["--served-model-name", args.name, *shlex.split(args.server_args)]
    options = ServerOptions(
        args.model,
        tensor_parallel=args.gpus,
        extra=tuple(extra),
    )
    server = SGLangServer(
        options,
        args.log,
        restarts=args.restarts,
        environment={"CUDA_VISIBLE_DEVICES": ",".join(theirs)},
    )
    print(f"the user: {args.model} on GPU {','.join(theirs)}; log: {args.log}", flush=True)
    environment = {**os.environ, API_BASE: f"{server.url}/v1"}
    environment["CUDA_VISIBLE_DEVICES"] = ",".join(ours)
    # the name says neither what an edited folder holds nor how it is served
    environment[SERVED] = shlex.join([content_hash(args.model)[:16], *deciding(extra)])
    status = asyncio.run(beside(server, words, environment))
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    cli.run(main)
