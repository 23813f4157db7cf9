"""Shared: a small tokenizer with Qwen3's chat template, made as the demo's is; who runs what."""

import json
from pathlib import Path

import hypothesis
import pytest
from tiny_model import tiny_qwen3

from base_model import demo_tokenizer
from tau2_agent.rollout.room import SHORTEST

# A busy machine is no failure; tests that measure time measure the processor's.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")

TESTS = Path(__file__).parent
SLOW_TEST_S = 1500  # the demo alone takes 5 minutes, more on a busy machine
TEXT = [
    "You are a telecom support agent.",
    "Hi! How can I help you today?",
    "Please check the status bar. What does it show?\nThank you.",
    "Airplane Mode is ON. Please turn off airplane mode.",
    '{"name": "get_customer_by_phone", "arguments": {"phone_number": "555-123-2002"}}',
]
# With these words a task can be solved in 303 tokens: no test needs long episodes.
SOLVED = json.loads(SHORTEST.read_text(encoding="utf-8"))["messages"]
TEXT += [said["content"] for said in SOLVED]
TEXT += [call["function"]["arguments"] for said in SOLVED for call in said.get("tool_calls", ())]


@pytest.fixture(scope="session")
def tokenizer():
    return demo_tokenizer(TEXT * 3, vocab_size=1000)


@pytest.fixture(scope="session")
def random_model(tmp_path_factory, tokenizer):
    """Folder of a random Qwen3 of a few thousand weights, with that tokenizer. Read only."""
    folder = tmp_path_factory.mktemp("model")
    model = tiny_qwen3(len(tokenizer), eos_token_id=tokenizer.eos_token_id)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Several processes share the tests (`./run test`): the long ones begin, costly fixtures once.

    Tests of one group run in one process, in their order.
    """
    order = ["demo", "slurm", "pipeline", "more slurm", "training", ""]
    groups = {id(item): _group(item) for item in items}
    for item in items:
        if groups[id(item)]:
            item.add_marker(pytest.mark.xdist_group(groups[id(item)]))
        if groups[id(item)] or item.get_closest_marker("long"):
            item.add_marker(pytest.mark.timeout(SLOW_TEST_S))
    # Of the rest the slow ones come first, or one process would end long after the others.
    items.sort(
        key=lambda item: (
            order.index(groups[id(item)]),
            groups[id(item)] == "" and item.get_closest_marker("slow") is None,
        )
    )


def _group(item: pytest.Item) -> str:
    fixtures = set(getattr(item, "fixturenames", ()))
    # Quick tests behind the demo: a process with two tests left is given another group, which would
    # wait for the demo.
    if item.path.name in ("test_demo.py", "test_preset_commands.py"):
        return "demo"
    if item.path.parent == TESTS / "slurm":
        return "slurm" if "limited" in fixtures else "more slurm"
    if "made" in fixtures:
        return "training"
    return "pipeline" if fixtures & {"tiny_project", "tiny_copy"} else ""
