"""What SFT trains on, on both backends, is what an episode of the teacher would have sampled.

For all traces of the train split, with the official prompt and tools: the tokens and loss masks of
slime's samples, of TRL's batches and of an episode in which a policy writes the teacher's tokens.
With SLIME_HOME set, slime's own data source and Sample are used instead of the stand-ins.
"""

from __future__ import annotations

import asyncio
import copy
import importlib
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import tau2_mock
import teacher_traces
from base_model import demo_tokenizer, training_texts
from tau2_agent.benchmark.environment import system_prompt
from tau2_agent.benchmark.tasks import get_task, split_ids
from tau2_agent.errors import InputError
from tau2_agent.files import read_jsonl, write_jsonl
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.model_rollout import EpisodeSettings, play
from tau2_agent.rollout.policy import Sampling
from tau2_agent.rollout.trajectory import EndReason, Turn
from tau2_agent.training.sft_data import IGNORED, labels, read_traces, token_records
from tau2_agent.training.slime.sft_rollout import generate_rollout, prompt_rows
from tau2_agent.users.registry import Users

STAND_IN = Path(__file__).parents[1] / "slime_stand_in"
LONGEST = 20_000  # tokens
TASKS = split_ids("train")


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """The traces of all 74 train tasks."""
    folder = tmp_path_factory.mktemp("traces")
    tau2_mock.main(["--local_dir", str(folder), "--split", "train"])
    files = ["--tasks", folder / "telecom_train_tasks.jsonl", "--output", folder / "traces.jsonl"]
    teacher_traces.main([*map(str, files)])
    return list(read_jsonl(folder / "traces.jsonl"))


@pytest.fixture(scope="module")
def codec(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("texts") / "traces.jsonl"
    write_jsonl(path, rows)
    return ChatCodec(demo_tokenizer(training_texts(path, system_prompt("tau2")), 3000))


@pytest.fixture(scope="module")
def records(rows, codec):
    return token_records(rows, codec, LONGEST)


class TeachersTokens:
    """A policy that writes what the teacher wrote, token by token."""

    def __init__(self, codec, messages):
        answers = [m for m in messages[2:] if m["role"] == "assistant"]
        self.turns = [codec.answer(message) for message in answers]

    async def generate(self, prompt, sampling, session):
        ids = self.turns.pop(0)
        return Turn(ids, [-0.5] * len(ids), "stop")


def test_slime_trl_and_an_episode_have_the_same_tokens_and_masks(rows, codec, records, data_source):
    assert len(rows) == 74
    ours = {
        row["task_id"]: (record.ids, record.loss_mask)
        for row, record in zip(rows, records, strict=True)
    }
    assert of_episodes(rows, codec) == ours
    assert of_slime(rows, records, data_source) == ours
    assert of_trl(rows, records, codec) == sorted(ours.values())


def of_episodes(rows, codec):
    settings = EpisodeSettings(Users(), sampling=Sampling(), context_length=LONGEST)

    async def episode(row):
        policy = TeachersTokens(codec, row["messages"])
        return await play(get_task(row["task_id"]), policy, codec, settings, "session", "0")

    found = {}
    for row in rows:
        run = asyncio.run(episode(row))
        assert run.end is EndReason.USER_STOP
        found[row["task_id"]] = (run.tokens.ids, run.tokens.loss_mask)
    return found


def of_slime(rows, records, data_source):
    """Two epochs, in batches that do not divide them."""
    source = data_source(prompt_rows([row["task_id"] for row in rows], records))
    found, taken = {}, []
    for rollout in range(2 * len(rows) // 4):
        for (sample,) in generate_rollout(source.args, rollout, source):
            mask = [0] * (len(sample.tokens) - sample.response_length) + sample.loss_mask
            taken.append(sample.metadata["task_id"])
            found.setdefault(taken[-1], (sample.tokens, mask))
            assert found[taken[-1]] == (sample.tokens, mask)
            assert sample.loss_mask[0] == 1 and sample.reward == 0
    first, second = taken[: len(rows)], taken[len(rows) :]
    assert sorted(first) == sorted(second) == sorted(found) and first != second
    return found


def of_trl(rows, records, codec):
    """What the trainer's own batches hold, padding aside."""
    import torch
    from datasets import Dataset
    from tiny_model import tiny_qwen3
    from trl import SFTConfig, SFTTrainer

    assert torch.nn.CrossEntropyLoss().ignore_index == IGNORED

    trainer = SFTTrainer(
        model=tiny_qwen3(len(codec.tokenizer)),
        args=SFTConfig(
            output_dir="unused",
            per_device_train_batch_size=4,
            max_length=None,
            packing=False,
            use_cpu=True,
            bf16=False,
            report_to=[],
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(
            [{"input_ids": record.ids, "labels": labels(record)} for record in records]
        ),
        processing_class=codec.tokenizer,
    )
    found = []
    for batch in trainer.get_train_dataloader():
        for ids, wanted, there in zip(
            batch["input_ids"], batch["labels"], batch["attention_mask"], strict=True
        ):
            ids, wanted = ids[there == 1].tolist(), wanted[there == 1].tolist()
            assert all(a in (IGNORED, b) for a, b in zip(wanted, ids, strict=True))
            found.append((ids, [int(label != IGNORED) for label in wanted]))
    return sorted(found)


# --- slime's side --------------------------------------------------------------------------------


@pytest.fixture
def data_source(tmp_path, random_model, monkeypatch):
    """Rows of prompt data -> slime's data source over them, with its arguments as `args`."""
    home = os.environ.get("SLIME_HOME")
    for name in [name for name in sys.modules if name.split(".")[0] == "slime"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(home or str(STAND_IN))
    for name in ("ray", "ray.util", "ray.util.scheduling_strategies"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    source = importlib.import_module("slime.rollout.data_source").RolloutDataSource
    before = random.getstate()

    def make(rows, **more):
        write_jsonl(tmp_path / "tokens.jsonl", rows)
        return source(arguments(tmp_path / "tokens.jsonl", random_model, **more))

    yield make
    random.setstate(before)  # slime's shuffle seeds Python's own generator
    for name in [name for name in sys.modules if name.split(".")[0] == "slime"]:
        del sys.modules[name]


def arguments(data, model, **more):
    """slime's arguments that its data source reads, as train_sft_slime.py leaves them."""
    values = {
        "prompt_data": str(data),
        "hf_checkpoint": str(model),
        "input_key": "index",
        "metadata_key": "metadata",
        "rollout_batch_size": 4,
        "n_samples_per_prompt": 1,
        "rollout_global_dataset": True,
        "rollout_shuffle": True,
        "rollout_seed": 0,
        "apply_chat_template": False,
        "save": str(data.parent),
        "load": str(data.parent),
    }
    absent = (
        "dump_details rollout_max_prompt_len multimodal_keys label_key tool_key "
        "apply_chat_template_kwargs"
    )
    return SimpleNamespace(**dict.fromkeys(absent.split()), **values | more)


@pytest.mark.skipif("SLIME_HOME" not in os.environ, reason="needs slime's source in SLIME_HOME")
def test_slimes_own_position_is_where_a_resumed_run_goes_on(rows, records, data_source):
    prompts = prompt_rows([row["task_id"] for row in rows], records)

    def taken(source, rollouts):
        return [
            sample.metadata["task_id"]
            for number in rollouts
            for (sample,) in generate_rollout(source.args, number, source)
        ]

    whole = taken(data_source(prompts), range(40))
    source = data_source(prompts)
    before = taken(source, range(23))  # in the second epoch
    source.save(22)
    resumed = data_source(prompts)
    resumed.load(22)
    assert before + taken(resumed, range(23, 40)) == whole


def test_a_trace_may_be_as_long_as_is_said_and_no_longer(rows, codec):
    (record,) = token_records(rows[:1], codec, LONGEST)
    assert token_records(rows[:1], codec, len(record.ids))
    with pytest.raises(InputError, match=r"sft\.max_length"):
        token_records(rows[:1], codec, len(record.ids) - 1)


def test_a_trace_without_an_answer_is_refused(rows, codec):
    row = copy.deepcopy(rows[0])
    row["messages"] = row["messages"][:3]
    with pytest.raises(InputError, match="no answer after the greeting"):
        token_records([row], codec, LONGEST)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"messages": ...}, ": no trace (messages: Field required)"),  # a file of tasks
        ({"messages": []}, ": no trace (messages and tools are needed)"),
        ({"messages": None}, ": no trace (messages: Input should be a valid list)"),
        ({"messages": [{"role": "system"}]}, ": no trace (messages.0.system.content: Field"),
        ({"tools": ...}, ": no trace (messages and tools are needed)"),
        ({"prompt": "short"}, "has another system prompt than prompt 'short'"),
    ],
)
def test_a_file_of_something_else_is_told_in_one_line(tmp_path, change, part):
    row = {
        "task_id": TASKS[0],
        "messages": [{"role": "system", "content": system_prompt("tau2")}],
        "tools": [],
    }
    prompt = change.pop("prompt", "tau2")
    row = {key: value for key, value in (row | change).items() if value is not ...}
    write_jsonl(tmp_path / "rows.jsonl", [row])
    with pytest.raises(InputError) as caught:
        read_traces([tmp_path / "rows.jsonl"], prompt)
    assert part in str(caught.value) and str(tmp_path / "rows.jsonl") in str(caught.value)


def test_slimes_process_imports_no_tau2():
    words = [
        sys.executable,
        "-X",
        "importtime",
        "-c",
        "import tau2_agent.training.slime.sft_rollout",
    ]
    scripts = Path(__file__).parents[2] / "scripts"
    said = subprocess.run(words, cwd=scripts, capture_output=True, text=True, check=True).stderr
    assert "sft_rollout" in said and not re.search(r"\btau2\b", said)


def test_slime_evaluates_nothing_in_sft():
    with pytest.raises(ValueError, match="--eval-interval"):
        generate_rollout(SimpleNamespace(rollout_batch_size=1), 0, None, evaluation=True)
