"""Folders that are edited in place, as a rule's params see them."""

from __future__ import annotations

from tau2_agent.config import made_by
from tau2_agent.config.settings_players import User


def test_what_serves_as_the_user(tmp_path) -> None:
    folder = tmp_path / "user"
    folder.mkdir()
    (folder / "config.json").write_text("{}")

    def seen(server_args: str = "", stage: str = "grpo") -> str | None:
        serve = {"source": str(folder), "server_args": server_args}
        user = User(simulator="llm", serve=serve).model_dump()
        evaluation = {"user": "scripted", "phrasing": None}
        return made_by.served_user({"user": user, "evaluation": evaluation}, stage)

    first = seen()
    assert first == seen("--port 3 --mem-fraction-static 0.5")
    assert first != seen("--quantization fp8")
    (folder / "config.json").write_text('{"a": 1}')
    assert seen() != first
    assert seen(stage="evaluation") is None  # the scripted user plays there


def test_a_hub_id_has_no_content_here() -> None:
    assert made_by.folder("nobody/nothing") is None
    assert made_by.folder(None) is made_by.folder("") is None  # "" is not the folder we are in
