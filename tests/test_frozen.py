"""The shared methods of frozen data classes do what the compiled ones of the standard library do."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from paddlevl_doctor.frozen import dataclass


@dataclass(frozen=True)
class Ours:
    """A value with each kind of field."""

    name: str
    size: int = 3
    parts: tuple[str, ...] = ()
    seen: list[str] = dataclasses.field(default_factory=list, compare=False, repr=False)

    @property
    def shown(self) -> str:
        return f"{self.name} {self.size}"


@dataclass(frozen=True)
class Child(Ours):
    """A value with an inherited field, and a hash of its own."""

    more: str = ""

    def __hash__(self) -> int:
        return 7


@dataclasses.dataclass(frozen=True)
class Standard:
    """The same as `Ours`, by the standard library."""

    name: str
    size: int = 3
    parts: tuple[str, ...] = ()
    seen: list[str] = dataclasses.field(default_factory=list, compare=False, repr=False)


@pytest.mark.parametrize("make", [Ours, Standard])
def test_a_frozen_value_behaves_as_one_of_the_standard_library(make: Callable[..., Any]) -> None:
    value = make("a", parts=("x",))
    assert (value, hash(value)) == (make("a", 3, ("x",), ["other"]), hash(("a", 3, ("x",))))
    assert (value != make("b", 3, ("x",)), value == ("a", 3, ("x",))) == (True, False)
    assert repr(value) == f"{make.__name__}(name='a', size=3, parts=('x',))"  # type: ignore[attr-defined]
    assert dataclasses.replace(value, size=4) == make("a", 4, ("x",))
    assert dataclasses.asdict(value) == {"name": "a", "size": 3, "parts": ("x",), "seen": []}
    assert copy.deepcopy(value) == pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - its own data
    for name in ("size", "unknown"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        del value.size


def test_a_child_is_another_class_and_keeps_its_own_methods() -> None:
    assert (Child("a") == Ours("a"), Child("a", more="b") == Child("a", more="b")) == (False, True)
    assert (hash(Child("a")), Child("a").shown) == (7, "a 3")
    assert [field.name for field in dataclasses.fields(Child)] == ["name", "size", "parts", "seen", "more"]
