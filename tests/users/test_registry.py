"""The user simulators of a job, as another process gets them."""

from __future__ import annotations

from dataclasses import fields

import yaml

from tau2_agent.llm.client import LLMSettings
from tau2_agent.users.registry import Users, from_settings, to_settings

OTHER = {
    "simulator": "llm=0.5,scripted=0.5",
    "seed": 7,
    "llm": LLMSettings("openai/x", temperature=0.3, options={"top_p": 0.5}),
    "max_failure_share": 0.3,
    "phrasing": "train",
    "one_action": True,
    "served": "abc",
}


def test_every_field_reaches_the_rollout_processes() -> None:
    assert set(OTHER) == {field.name for field in fields(Users)}
    users = Users(**OTHER)
    told = yaml.safe_load(yaml.safe_dump(to_settings(users)))
    assert from_settings(told) == users
    assert all(getattr(from_settings(told), name) != getattr(Users(), name) for name in OTHER)


def test_simulators_beside_those_of_a_training_count_failures_of_their_own() -> None:
    users = Users(max_failure_share=0.3)
    other = users.beside()
    assert other == users and other.failures is not users.failures
