"""Relationships as they are drawn: what refers to what, and what becomes of it."""

import random

from tests.declarations.tables import Entity, Key

LAZY = ("select", "select", "select", "joined", "selectin", "subquery", "immediate")
#: What a foreign key says of rows that are deleted, and the cascades and ``passive_deletes`` that
#: go with it.
DELETIONS = (
    ("", "save-update, merge", None),
    ("", "save-update, merge", None),
    ("", "all", None),
    ("", "all, delete-orphan", None),
    ("CASCADE", "all, delete-orphan", "True"),
    ("CASCADE", "all", None),
    ("CASCADE", "save-update, merge", "'all'"),
    ("SET NULL", "save-update, merge", "True"),
    ("SET NULL", "save-update, merge", None),
    ("SET NULL", "all", "True"),
)


def declare_foreign_key(
    entity: Entity, target: Entity, role: str, *, rules: dict[str, str], primary: bool = False
) -> list[Key]:
    """Add columns that refer to *target*; return them."""
    keys = [Key(f"{role}_{k.attribute}", f"{role}_{k.attribute}", k.type) for k in target.keys]
    said = "".join(f", {name}={value!r}" for name, value in rules.items() if value)
    options = ", primary_key=True, autoincrement=False" if primary else ""
    if len(keys) == 1:
        key = f"ForeignKey('{target.place}.{target.keys[0].column}'{said})"
        entity.lines.append(f"{keys[0].attribute} = mapped_column({keys[0].type}, {key}{options})")
        return keys
    for each in keys:
        entity.lines.append(f"{each.attribute} = mapped_column({each.type}{options})")
    names = [each.column for each in keys]
    targets = [f"{target.place}.{each.column}" for each in target.keys]
    entity.arguments.append(f"ForeignKeyConstraint({names!r}, {targets!r}{said})")
    return keys


def draw_rules(chance: random.Random, ondelete: str) -> dict[str, str]:
    """Return what a foreign key does."""
    return {"ondelete": ondelete, "onupdate": "CASCADE" if chance.random() < 0.4 else ""}


def add_reference(entity: Entity, target: Entity, role: str, chance: random.Random) -> None:
    """Let objects of one class refer to one of another, or of their own, and be listed there."""
    if len(target.keys) > 1:
        # Constraints of several columns are declared with the table.
        entity = entity.owner
    ondelete, cascade, passive = chance.choice(DELETIONS)
    if ondelete == "CASCADE" and entity.style == "joined":
        # The database would delete a part of an object.
        ondelete, cascade, passive = DELETIONS[0]
    is_loop = entity.root is target.root or bool(target.relations)
    rules = draw_rules(chance, ondelete)
    keys = declare_foreign_key(entity, target, role, rules=rules)
    columns = f"[{', '.join(f'{entity.name}.{key.attribute}' for key in keys)}]"
    here = {"foreign_keys": repr(columns), "lazy": repr(_draw_lazy(chance, is_loop))}
    there = {"foreign_keys": repr(columns), "lazy": repr(_draw_lazy(chance, is_loop))}
    if entity.root is target.root:
        remote = ", ".join(f"{target.name}.{key.attribute}" for key in target.keys)
        here["remote_side"] = repr(f"[{remote}]")
        there["remote_side"] = repr(columns)
    if is_loop and chance.random() < 0.4:
        here["post_update"] = "True"
        there["post_update"] = "True"
    if not rules["onupdate"] and chance.random() < 0.4:
        there["passive_updates"] = here["passive_updates"] = "False"
    if chance.random() < 0.75:
        here["back_populates"], there["back_populates"] = repr(f"{role}_of"), repr(role)
        there["cascade"] = repr(cascade)
        if passive is not None:
            there["passive_deletes"] = passive
        there |= _draw_collection(chance)
        target.relations.append(_relationship(f"{role}_of", entity.name, there))
    entity.relations.append(_relationship(role, target.name, here))
    if entity.root is not target.root and chance.random() < 0.2:
        target.relations.append(_view(entity, target, keys, role))


def _view(entity: Entity, target: Entity, keys: list[Key], role: str) -> str:
    """Return a relationship to some of those that refer to an object."""
    pairs = zip(keys, target.keys, strict=True)
    conditions = [f"{entity.name}.{k.attribute} == {target.name}.{t.attribute}" for k, t in pairs]
    conditions.append(f"{entity.name}.{entity.name.lower()}n >= 3")
    said = {"primaryjoin": repr(f"and_({', '.join(conditions)})"), "viewonly": "True"}
    return _relationship(f"{role}_view", entity.name, said)


def _draw_lazy(chance: random.Random, is_loop: bool) -> str:
    return "select" if is_loop else chance.choice(LAZY)


def _draw_collection(chance: random.Random) -> dict[str, str]:
    kind = chance.choice(("list", "list", "list", "set", "one", "write_only", "dynamic"))
    if kind == "set":
        return {"collection_class": "set", "uselist": "True"}
    if kind in ("write_only", "dynamic"):
        return {"lazy": repr(kind), "uselist": "True"}
    return {"uselist": repr(kind != "one")}


def _relationship(name: str, target: str, arguments: dict[str, str]) -> str:
    said = "".join(f", {key}={value}" for key, value in arguments.items())
    return f"{name} = relationship({target!r}{said})"


def add_links(left: Entity, right: Entity, role: str, chance: random.Random) -> str:
    """Let objects of two classes be linked by a table; return the text that declares it."""
    cascades = chance.random() < 0.4
    names = [[f"{side}_{k.column}" for k in e.keys] for side, e in (("l", left), ("r", right))]
    here = {"secondary": f"'{role}'", "lazy": repr(_draw_lazy(chance, True))}
    if cascades:
        here["passive_deletes"] = "True"
    there = dict(here)
    if left.root is right.root:
        conditions = [
            _join(role, entity, side) for entity, side in zip((left, right), names, strict=True)
        ]
        here["primaryjoin"], here["secondaryjoin"] = conditions
        there["secondaryjoin"], there["primaryjoin"] = conditions
    if chance.random() < 0.7:
        here["back_populates"], there["back_populates"] = repr(f"{role}_of"), repr(role)
        right.relations.append(_relationship(f"{role}_of", left.name, there))
    left.relations.append(_relationship(role, right.name, here))
    columns = _columns_of_links([left, right], names, cascades, chance)
    return f"{role} = Table({role!r}, Base.metadata, {', '.join(columns)})\n"


def _join(table: str, entity: Entity, columns: list[str]) -> str:
    conditions = ", ".join(
        f"{entity.name}.{key.attribute} == {table}.c[{column!r}]"
        for key, column in zip(entity.keys, columns, strict=True)
    )
    return repr(f"and_({conditions})")


def _columns_of_links(
    entities: list[Entity], names: list[list[str]], cascades: bool, chance: random.Random
) -> list[str]:
    """Return what an association table consists of; *names* are those of its foreign keys."""
    shape = chance.choice(("key", "key", "number", "unique", "bare"))
    columns = ["Column('number', Integer, primary_key=True)"] if shape == "number" else []
    is_key = ", primary_key=True, autoincrement=False" if shape == "key" else ", nullable=False"
    rules = ", ondelete='CASCADE', onupdate='CASCADE'" if cascades else ""
    for side, entity in zip(names, entities, strict=True):
        pairs = zip(side, entity.keys, strict=True)
        columns += [f"Column({name!r}, {key.type}{is_key})" for name, key in pairs]
        targets = [f"{entity.place}.{key.column}" for key in entity.keys]
        columns.append(f"ForeignKeyConstraint({side!r}, {targets!r}{rules})")
    if shape == "unique":
        columns.append(f"UniqueConstraint({', '.join(map(repr, names[0] + names[1]))})")
    if shape != "bare" and chance.random() < 0.4:
        columns.append("Column('position', Integer, server_default='7')")
    return columns


def add_association(entity: Entity, targets: list[Entity], chance: random.Random) -> None:
    """Let the objects of a class be what links those of others, which they are told apart by."""
    for side, target in zip(("l", "r"), targets, strict=True):
        role = f"{entity.name.lower()}_{side}"
        rules = draw_rules(chance, chance.choice(("", "CASCADE")))
        keys = declare_foreign_key(entity, target, role, rules=rules, primary=True)
        entity.keys += keys
        columns = repr(f"[{', '.join(f'{entity.name}.{key.attribute}' for key in keys)}]")
        there = {"foreign_keys": columns, "back_populates": repr(role)}
        there["cascade"] = repr(chance.choice(("all, delete-orphan", "all", "save-update, merge")))
        if rules["ondelete"]:
            there["passive_deletes"] = chance.choice(("True", "False"))
        here = {"foreign_keys": columns, "back_populates": repr(f"{role}_of")}
        entity.relations.append(_relationship(role, target.name, here))
        target.relations.append(_relationship(f"{role}_of", entity.name, there))
