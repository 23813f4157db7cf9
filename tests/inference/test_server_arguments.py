"""Which of SGLang's arguments are part of a key."""

from __future__ import annotations

import pytest

from tau2_agent.inference.server_arguments import account, deciding


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("--quantization fp8", "--quantization fp8"),
        ("--mem-fraction-static 0.5 --quantization=fp8", "--quantization=fp8"),
        (
            "--log-level info --disable-cuda-graph --kv-cache-dtype fp8_e5m2",
            "--kv-cache-dtype fp8_e5m2",
        ),
        ("--port 7 --never-heard-of", "--never-heard-of"),
        ("--portable 7", "--portable 7"),  # a name, not its beginning
    ],
)
def test_all_but_what_changes_no_answer(words, kept) -> None:
    assert deciding(words.split()) == kept.split()


def test_slime_s_own_arguments_are_kept() -> None:
    words = "--use-tis --sglang-log-level info --sglang-quantization fp8 --port 3"
    kept = "--use-tis --sglang-quantization fp8 --port 3"
    assert deciding(words.split(), "--sglang-") == kept.split()


def test_no_key_of_a_server_is_recorded() -> None:
    info = {"model_path": "a", "api_key": "secret", "quantization": None, "dtype": "auto"}
    assert account(info) == {"model_path": "a", "dtype": "auto"}
