"""Who asks: the user simulators an episode can have, by name.

"scripted" is free and deterministic (`scripted_user.py`). A simulator is a class whose instances
are `episode.User`; it is added with one line in `USERS`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from tau2.data_model.tasks import Task

from tau2_agent.episode import User
from tau2_agent.scripted_user import ScriptedUser

USERS: dict[str, Callable[..., User]] = {"scripted": ScriptedUser}


def make_user(name: str, task: Task, **settings: Any) -> User:
    """The simulator `name` for one episode of `task`.

    `settings` are the simulator's own (scripted: `patience`). Raises ValueError for an unknown
    name or setting.
    """
    if name not in USERS:
        raise ValueError(f"user {name!r} does not exist; choose one of: {', '.join(USERS)}")
    try:
        inspect.signature(USERS[name]).bind(task, **settings)
    except TypeError as error:
        raise ValueError(f"user {name!r} cannot take the settings {settings}: {error}") from None
    return USERS[name](task, **settings)
