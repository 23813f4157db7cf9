"""System prompts: tau2's own in full, and variants that differ from it as their names say."""

from __future__ import annotations

import pytest

from tau2_agent.benchmark.environment import (
    PROMPTS,
    assistant_tools,
    domain_policy,
    prompt_sha256,
    prompt_tools,
    system_prompt,
    user_tools,
)


def test_owners_is_tau2s_prompt_with_a_paragraph_at_its_end():
    stock, owners = system_prompt("tau2"), system_prompt("tau2-owners")
    assert owners.startswith(stock) and domain_policy() in stock
    added = owners.removeprefix(stock)
    own, users = added.split("only the user can call them:")
    for tool in assistant_tools():
        assert tool["function"]["name"] in own
    for tool in user_tools():
        assert tool["function"]["name"] in users and tool["function"]["name"] not in own
    assert prompt_tools("tau2-owners") == prompt_tools("tau2") == assistant_tools()


def test_the_stock_prompt_says_nothing_of_owners():
    assert "tool_owners" not in system_prompt("tau2")


def test_each_prompt_has_a_hash_of_its_own():
    assert len({prompt_sha256(name) for name in PROMPTS}) == len(PROMPTS)


def test_an_unknown_prompt_is_an_error_that_helps():
    with pytest.raises(ValueError, match="choose one of: tau2, tau2-owners, short"):
        system_prompt("long")
