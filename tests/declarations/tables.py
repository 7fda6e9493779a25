"""Classes as they are drawn: their keys, columns and options, and the text that declares them."""

import random
from dataclasses import dataclass, field
from functools import cached_property

from tests.declarations.kinds import KEY_TYPES, TYPES

#: What a column that counts may have beside its type.
NUMBER_OPTIONS = (
    *("", "", "index=True", "default=3", "server_default='4'", "default=3, onupdate=5"),
    *("nullable=False, server_default='1'", "onupdate=func.abs(-6)", "default=func.abs(-3)"),
)
#: What some databases have no index for.
UNINDEXED = ("JSON", "PickleType", "LargeBinary")
OPTIONS = (
    *("", "", "", "deferred=True", "index=True", "active_history=True", "key='%s key'"),
    "deferred=True, deferred_group='later'",
)


@dataclass(frozen=True)
class Key:
    """A column of a primary key."""

    attribute: str
    column: str
    type: str


@dataclass
class Entity:
    """A class that is being drawn."""

    name: str
    table: str
    keys: list[Key]
    schema: str | None = None
    base: "Entity | None" = None
    #: How it inherits: joined, single or concrete.
    style: str = ""
    lines: list[str] = field(default_factory=list)
    #: Further lines, which need the others.
    relations: list[str] = field(default_factory=list)
    #: Lines after the class.
    later: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    mapper: dict[str, str] = field(default_factory=dict)
    #: Options of versioning; None of a class without versions.
    options: dict[str, object] | None = field(default_factory=dict)

    @cached_property
    def root(self) -> "Entity":
        """The class whose objects its own are among."""
        return self if self.base is None or self.style == "concrete" else self.base.root

    @property
    def owner(self) -> "Entity":
        """The class that has declared its table."""
        return self.base.owner if self.base and self.style == "single" else self

    @property
    def leaves_rows(self) -> bool:
        """Whether SQLAlchemy would not delete the rows of a concrete class below it."""
        above = self.base is not None and self.base.leaves_rows
        return above or "passive_deletes" in self.mapper

    @property
    def place(self) -> str:
        """The table, as foreign keys name it."""
        return f"{self.schema}.{self.table}" if self.schema else self.table

    def source(self) -> str:
        """Return the text that declares it."""
        lines = []
        if self.style != "single":
            lines.append(f"__tablename__ = {self.table!r}")
            table = repr({"schema": self.schema} if self.schema else {})
            lines.append(f"__table_args__ = ({''.join(f'{a}, ' for a in self.arguments)}{table},)")
        if self.base is None and self.options is not None:
            lines.append(f"__versioned__ = {self.options!r}")
        lines += [*self.lines, *self.relations]
        if self.mapper:
            pairs = ", ".join(f"{name!r}: {value}" for name, value in self.mapper.items())
            lines.append(f"__mapper_args__ = {{{pairs}}}")
        base = self.base.name if self.base else "Base"
        body = "".join(f"    {line}\n" for line in lines)
        return f"class {self.name}({base}):\n{body}" + "".join(f"{line}\n" for line in self.later)


def draw_keys(chance: random.Random) -> list[Key]:
    """Return one to three columns of various types; one is often a number of the database."""
    if chance.random() < 0.4:
        return [Key("id", chance.choice(("id", "ID", "the id")), "Integer")]
    names = chance.sample(("id", "code", "part"), chance.choice((1, 1, 2, 2, 3)))
    # Version tables have enums as text, of which MariaDB has no index over many.
    types = chance.sample(KEY_TYPES, len(names))
    return [
        Key(name, chance.choice((name, name, f"{name} column")), type_)
        for name, type_ in zip(names, types, strict=True)
    ]


def declare_keys(entity: Entity) -> None:
    """Add the columns of a key that is its own."""
    is_single = len(entity.keys) == 1
    for key in entity.keys:
        numbered = "" if is_single else ", autoincrement=False"
        entity.lines.append(
            f"{key.attribute} = mapped_column({key.column!r}, {key.type}"
            f", primary_key=True{numbered})"
        )


def declare_columns(entity: Entity, chance: random.Random, prefix: str) -> None:
    """Add columns that are no keys, and attributes that are made of them."""
    for number in range(chance.randint(1, 3)):
        name, type_ = f"{prefix}{number}", chance.choice(TYPES)
        options = chance.choice(OPTIONS)
        if options == "index=True" and type_ in UNINDEXED:
            options = ""
        parts = [repr(chance.choice((name, name, f"{name}Col"))), type_]
        parts.append(options % name if "%s" in options else options)
        entity.lines.append(f"{name} = mapped_column({', '.join(filter(None, parts))})")
        if type_ == "JSON" and chance.random() < 0.5:
            # Not as_mutable(), which listens to all mappers for good.
            entity.later.append(f"MutableDict.associate_with_attribute({entity.name}.{name})")
        _maybe_leave_out(entity, name, chance)
    number_name = f"{prefix}n"
    options = chance.choice(NUMBER_OPTIONS)
    entity.lines.append(
        f"{number_name} = mapped_column({', '.join(filter(None, ('Integer', options)))})"
    )
    for declare in chance.sample(MADE, chance.choice((0, 1, 1, 2))):
        entity.lines += [line.format(p=prefix, n=number_name) for line in declare]


def _maybe_leave_out(entity: Entity, name: str, chance: random.Random) -> None:
    if entity.options is not None and entity.base is None and chance.random() < 0.16:
        listed = entity.options.setdefault(chance.choice(("exclude", "ignore", "mask")), [])
        assert isinstance(listed, list)
        listed.append(name)


#: Attributes that are made of the column ``{n}``, or have columns of their own.
MADE = (
    ("{p}synonym = synonym('{n}')",),
    ("{p}computed = mapped_column(Integer, Computed('{n} * 2', persisted=True))",),
    ("{p}property = column_property({n}.column + 1)",),
    (
        "{p}x = mapped_column(Integer)",
        "{p}y = mapped_column(Integer)",
        "{p}point = composite(Point, {p}x, {p}y)",
    ),
    (
        "@hybrid_property",
        "def {p}hybrid(self): return self.{n}",
        "@{p}hybrid.inplace.setter",
        "def _{p}set_hybrid(self, value): self.{n} = value",
    ),
)


def draw_options(chance: random.Random) -> dict[str, object] | None:
    """Return options of one class; None if it has no versions."""
    if chance.random() < 0.08:
        return None
    options: dict[str, object] = {}
    for name, value, share in OPTIONS_OF_CLASSES:
        if chance.random() < share:
            options[name] = value
    return options


OPTIONS_OF_CLASSES = (
    ("table_name", "%s_history", 0.1),
    ("transaction_column_name", "tx", 0.1),
    ("end_transaction_column_name", "tx_end", 0.1),
    ("operation_type_format", "code", 0.15),
    ("issued_at_column_name", "written_at", 0.1),
    ("immutable_versions", True, 0.1),
    ("class_name", "%sOfThePast", 0.1),
    ("strategy", "validity", 0.07),
    ("strategy", "subquery", 0.07),
    ("strategy", "append", 0.07),
)


def declare_subclass(entity: Entity, chance: random.Random) -> None:
    """Add what tells the objects of a subclass, and where they have a table, its key."""
    base = entity.base
    assert base is not None
    entity.mapper["polymorphic_identity"] = repr(entity.name.lower())
    if entity.style == "concrete":
        entity.mapper = {"concrete": "True"}
        declare_keys(entity)
    if entity.style == "joined":
        cascade = chance.choice(("", "", ", ondelete='CASCADE'", ", onupdate='CASCADE'"))
        if "ondelete" in cascade and chance.random() < 0.5:
            entity.mapper["passive_deletes"] = "True"
        names = [f"{key.column}" for key in entity.keys]
        targets = [f"{base.place}.{key.column}" for key in base.keys]
        entity.arguments.append(f"ForeignKeyConstraint({names!r}, {targets!r}{cascade})")
        pairs = zip(entity.keys, base.keys, strict=True)
        conditions = ", ".join(
            f"{key.attribute}.column == {base.owner.name}.__table__.c[{above.column!r}]"
            for key, above in pairs
        )
        entity.mapper["inherit_condition"] = f"and_({conditions})"
        for key in entity.keys:
            entity.lines.append(
                f"{key.attribute} = mapped_column({key.column!r}, {key.type}, primary_key=True"
                ", autoincrement=False)"
            )
    if entity.style != "concrete" and chance.random() < 0.3:
        entity.mapper["polymorphic_load"] = repr(chance.choice(("inline", "selectin")))
