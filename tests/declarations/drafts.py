"""Declarations of a whole schema, drawn by chance, as the text of a module."""

import random
from collections.abc import Iterable

from sqlalchemy_versioned.plugins import PropertyModTrackerPlugin, TransactionChangesPlugin
from tests.declarations.relations import add_association, add_links, add_reference
from tests.declarations.tables import (
    Entity,
    Key,
    declare_columns,
    declare_keys,
    declare_subclass,
    draw_keys,
    draw_options,
)

TABLES = (
    "thing",
    "order",
    "Mixed Case",
    "per%cent",
    "a_table_with_quite_a_long_name_for_" + "x" * 12,
)
PRELUDE = """\
from sqlalchemy import *
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import *
from tests.declarations.kinds import *


class Base(DeclarativeBase):
    metadata = MetaData({metadata})


"""
CONVENTIONS = (
    "",
    "",
    "naming_convention={'ix': 'ix_%(table_name)s_%(column_0_N_name)s', 'pk': 'pk_%(table_name)s', "
    "'fk': 'fk_%(table_name)s_%(column_0_N_name)s', 'uq': 'uq_%(table_name)s'}",
    "naming_convention={'ix': 'ix_%(column_0_label)s', 'version.table': 'v_%(table_name)s'}",
)


def draw_manager_options(chance: random.Random) -> dict[str, object]:
    """Return what ``make_versioned()`` is given."""
    options: dict[str, object] = {
        "strategy": chance.choice(("validity", "validity", "subquery", "append"))
    }
    if chance.random() < 0.2:
        options["use_module_name"] = True
    if chance.random() < 0.1:
        options["operation_type_column_name"] = "done"
    if chance.random() < 0.2:
        options["plugins"] = [chance.choice((PropertyModTrackerPlugin, TransactionChangesPlugin))()]
    return options


def draw_declarations(chance: random.Random, schemas: Iterable[str]) -> str:
    """Return the text of a module that declares a few classes.

    :param schemas: those that tables may be in, besides none.
    """
    draft = Draft(chance, list(schemas))
    draft.draw()
    return draft.source()


class Draft:
    """A schema that is being drawn."""

    def __init__(self, chance: random.Random, schemas: list[str]) -> None:
        self._chance = chance
        self._schemas = schemas
        self._entities: list[Entity] = []
        self._tables: list[str] = []
        self._convention = chance.choice(CONVENTIONS)
        self._names = iter("ABCDEFGHIJ")

    def draw(self) -> None:
        """Add classes, then what relates them."""
        chance = self._chance
        for _ in range(chance.choice((1, 2, 2, 3))):
            self._add_root()
        for number in range(chance.choice((1, 1, 2, 2, 3))):
            entity, target = chance.choices(self._entities, k=2)
            add_reference(entity, target, f"ref{number}", chance)
        for number in range(chance.choice((0, 1, 1, 2))):
            left, right = chance.choices(self._entities, k=2)
            self._tables.append(add_links(left, right, f"links{number}", chance))
        if chance.random() < 0.3:
            self._add_association()

    def source(self) -> str:
        """Return the text of the module."""
        prelude = PRELUDE.format(metadata=self._convention)
        classes = [entity.source() for entity in self._entities]
        return prelude + "\n".join([*self._tables, *classes])

    def _add_root(self) -> None:
        chance, name = self._chance, next(self._names)
        table = f"{chance.choice(TABLES)}_{name.lower()}" if chance.random() < 0.3 else f"t_{name}"
        schema = chance.choice([None, *self._schemas])
        entity = Entity(name, table, draw_keys(chance), schema)
        entity.options = draw_options(chance)
        declare_keys(entity)
        declare_columns(entity, chance, name.lower())
        self._entities.append(entity)
        if chance.random() < 0.5:
            self._add_subclasses(entity)
        if chance.random() < 0.12:
            entity.lines.append("counter = mapped_column(Integer, nullable=False)")
            entity.mapper["version_id_col"] = "counter"
        if chance.random() < 0.2:
            entity.mapper["eager_defaults"] = "True"

    def _add_subclasses(self, root: Entity) -> None:
        chance = self._chance
        root.lines.append("kind = mapped_column(String(20))")
        root.mapper |= {"polymorphic_on": "kind", "polymorphic_identity": repr(root.name.lower())}
        bases = [root]
        for number in range(chance.choice((1, 1, 2, 3))):
            base = chance.choice([each for each in bases if each.style != "concrete"])
            style = chance.choice(("joined", "joined", "single", "concrete"))
            if style == "concrete" and base.leaves_rows:
                style = "joined"
            name = f"{root.name}{number}"
            entity = Entity(name, f"t_{name}", base.keys, root.schema, base, style)
            if style == "single":
                entity.table = base.table
            elif chance.random() < 0.4:
                entity.keys = [
                    Key(f"{k.attribute}_{number}", f"own_{k.attribute}", k.type) for k in base.keys
                ]
            declare_subclass(entity, chance)
            declare_columns(entity, chance, name.lower())
            bases.append(entity)
            self._entities.append(entity)

    def _add_association(self) -> None:
        name = next(self._names)
        targets = self._chance.choices(self._entities, k=2)
        entity = Entity(name, f"t_{name}", [])
        entity.options = draw_options(self._chance)
        add_association(entity, targets, self._chance)
        declare_columns(entity, self._chance, name.lower())
        self._entities.append(entity)
