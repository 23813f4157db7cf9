"""A copy of a snapshot is what was taken, to the type of each value, and shares nothing with it."""

from __future__ import annotations

import copy
import datetime
import math
from collections import defaultdict
from enum import Enum

import pytest
from pydantic import BaseModel, ConfigDict, PrivateAttr

from tau2_agent.benchmark.environment import make_environment
from tau2_agent.benchmark.snapshots import Snapshot
from tau2_agent.benchmark.tasks import load_tasks

TASKS = [*load_tasks("test")[::5], *load_tasks("extra_unseen")[::50]]


class Colour(Enum):
    RED = "red"


class Leaf(BaseModel):
    number: float = 0.0
    names: list[str] = []


class Tree(BaseModel):
    leaf: Leaf
    leaves: dict[str, Leaf] = {}
    colour: Colour = Colour.RED
    day: datetime.date | None = None


class Plain:
    def __init__(self, **values):
        vars(self).update(values)


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Secret(BaseModel):
    _kept: list = PrivateAttr(default_factory=lambda: [1])


class Slots:
    __slots__ = ("a",)


class More:
    __slots__ = ("__dict__", "a")


def anatomy(value, seen=None):
    """Types, values and which things are one and the same, to be compared with another's."""
    if isinstance(value, (str, int, float, type(None), Enum, datetime.date)):
        return type(value), repr(value)
    seen = {} if seen is None else seen
    if id(value) in seen:
        return seen[id(value)]
    seen[id(value)] = len(seen)
    if isinstance(value, list):
        inside = dict(enumerate(value))
    else:
        inside = value if isinstance(value, dict) else vars(value)
    parts = [(repr(key), anatomy(part, seen)) for key, part in inside.items()]
    if isinstance(value, BaseModel):
        parts += [
            sorted(value.model_fields_set),
            value.__pydantic_extra__,
            value.__pydantic_private__,
        ]
    return type(value), parts


def things(value):
    """All that can change in a value."""
    if isinstance(value, (str, int, float, type(None), Enum, datetime.date)):
        return []
    own = [value, value.__pydantic_fields_set__] if isinstance(value, BaseModel) else [value]
    inside = value if isinstance(value, (list, dict)) else vars(value)
    parts = inside.values() if isinstance(inside, dict) else inside
    return own + [thing for part in parts for thing in things(part)]


def spoil(value):
    """Change everything in a value that can be changed."""
    for thing in things(value):
        if isinstance(thing, list):
            thing.append("spoilt")
        elif isinstance(thing, (set, dict)):
            thing.clear()
        else:
            vars(thing).clear()


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id[-40:])
def test_a_state_of_telecom_is_copied_whole_and_shares_nothing(task):
    environment = make_environment(task)
    before = anatomy(environment)
    snapshot = Snapshot(environment)
    first, second = snapshot.copy(), snapshot.copy()
    assert anatomy(first) == anatomy(second) == anatomy(environment) == before
    assert len(things(first)) > 90  # it is taken apart
    everything = [*map(id, things(environment)), *map(id, things(first)), *map(id, things(second))]
    assert len(set(everything)) == len({*map(id, things(first))}) * 3
    spoil(environment)
    spoil(first)
    assert anatomy(second) == anatomy(snapshot.copy()) == anatomy(make_environment(task)) == before


def test_what_two_states_have_in_common_is_kept_once():
    """Or the initial states of all tasks would take some hundred megabytes."""
    one, other = (Snapshot(make_environment(task)) for task in load_tasks("test")[:2])
    common = set(map(id, one._steps)) & set(map(id, other._steps))
    assert 0.8 * len(set(map(id, one._steps))) < len(common) < len(one._steps)


def test_a_copied_model_is_one_of_pydantics():
    made = Tree(
        leaf=Leaf(number=2), leaves={"a": Leaf(names=["x"])}, day=datetime.date(2025, 2, 25)
    )
    copied = Snapshot(made).copy()
    assert copied == made and copied.model_fields_set == {"leaf", "leaves", "day"}
    assert copied.model_dump_json() == made.model_dump_json()
    assert copied.model_dump(exclude_unset=True) == made.model_dump(exclude_unset=True)
    copied.colour = Colour.RED  # set now, in this one alone
    assert "colour" in copied.model_fields_set and "colour" not in made.model_fields_set
    assert copied.model_copy(deep=True) == copy.deepcopy(copied) == copied
    assert Tree.model_validate(copied.model_dump()) == made
    with pytest.raises(ValueError, match='no field "size"'):
        copied.size = 1


def test_one_object_in_two_places_stays_one():
    shared, other = Leaf(number=1), Leaf(number=1)
    copied = Snapshot(Plain(a=shared, b=[shared, other], c={"k": shared})).copy()
    assert copied.a is copied.b[0] is copied.c["k"] is not shared
    assert copied.b[1] is not copied.a and copied.b[1] == copied.a


@pytest.mark.parametrize(
    "one", [0, 0.0, -0.0, False, 1, True, 1.0, "1", None, math.nan, Colour.RED]
)
def test_values_that_are_equal_and_not_the_same_are_kept_apart(one):
    for value in ([0], [-0.0], [1], [True], [1.0], {"a": 0}, {"a": False}, {0: 1}, {False: 1}):
        Snapshot(value)
    for value in ([one], {"a": one}, {one: "a"}, Plain(a=one), defaultdict(int, a=one)):
        assert anatomy(Snapshot(value).copy()) == anatomy(value)
    assert Snapshot(defaultdict(list)).copy()["new"] == []
    assert Snapshot(defaultdict(int)).copy()["new"] == 0


def test_values_that_are_gone_are_not_taken_for_new_ones():
    """Steps are shared by the identity of their values, and places in memory are used again."""
    for number in range(2000):
        assert Snapshot([number + 0.5, f"text {number}"]).copy() == [number + 0.5, f"text {number}"]


@pytest.mark.parametrize(
    "value",
    [{1}, (1, [2]), bytearray(b"a"), object(), len, lambda: 1, iter([1]), Plain, Slots()],
    ids=lambda value: type(value).__name__,
)
def test_what_a_snapshot_cannot_copy_is_refused(value):
    more = More()
    more.a = 1
    for each in (value, [value], {"a": [value]}, Plain(a=value), more):
        with pytest.raises(TypeError):
            Snapshot(each)


def test_attributes_beside_the_fields_are_refused():
    for value in (Open(more=1), Secret()):
        with pytest.raises(TypeError, match="extra or private"):
            Snapshot(value)
    assert Snapshot(Open()).copy() == Open()
