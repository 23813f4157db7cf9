"""Errors for people: what whoever runs the pipeline can mend.

`cli.run` prints such an error as one line and exits with status 2; anything else is a mistake of
this project and keeps its traceback. The message says what is wrong, where, and what to do. Each
package has its own kinds; they all come from here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


# In an address: user and password, and values of a query whose names say what they are.
_SECRETS = (
    (re.compile(r"""(?<=://)[^/?#\s'"]*@"""), "[hidden]@"),
    (
        re.compile(
            r"""([?&][\w.-]*(?:key|token|secret|sig|password|auth|credential)[\w.-]*=)[^&\s'"]+""",
            re.IGNORECASE,
        ),
        r"\1[hidden]",
    ),
)


class PipelineError(Exception):
    """Something that whoever runs the pipeline can mend; the message says how.

    What is shown of it holds no password or key of an address.
    """

    def __str__(self) -> str:
        return without_address_secrets(super().__str__())


class InputError(PipelineError):
    """What was asked for cannot be: an option, a file, a combination of them."""


def without_address_secrets(text: str) -> str:
    """The text without user, password and keys in its addresses."""
    for secret, instead in _SECRETS:
        text = secret.sub(instead, text)
    return text


def first_problem(error: ValidationError) -> str:
    """Where and why a value is not of its type, in one line."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield `error`, the members of groups, and what each of them came from."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop(0)
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting += [current.__cause__, current.__context__]
        if isinstance(current, BaseExceptionGroup):
            waiting += current.exceptions
