"""Against slime's and Megatron's own source, where both are there: set SLIME_HOME (and
MEGATRON_HOME for the parsers). No GPU is needed.

- slime's plugin contract tests pass on our hooks.
- every flag of the golden command lines is one that the two parsers know.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tau2_agent.training.slime.install import SCRIPTS, Install
from tau2_agent.training.slime.known_flags import unknown_training_flags

HERE = Path(__file__).parents[2]
SLIME = Path(os.environ.get("SLIME_HOME", "/nonexistent"))
MEGATRON = Path(os.environ.get("MEGATRON_HOME", "/nonexistent"))
pytestmark = pytest.mark.skipif(
    "SLIME_HOME" not in os.environ, reason="needs slime's source in SLIME_HOME"
)

HOOKS = {
    "CUSTOM_GENERATE_FUNCTION_PATH": "generate_with_tau.generate",
    "CUSTOM_REWARD_POST_PROCESS_PATH": "tau2_reward_shaping.tau2_reward_post_process",
}


def test_slimes_plugin_contracts_hold_for_our_hooks():
    tests = SLIME / "tests" / "plugin_contracts"
    if not tests.is_dir():
        pytest.skip("this copy of slime comes without its tests")
    variables = {f"SLIME_CONTRACT_{name}": hook for name, hook in HOOKS.items()}
    path = os.pathsep.join(filter(None, [str(SCRIPTS), os.environ.get("PYTHONPATH", "")]))
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)],
        cwd=SLIME,  # the contracts read slime's files by relative paths
        env={**os.environ, **variables, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if "No module named" in result.stdout:
        pytest.skip(re.search(r"No module named '[^']+'", result.stdout)[0])
    assert result.returncode == 0, result.stdout[-4000:]


@pytest.mark.skipif(
    "MEGATRON_HOME" not in os.environ, reason="needs Megatron-LM's source in MEGATRON_HOME"
)
def test_every_flag_of_the_golden_command_lines_is_known():
    words = [word for path in (HERE / "golden").glob("*.txt") for word in path.read_text().split()]
    assert unknown_training_flags(words, Install(SLIME, MEGATRON)) == []


@pytest.mark.skipif(
    "MEGATRON_HOME" not in os.environ, reason="needs Megatron-LM's source in MEGATRON_HOME"
)
@pytest.mark.parametrize(
    ("flag", "near"),
    [
        ("--eps-clip-hihg", "--eps-clip-high"),  # slime's
        ("--no-load-optm", "--no-load-optim"),  # Megatron's, written out
        ("--moe-router-topks", "--moe-router-topk"),  # made of a field of its configuration
        ("--no-masked-softmax", "--no-masked-softmax-fusion"),
    ],
)
def test_a_flag_with_a_slip_is_unknown_and_the_nearest_is_named(flag, near):
    install = Install(SLIME, MEGATRON)
    assert unknown_training_flags([near], install) == []
    assert unknown_training_flags([f"{flag}=1", "7"], install) == [f"{flag} (did you mean {near}?)"]
