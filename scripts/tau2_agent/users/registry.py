"""Who asks: the user simulators an episode can have, by name, and those of a job.

"scripted" is free and deterministic (`scripted/user.py`); "llm" is a language model with tau2's own
prompt (`llm_user.py`). A simulator is a class whose instances are `episode.User`; it is added with
one line in `USERS` and its name in `mixture.SIMULATORS`.

`Users` serves a job: who plays which episode, one language model for all of them, and how many
failures are too many. Its options on command lines
are made in config/program_options.py.
"""

from __future__ import annotations

import argparse
import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from tau2.data_model.tasks import Task

from tau2_agent.llm.client import LLM, Ledger, LLMFailure, LLMSettings, settings_from_options
from tau2_agent.llm.sent import as_sent
from tau2_agent.rollout.episode import User
from tau2_agent.rollout.trajectory import JobStop
from tau2_agent.users.failure_limit import FailureShare
from tau2_agent.users.mixture import API_BASE, SERVED, draw, mix_text, parse_mix
from tau2_agent.users.scripted.user import ScriptedUser

MODEL = "gemini/gemini-2.5-flash-lite"


def _llm_user(task: Task, llm: LLM) -> User:
    from tau2_agent.users.llm_user import LLMUser  # litellm takes seconds to import

    return LLMUser(task, llm)


USERS: dict[str, Callable[..., User]] = {"scripted": ScriptedUser, "llm": _llm_user}
DETERMINISTIC = frozenset({"scripted"})  # say the same whenever they hear the same


def make_user(name: str, task: Task, **settings: Any) -> User:
    """The simulator `name` for one episode of `task`.

    `settings` are the simulator's own (scripted: `patience`; llm: `llm`, an `llm.client.LLM`).
    Raises ValueError for an unknown name or setting.
    """
    if name not in USERS:
        raise ValueError(f"user {name!r} does not exist; choose one of: {', '.join(USERS)}")
    try:
        _signature(USERS[name]).bind(task, **settings)
    except TypeError as error:
        raise ValueError(f"user {name!r} cannot take the settings {settings}: {error}") from None
    return USERS[name](task, **settings)


_signature = lru_cache(inspect.signature)  # a third of a simulator's making


@dataclass
class Users:
    """The user simulators of a job.

    simulator: a name or a mixture (`mixture.py`). seed: of the draw. llm: how a language model is
    asked, where one plays. phrasing, one_action: of the scripted user, see `ScriptedUser`;
    the seed draws its words, too. served: what a server beside the job serves, see mixture.SERVED.
    max_failure_share: of episodes, see failure_limit.py.
    """

    simulator: str = "scripted"
    seed: int = 0
    llm: LLMSettings = field(default_factory=lambda: LLMSettings(MODEL))
    max_failure_share: float = 0.1
    phrasing: str = "fixed"
    one_action: bool = False
    served: str = ""

    def __post_init__(self) -> None:
        self._shares = parse_mix(self.simulator)
        self._model: LLM | None = None
        self.failures = FailureShare(self.max_failure_share)

    @property
    def needs_llm(self) -> bool:
        """Whether a language model plays any episode."""
        return "llm" in self._shares

    @property
    def deterministic(self) -> bool:
        """Whether every trial of a task meets a user that says the same to the same words."""
        return set(self._shares) <= DETERMINISTIC and self.phrasing == "fixed"  # others are drawn

    def open(self, ledger: Path | None = None, fingerprint: str = "") -> None:
        """Make ready what the simulators share, before the first episode.

        ledger, fingerprint: the file that keeps what is spent, and this job's name in it, as
        `Ledger` takes them. Raises JobStop if the language model cannot be asked.
        """
        if not self.needs_llm or self._model is not None:
            return
        try:
            self._model = LLM(self.llm, Ledger(ledger, fingerprint))
        except LLMFailure as failure:
            raise JobStop(f"the user simulator: {failure.detail}") from None

    def beside(self) -> Users:
        """The same simulators with a failure count of their own: one model, one ledger, one purse.

        For episodes between those of a training. Raises JobStop as `open` does.
        """
        self.open()
        other = replace(self)
        other._model = self._model
        return other

    def make(self, task: Task, sample: str) -> User:
        """The user of one episode; the same simulator for the same task and sample, always."""
        name = draw(self._shares, self.seed, task.id, sample)
        if name != "llm":
            return make_user(
                name,
                task,
                phrasing=self.phrasing,
                draw=f"{self.seed}/{task.id}/{sample}",
                one_action=self.one_action,
            )
        self.open()
        return make_user(name, task, llm=self._model)

    def usage(self, ledger: Path, fingerprint: str = "") -> dict[str, Any] | None:
        """What the language model cost, by the job's ledger; None if none plays."""
        if not self.needs_llm:
            return None
        return {"model": self.llm.model, **Ledger(ledger, fingerprint).total()}

    async def close(self) -> None:
        """Close connections; before an event loop ends."""
        if self._model is not None:
            await self._model.close()

    def fingerprint_fields(self) -> dict[str, Any]:
        """What decides the user simulators' words, apart from the simulator's name and the seed."""
        fields: dict[str, Any] = {}
        if "scripted" in self._shares:
            fields |= {"phrasing": self.phrasing, "one_action": self.one_action}
        if self.needs_llm:
            fields |= as_sent(self.llm)
            fields |= {"served": self.served} if self.served else {}
        return fields

    def fingerprint(self) -> dict[str, Any]:
        """What of the simulators is part of a training's identity; its seed is the training's."""
        return {"user": self.simulator, "user_settings": self.fingerprint_fields()}


def from_options(options: argparse.Namespace, seed: int) -> Users:
    """The simulators that were asked for. Raises MixError or InputError."""
    api_base = os.environ.get(API_BASE) or options.user_api_base
    return Users(
        simulator=mix_text(options.user),
        seed=seed,
        llm=settings_from_options(options, "user_", api_base=api_base),
        max_failure_share=options.user_max_failure_share,
        phrasing=options.user_phrasing,
        one_action=options.user_one_action,
        served=os.environ.get(SERVED, ""),
    )


def to_settings(users: Users) -> dict[str, Any]:
    """`users` as plain values, for a file that another process reads. Holds no key."""
    names = ("simulator", "seed", "max_failure_share", "phrasing", "one_action", "served")
    return {name: getattr(users, name) for name in names} | {"llm": asdict(users.llm)}


def from_settings(settings: Mapping[str, Any]) -> Users:
    """The reverse of `to_settings`."""
    return Users(**{**settings, "llm": LLMSettings(**settings["llm"])})
