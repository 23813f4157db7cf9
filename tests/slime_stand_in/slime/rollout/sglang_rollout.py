"""The part of slime's rollouts that the hooks use, written anew; the tests fill the tokenizer.

slime keeps one state a process; here all states share what they hold.
"""

import asyncio
import importlib
import uuid
from typing import ClassVar

from slime.rollout.base_types import RolloutFnEvalOutput
from slime.utils.types import Sample


class GenerateState:
    tokenizer = None
    aborted = False
    _shared: ClassVar[dict] = {}

    def __init__(self, args) -> None:
        assert args is not None  # slime's own takes the tokenizer and more from them
        self.__dict__ = GenerateState._shared
        self.sampling_params = {
            "temperature": getattr(args, "rollout_temperature", 1.0),
            "top_p": 1.0,
            "top_k": -1,
            "max_new_tokens": getattr(args, "rollout_max_response_len", 1000),
        }

    def reset(self) -> None:
        self.pendings = set()
        self.__dict__.pop("aborted", None)


async def generate_and_rm_group(args, group, sampling_params, evaluation=False):
    state = GenerateState(args)
    if state.aborted:
        return group
    module, _, name = args.custom_generate_function_path.rpartition(".")
    generate = getattr(importlib.import_module(module), name)

    async def play(sample):
        if GenerateState(args).aborted:
            sample.status = Sample.Status.ABORTED
            return sample
        return await generate(args, sample, sampling_params.copy(), evaluation=evaluation)

    for sample in group:
        sample.session_id = sample.session_id or str(uuid.uuid4())
    return await asyncio.gather(*map(play, group))


async def abort(args, rollout_id):
    state = GenerateState(args)
    assert not state.aborted
    state.aborted = True
    await asyncio.wait(state.pendings)
    return []


async def eval_rollout(args, rollout_id):
    return RolloutFnEvalOutput(data={}), []
