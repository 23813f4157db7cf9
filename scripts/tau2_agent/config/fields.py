"""What kinds of values settings have: how each is read, and what it may be.

YAML reads `1e-6` as text and the command line passes texts, so a text is taken as the number, the
truth value or the null that its key wants. Nothing else is turned into anything: `true` is no
number, 3 is no text. Numbers are finite.
"""

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from tau2_agent.llm.permitted import address_fault, option_fault
from tau2_agent.users.mixture import MixError, parse_mix

NULL_WORDS = ("null", "none", "~", "")


class Section(BaseModel):
    """A section of the configuration. A key that it does not have is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def wrong(text: str) -> PydanticCustomError:
    """A mistake; `text` goes on from "KEY is VALUE, ": what it must be."""
    return PydanticCustomError("wrong", text)


def hidden(text: str) -> PydanticCustomError:
    """A mistake in a value that is not repeated, since it may be a secret; `text` goes on
    from KEY at once."""
    return PydanticCustomError("hidden", text)


def _real(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            value = _real(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _truth(value: Any) -> Any:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower(), value)
    return value


def _null(value: Any) -> Any:
    return None if isinstance(value, str) and value.strip().lower() in NULL_WORDS else value


def _once(values: list[Any]) -> list[Any]:
    for value in values:
        if values.count(value) > 1:
            raise wrong(f"but {value} stands there twice")
    return values


def no_zero(value: int) -> int:
    """-1 (all) or a count."""
    if value == 0:
        raise wrong("but it must be -1 (all) or at least 1")
    return value


def no_one(value: int) -> int:
    """0 (off) or a count of at least 2."""
    if value == 1:
        raise wrong("but it must be 0 (off) or at least 2")
    return value


def _words(text: str) -> str:
    try:
        shlex.split(text)
    except ValueError:
        raise wrong("but a quotation mark is open; close it") from None
    return text


def _mixture(value: Any) -> Any:
    if not isinstance(value, str | Mapping):
        raise wrong("but it must be a name, or a section: {scripted: 0.5, llm: 0.5}")
    try:
        parse_mix(value)
    except MixError as error:
        raise wrong(f"but {error}") from None
    return value


def _address(value: Any) -> Any:
    if fault := address_fault(value if isinstance(value, str) else ""):
        raise hidden(f" {fault}")
    return value


def _options(values: dict[str, Any]) -> dict[str, Any]:
    if fault := option_fault(values):
        raise hidden(f".{fault}")
    return _finite(values)


def _finite(value: Any) -> Any:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    for item in inner:
        _finite(item)
    if isinstance(value, float) and not math.isfinite(value):
        raise wrong(f"but {value} is no finite number")
    return value


Real = Annotated[float, Strict(), BeforeValidator(_real), Field(allow_inf_nan=False)]
Positive = Annotated[Real, Field(gt=0)]
AtLeast0 = Annotated[Real, Field(ge=0)]
Fraction = Annotated[Real, Field(ge=0, le=1)]
BelowOne = Annotated[Real, Field(ge=0, lt=1)]
Whole = Annotated[int, Strict(), BeforeValidator(_whole)]
Count = Annotated[Whole, Field(ge=1)]
WholeAtLeast0 = Annotated[Whole, Field(ge=0)]
Seed = Annotated[Whole, Field(ge=0, le=2**32 - 1)]  # what numpy takes
Port = Annotated[Whole, Field(ge=1, le=65535)]
Flag = Annotated[bool, Strict(), BeforeValidator(_truth)]
Text = Annotated[str, Strict(), Field(min_length=1)]
Words = Annotated[str, Strict(), AfterValidator(_words)]  # arguments as a shell would read them
Address = Annotated[str, BeforeValidator(_address)]  # of a server
Options = Annotated[dict[str, Any], AfterValidator(_options)]  # of litellm
Mixture = Annotated[str | dict[str, Any], BeforeValidator(_mixture)]

T = TypeVar("T")
Optional = Annotated[T | None, BeforeValidator(_null)]
Distinct = Annotated[list[T], AfterValidator(_once)]


# --- what a field is ------------------------------------------------------------------------------


def parts(annotation: Any) -> Iterator[Any]:
    """Yield an annotation and all that it is made of."""
    yield annotation
    for part in get_args(annotation):
        if not isinstance(part, str | int | None):
            yield from parts(part)


def section_of(field: FieldInfo) -> type[Section] | None:
    """The section that a field holds; of `X | None` too."""
    found = (part for part in parts(field.annotation) if isinstance(part, type))
    return next((part for part in found if issubclass(part, Section)), None)


def choices_of(field: FieldInfo) -> tuple[Any, ...]:
    """The values that a field, or an entry of it, may have; () where any may."""
    found = (part for part in parts(field.annotation) if get_origin(part) is Literal)
    return next((get_args(part) for part in found), ())


def find(root: type[Section], path: Sequence[str]) -> FieldInfo | None:
    """The field at the end of a path of keys; None if there is none."""
    field, section = None, root
    for key in path:
        field = section.model_fields.get(key) if section else None
        if field is None:
            return None
        section = section_of(field)
    return field


def leaves(section: type[Section], above: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield (dotted key, field) of every key, in order. A section that may be null is one key."""
    for key, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from leaves(field.annotation, f"{above}{key}.")
        else:
            yield above + key, field
