"""`@dataclass(frozen=True)` in a third of the time; `field`, `fields` and `replace` of `dataclasses` work with it.

The decorator of the standard library compiles six methods for each class. For the 70 classes that `check` needs, that
was a fifth of its time. Here only `__init__` is compiled; all classes share the others. A type checker sees the
decorator of the standard library.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - exported
else:

    def dataclass(*, frozen: bool, kw_only: bool = False):
        """Return the decorator of a class whose instances do not change; it has no other form, so `frozen` is True."""
        if not frozen:
            raise ValueError(frozen)

        def decorate(cls: type) -> type:
            own = {name: method for name, method in _SHARED.items() if name not in cls.__dict__}
            made = dataclasses.dataclass(eq=False, repr=False, kw_only=kw_only)(cls)
            for name, method in own.items():
                setattr(made, name, method)
            return made

        return decorate


def _compared(instance: Any) -> tuple[object, ...]:
    fields = instance.__dataclass_fields__.values()
    return tuple(getattr(instance, field.name) for field in fields if field.compare)


def _eq(self: Any, other: object) -> object:
    """Compare the fields of two instances of the same class."""
    if other.__class__ is not self.__class__:
        return NotImplemented
    return _compared(self) == _compared(other)


def _hash(self: Any) -> int:
    """Return a hash of the fields; raises TypeError if a field has none."""
    return hash(_compared(self))


def _repr(self: Any) -> str:
    """Return the call that makes an equal instance."""
    shown = (
        f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr
    )
    return f"{self.__class__.__qualname__}({', '.join(shown)})"


def _set(self: Any, name: str, value: object) -> None:
    """Set a field for the first time, in `__init__`; raises FrozenInstanceError afterwards."""
    if name in self.__dict__ or name not in self.__dataclass_fields__:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
    self.__dict__[name] = value


def _delete(_self: Any, name: str) -> None:
    """Raise FrozenInstanceError."""
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


_SHARED = {"__eq__": _eq, "__hash__": _hash, "__repr__": _repr, "__setattr__": _set, "__delattr__": _delete}
