"""Shared: a small tokenizer with Qwen3's chat template, made as the demo's is."""

import hypothesis
import pytest

from base_model import demo_tokenizer

# A busy machine is no failure; tests that measure time measure the processor's.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")

TEXT = [
    "You are a telecom support agent.",
    "Hi! How can I help you today?",
    "Please check the status bar. What does it show?\nThank you.",
    "Airplane Mode is ON. Please turn off airplane mode.",
    '{"name": "get_customer_by_phone", "arguments": {"phone_number": "555-123-2002"}}',
]


@pytest.fixture(scope="session")
def tokenizer():
    return demo_tokenizer(TEXT * 3, vocab_size=400)
