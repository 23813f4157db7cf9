"""Stand-ins for a model and its tokenizer: the scripted teacher's words as token ids.

`tokenizer()` has Qwen3's special tokens and chat template, and pieces of words of a size that real
tokenizers have, but it is trained here, on tau2's own texts: nothing is downloaded. `recorded`
plays each task once and keeps what the teacher said as a model would have sampled it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

import measure  # noqa: F401  first: it quiets tau2
from tau2.data_model.tasks import Task

from tau2_agent.benchmark.environment import assistant_tools, domain_policy
from tau2_agent.benchmark.tasks import load_tasks
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.episode import run_episode
from tau2_agent.rollout.policy import Sampling
from tau2_agent.rollout.template_files import shipped_templates, template_text
from tau2_agent.rollout.trajectory import Trajectory, Turn, agent_view, as_chat
from tau2_agent.teachers.baselines import make_agent
from tau2_agent.users.registry import make_user

VOCABULARY = 8192
# as in <|im_end|>, <｜end▁of▁sentence｜>, <end_of_turn>
_SPECIAL = re.compile(r"<[|｜][^<>|｜\s']+[|｜]>|<(?:start|end)_of_turn>|<\|?turn\|?>|</?s>")
SPECIAL = ["<s>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MARKS = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]


def tokenizer(folder: Path | None = None, templates: Iterable[str] = ()) -> Any:
    """The tokenizer of a folder; without one, byte-level BPE made of tau2's policy and tasks.

    templates: texts of chat templates whose special tokens the made one shall have too.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    if folder is not None:
        return AutoTokenizer.from_pretrained(folder)
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[*dict.fromkeys([*SPECIAL, *_special_tokens(templates)])],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    texts = [domain_policy(), json.dumps(assistant_tools())]
    texts += [task.model_dump_json() for task in load_tasks("train")]
    made.train_from_iterator(texts, trainer)
    made.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in MARKS])
    template = files("trl").joinpath("chat_templates/qwen3_instruct_2507.jinja")
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        bos_token="<s>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=template.read_text(encoding="utf-8"),
        clean_up_tokenization_spaces=False,
    )


def templates() -> dict[str, str]:
    """Name -> text of the chat templates that TRL ships, and of ours."""
    folder = files("trl").joinpath("chat_templates")
    texts = {
        file.name.removesuffix(".jinja"): file.read_text(encoding="utf-8")
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".jinja")
    }
    return texts | {name: template_text(name) for name in shipped_templates()}


def _special_tokens(texts: Iterable[str]) -> list[str]:
    """What looks like a special token in the texts of templates."""
    return sorted(set().union(*map(_SPECIAL.findall, texts)))


def recorded(tasks: Iterable[Task]) -> dict[str, Trajectory]:
    """Task id -> the episode of the scripted teacher with the scripted user."""

    async def all_of_them() -> dict[str, Trajectory]:
        return {
            task.id: await run_episode(task, make_agent("scripted"), make_user("scripted", task))
            for task in tasks
        }

    return asyncio.run(all_of_them())


def answers(trajectory: Trajectory, codec: ChatCodec) -> list[list[int]]:
    """What a model samples that says what the agent of this episode said, turn by turn."""
    seen = [as_chat(message) for message in agent_view(trajectory.messages)]
    # The first one is the greeting, which no model writes.
    return [codec.answer(m) for m in seen[1:] if m["role"] == "assistant"]


class Recited:
    """A policy that takes no time: the n-th request of a session gets the n-th recorded answer."""

    def __init__(self, turns: list[list[int]]) -> None:
        self._turns = iter(turns)

    async def generate(self, prompt: list[int], sampling: Sampling, session: str) -> Turn:
        """See `rollout.policy.Policy.generate`."""
        ids = next(self._turns)
        return Turn(list(ids), [-0.25] * len(ids), "stop")
