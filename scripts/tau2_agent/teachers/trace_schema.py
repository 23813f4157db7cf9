"""What a line of a trace file must look like: roles, texts, and calls whose arguments are JSON.

Left out: other forms, which trace_forms.py turns into this one, and whether what is said is taught
(trace_checks.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from tau2_agent.errors import InputError, first_problem
from tau2_agent.files import read_jsonl


class _Function(BaseModel):
    name: str = Field(min_length=1)
    arguments: dict[str, Any]

    @field_validator("arguments", mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            read = json.loads(value, parse_constant=_no_number)
            json.dumps(read, ensure_ascii=False).encode()  # \\ud83d is half a character
            return read
        except ValueError as error:
            raise ValueError(f"no JSON: {error}") from None
        except RecursionError:
            raise ValueError("no JSON: nested too deeply") from None


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


class _Call(BaseModel):
    id: str = Field(min_length=1)
    function: _Function


class _System(BaseModel):
    role: Literal["system"]
    content: str

    def as_chat(self) -> dict[str, Any]:
        return {"role": self.role, "content": self.content}


class _User(BaseModel):
    role: Literal["user"]
    content: str = Field(min_length=1)

    def as_chat(self) -> dict[str, Any]:
        return {"role": self.role, "content": self.content}


class _Assistant(BaseModel):
    role: Literal["assistant"]
    content: str | None = None
    tool_calls: list[_Call] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.content or "").strip() and not self.tool_calls:
            raise ValueError("neither text nor a tool call")
        return self

    def as_chat(self) -> dict[str, Any]:
        chat: dict[str, Any] = {"role": self.role, "content": self.content or ""}
        if self.tool_calls:
            chat["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {
                        "name": call.function.name,
                        "arguments": json.dumps(call.function.arguments, ensure_ascii=False),
                    },
                }
                for call in self.tool_calls
            ]
        return chat


class _Tool(BaseModel):
    role: Literal["tool"]
    content: str
    tool_call_id: str

    def as_chat(self) -> dict[str, Any]:
        return {"role": self.role, "content": self.content, "tool_call_id": self.tool_call_id}


_Message = Annotated[_System | _User | _Assistant | _Tool, Field(discriminator="role")]


class Trace(BaseModel):
    """A line of a trace file, as far as it is read; what else stands there is left."""

    messages: list[_Message]
    tools: list[dict[str, Any]] | None = None
    task_id: str | None = None
    metadata: Mapping[str, Any] | None = None
    steps: int | None = None


def require_trace(row: Any, where: str) -> None:
    """Raise InputError, which begins with `where`, unless a line can be learnt from."""
    try:
        trace = Trace.model_validate(row)
    except ValidationError as error:
        fault = first_problem(error)
    else:
        fault = (
            "" if trace.messages and trace.tools is not None else "messages and tools are needed"
        )
    if fault:
        raise InputError(
            f"{where}: no trace ({fault}); give a file of teacher_traces.py, import_traces.py or "
            "rejection_sampling.py"
        )


def read_trace_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a trace file. Raises InputError, JsonLineError or FileNotFoundError."""
    rows = list(read_jsonl(path))
    for number, row in enumerate(rows, start=1):
        require_trace(row, f"{path}, line {number}")
    return rows
