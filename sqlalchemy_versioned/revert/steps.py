"""What reverting does, as values: steps that can be read before anything is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import BindParameter, Null, UniqueConstraint

__all__ = [
    "Defer",
    "Delete",
    "Reload",
    "Restore",
    "RevertPlan",
    "SetCollection",
    "SetLink",
    "SetScalar",
    "SetValues",
    "Step",
    "Target",
    "Unlink",
    "Vacate",
]


class Step(Protocol):
    """One thing to do; ``str()`` says it in a line."""

    @property
    def target(self) -> Target:
        """The object it is done to."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """An object that takes part in a plan; there is one for each object."""

    cls: type[Any]
    #: Its primary key, or ``None`` for an object that was never flushed.
    identity: tuple[Any, ...] | None
    #: The object itself, or ``None`` while it has yet to be restored.
    live: Any | None

    def __str__(self) -> str:
        if self.identity is None:
            return f"new {self.cls.__name__}"
        key = self.identity[0] if len(self.identity) == 1 else self.identity
        return f"{self.cls.__name__} {key!r}"


@dataclass(frozen=True, slots=True)
class Restore:
    """Bring back an object that was deleted."""

    target: Target
    values: Mapping[str, Any]

    def __str__(self) -> str:
        return f"restore {self.target}{_assignments(self.values)}"


@dataclass(frozen=True, slots=True)
class SetValues:
    """Set columns of an object."""

    target: Target
    values: Mapping[str, Any]

    def __str__(self) -> str:
        return f"set {self.target}{_assignments(self.values)}"


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete an object."""

    target: Target

    def __str__(self) -> str:
        return f"delete {self.target}"


@dataclass(frozen=True, slots=True)
class SetScalar:
    """Let a relationship refer to one object, or to none."""

    target: Target
    key: str
    value: Target | None

    def __str__(self) -> str:
        return f"let {self.target} have {self.key} = {self.value}"


@dataclass(frozen=True, slots=True)
class SetCollection:
    """Let a relationship refer to exactly these objects."""

    target: Target
    key: str
    members: tuple[Target, ...]

    def __str__(self) -> str:
        members = ", ".join(map(str, self.members))
        return f"let {self.target} have {self.key} = [{members}]"


@dataclass(frozen=True, slots=True)
class Reload:
    """Let a relationship follow its columns when it is next asked for."""

    target: Target
    key: str

    def __str__(self) -> str:
        return f"reload {self.target}.{self.key}"


@dataclass(frozen=True, slots=True)
class SetLink:
    """Let a link have values in the other columns of its association table."""

    target: Target
    key: str
    member: Target
    #: By column key.
    values: Mapping[str, Any]
    #: Whether the table has a row of the link, which the relationship leaves alone.
    is_stored: bool

    def __str__(self) -> str:
        return f"link {self.target}.{self.key} to {self.member}{_assignments(self.values)}"


@dataclass(frozen=True, slots=True)
class Unlink:
    """Remove objects from a relationship for the time being."""

    target: Target
    key: str
    members: tuple[Target, ...]

    def __str__(self) -> str:
        return f"unlink {self.target}.{self.key} from {', '.join(map(str, self.members))}"


@dataclass(frozen=True, slots=True)
class Vacate:
    """Give up unique values for the time being; no validator is asked."""

    target: Target
    values: Mapping[str, Any]

    def __str__(self) -> str:
        return f"vacate {self.target}{_assignments(self.values)}"


@dataclass(frozen=True, slots=True)
class Defer:
    """Have a constraint checked at the end of the transaction."""

    #: One of the objects that will do without it until then.
    target: Target
    constraint: UniqueConstraint

    def __str__(self) -> str:
        return f"defer {self.constraint.name} of {self.target.cls.__name__}"


@dataclass(frozen=True, slots=True)
class RevertPlan:
    """What :meth:`.Version.revert` would do; everything that can be checked has been.

    ``str()`` gives one line for each step.

    >>> [type(step).__name__ for step in revert_plan(article.versions[0]).steps]
    ['SetValues']
    """

    #: The object that is reverted; ``None`` where a deletion is reverted to and has been done.
    target: Target | None
    #: What is done at once, in this order.
    steps: tuple[Step, ...]
    #: What is flushed first, one flush after each: what has to let go of unique values, and what
    #: has to be there before something else can refer to it.
    releases: tuple[tuple[Step, ...], ...] = field(default=())

    def __str__(self) -> str:
        first = [f"first {step}" for release in self.releases for step in release]
        return "\n".join([*first, *map(str, self.steps)])


def _assignments(values: Mapping[str, Any]) -> str:
    if not values:
        return ""
    return ": " + ", ".join(f"{key} = {_plain(value)!r}" for key, value in values.items())


def _plain(value: Any) -> Any:
    if isinstance(value, Null):
        return None
    parameter: Any = BindParameter
    return value.value if isinstance(value, parameter) else value
