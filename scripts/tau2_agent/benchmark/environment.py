"""tau2's telecom environment: made once a task, copied for each episode; prompts and tool schemas.

The environment itself is tau2's. What is added is speed (0.05 ms instead of 3.4 ms an episode, and
calls at a third of the time) and one repair: a class attribute that tau2 mutates is given to each
instance.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any

from tau2.data_model.message import ToolCall, ToolMessage
from tau2.data_model.tasks import Task
from tau2.domains.telecom.data_model import TelecomDB
from tau2.domains.telecom.environment import TelecomEnvironment
from tau2.domains.telecom.tools import TelecomTools
from tau2.domains.telecom.user_data_model import TelecomUserDB
from tau2.domains.telecom.user_tools import TelecomUserTools
from tau2.environment.toolkit import ToolKitBase, ToolType

from tau2_agent.benchmark.data_files import DATABASE, MANUAL, POLICY, USER_DATABASE, data_folder
from tau2_agent.benchmark.snapshots import Snapshot
from tau2_agent.syntax import module_tree

# `break_vpn` of any episode in this process mutates the class attribute: keep it as it was.
_VPN_DETAILS = TelecomUserTools.default_vpn_details.model_copy(deep=True)

SHORT_SYSTEM_PROMPT = (
    "You are a telecom support agent. Find the customer, diagnose, and guide the user one step at "
    "a time until the issue is solved. Call tools as JSON inside <tool_call></tool_call>."
)


# (data folder, task id) -> the task, its environment in the initial state
_INITIAL: dict[tuple[Path, str], tuple[Task, Snapshot[TelecomEnvironment]]] = {}


class _NamedTools:
    """Toolkits of tau2's make a dictionary of all tools, twice, for each call of one."""

    def use_tool(self, tool_name: str, **kwargs: Any) -> Any:
        """See `ToolKitBase.use_tool`."""
        if tool_name not in _tool_names(type(self)):
            raise ValueError(f"Tool '{tool_name}' not found.")
        return getattr(self, tool_name)(**kwargs)


class _Tools(_NamedTools, TelecomTools):
    pass


class _UserTools(_NamedTools, TelecomUserTools):
    pass


@lru_cache(maxsize=2)
def _tool_names(toolkit: type[ToolKitBase]) -> frozenset[str]:
    return frozenset(toolkit.__new__(toolkit)._func_tools)


class _Environment(TelecomEnvironment):
    _in_sync = False

    def get_response(self, message: ToolCall) -> ToolMessage:
        """tau2's, faster.

        Without its debug line, which writes out each result even if nothing is logged, and without
        a sync after a tool that only reads where the call before it has left both sides in sync.
        """
        error = False
        try:
            result = self.make_tool_call(
                message.name, requestor=message.requestor, **message.arguments
            )
            if not self._in_sync or message.name not in _reading_tools():
                self.sync_tools()
            self._in_sync = True
        except Exception as raised:
            result, error = f"Error: {raised}", True
            self._in_sync = False  # a call that fails half-way may have changed something
        return ToolMessage(
            id=message.id,
            content=self.to_json_str(result),
            requestor=message.requestor,
            role="tool",
            error=error,
        )


@lru_cache(maxsize=2)
def _new(folder: Path) -> Snapshot[TelecomEnvironment]:
    user_tools = _UserTools(TelecomUserDB.load(str(folder / USER_DATABASE)))
    user_tools.default_vpn_details = _VPN_DETAILS.model_copy(deep=True)
    tools = _Tools(TelecomDB.load(str(folder / DATABASE)))
    return Snapshot(_Environment("telecom", _policy(folder), tools, user_tools))


def new_environment() -> TelecomEnvironment:
    """A fresh environment before any task's initialisation: tau2's `get_environment()`."""
    return _new(data_folder()).copy()


def make_environment(task: Task) -> TelecomEnvironment:
    """The environment in the task's initial state."""
    place = (data_folder(), task.id)
    known = _INITIAL.get(place)
    if known is None or known[0] is not task:
        environment = new_environment()
        initial = task.initial_state
        environment.set_state(
            initialization_data=initial.initialization_data if initial else None,
            initialization_actions=initial.initialization_actions if initial else None,
            message_history=[],
        )
        known = _INITIAL[place] = (task, Snapshot(environment))
    return known[1].copy()


@lru_cache(maxsize=1)
def _schemas() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    environment = new_environment()
    return (
        [tool.openai_schema for tool in environment.get_tools()],
        [tool.openai_schema for tool in environment.get_user_tools()],
    )


def assistant_tools() -> list[dict[str, Any]]:
    """OpenAI schemas of the 13 tools that the agent owns. Shared: do not mutate."""
    return _schemas()[0]


def user_tools() -> list[dict[str, Any]]:
    """OpenAI schemas of the 30 tools that the customer owns. Shared: do not mutate."""
    return _schemas()[1]


@lru_cache(maxsize=1)
def _reading_tools() -> frozenset[str]:
    """Names of the tools, of both sides, that change nothing."""
    environment = new_environment()
    return frozenset(
        name
        for toolkit in (environment.tools, environment.user_tools)
        for name in toolkit.tools
        if toolkit.tool_type(name) is ToolType.READ
    )


@lru_cache(maxsize=1)
def writing_tools() -> frozenset[str]:
    """Names of the agent's tools that change the account."""
    tools = new_environment().tools
    names = (tool["function"]["name"] for tool in assistant_tools())
    return frozenset(name for name in names if tools.tool_type(name).value == "write")


def domain_policy() -> str:
    """The telecom policy with the tech-support manual, joined as tau2's `get_environment` does."""
    return _policy(data_folder())


@lru_cache(maxsize=2)
def _policy(folder: Path) -> str:
    main = (folder / POLICY).read_text(encoding="utf-8")
    manual = (folder / MANUAL).read_text(encoding="utf-8")
    return (
        f"<main_policy>\n{main}\n</main_policy>\n"
        f"<tech_support_policy>\n{manual}\n</tech_support_policy>"
    )


@lru_cache(maxsize=1)
def _agent_texts() -> dict[str, str]:
    """`AGENT_INSTRUCTION` and `SYSTEM_PROMPT` of tau2's agent, read without importing litellm."""
    spec = importlib.util.find_spec("tau2")
    assert spec is not None and spec.submodule_search_locations
    path = Path(next(iter(spec.submodule_search_locations))) / "agent" / "llm_agent.py"
    texts: dict[str, str] = {}
    for node in module_tree(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            for leaf in ast.walk(node.value):
                if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str):
                    texts[node.targets[0].id] = leaf.value.strip()
                    break
    missing = {"AGENT_INSTRUCTION", "SYSTEM_PROMPT"} - texts.keys()
    if missing:
        raise RuntimeError(f"{path}: no {sorted(missing)}; this tau2 is not the pinned version")
    return texts


PROMPTS = ("tau2", "tau2-owners", "short")

# tau2's manual tells the agent to run tools that only the user has (upstream issue 472).
_OWNERS = """<tool_owners>
Two sides have tools. You can call only your own: {own}.
These tools are on the user's phone, and only the user can call them: {users}.
You cannot call them, and a call of one is an error. Where the policy names one of them as a step,
ask the user to do it, one step at a time, and wait for the answer.
</tool_owners>"""


def system_prompt(name: str) -> str:
    """The agent's system prompt.

    "tau2" is the official one, policy and manual in full. "tau2-owners" is the same with a
    paragraph at its end that says who owns which tools; its numbers are not the benchmark's.
    "short" is one sentence for models too small to read a manual; it goes with no tool schemas,
    see `prompt_tools`.
    """
    return _system_prompt(name, domain_policy())


@lru_cache(maxsize=2 * len(PROMPTS))
def _system_prompt(name: str, policy: str) -> str:
    if name == "short":
        return SHORT_SYSTEM_PROMPT
    if name == "tau2":
        texts = _agent_texts()
        return texts["SYSTEM_PROMPT"].format(
            agent_instruction=texts["AGENT_INSTRUCTION"], domain_policy=policy
        )
    if name == "tau2-owners":
        own, users = (
            ", ".join(tool["function"]["name"] for tool in tools)
            for tools in (assistant_tools(), user_tools())
        )
        return f"{system_prompt('tau2')}\n{_OWNERS.format(own=own, users=users)}"
    raise ValueError(f"prompt {name!r} does not exist; choose one of: {', '.join(PROMPTS)}")


def prompt_tools(name: str) -> list[dict[str, Any]]:
    """The tool schemas that are rendered with a system prompt."""
    return [] if name == "short" else assistant_tools()


def prompt_sha256(name: str) -> str:
    """SHA-256 of the system prompt with its tool schemas, for the record beside a number."""
    text = system_prompt(name) + repr(prompt_tools(name))
    return hashlib.sha256(text.encode()).hexdigest()
