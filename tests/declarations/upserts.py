"""Programs that write by statements that few databases spell alike, or that read others as well."""

from typing import Any

from sqlalchemy import Column, Table, bindparam, insert, inspect, literal, select, update
from sqlalchemy.dialects import mysql, postgresql, sqlite

from tests.declarations.attributes import (
    columns_of,
    key_columns,
    key_names,
    key_of,
    references,
    said,
)
from tests.declarations.statements import ProgramOfStatements, local_columns
from tests.declarations.worlds import is_root

INSERTS: dict[str, Any] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
    "mysql": mysql.insert,
    "mariadb": mysql.insert,
}


class ProgramOfUpserts(ProgramOfStatements):
    """Steps that insert what may be there, copy rows, and change many by what others are."""

    STEPS = {
        **ProgramOfStatements.STEPS,
        **{"upsert": 6, "copy": 3, "rekey_rows": 2, "update_from": 3, "update_many": 3},
        **{"update_by_key": 2},
    }

    def _upsert(self) -> None:
        """Insert rows, or what becomes of those that are there already."""
        cls = self._whole_class()
        mapper = inspect(cls)
        table = mapper.local_table
        rows = [self._complete(mapper, row) for row in self._rows_maybe_there(cls)]
        if not rows:
            return
        dialect = self.session.get_bind().dialect.name
        statement = INSERTS[dialect](self.chance.choice((cls, table))).values(rows)
        statement = self._or_else(statement, table, rows, dialect)
        if dialect != "mysql" and self.chance.random() < 0.3:
            statement = statement.returning(*table.primary_key)
        self._execute(statement)

    def _whole_class(self) -> Any:
        """Return a class whose objects are rows of one table."""
        return self.chance.choice(
            [
                cls
                for cls in self.world.roots
                if not any(c.foreign_keys for c in inspect(cls).local_table.primary_key)
            ]
            or self.world.roots
        )

    def _rows_maybe_there(self, cls: type) -> list[dict[str, Any]]:
        rows = self._rows(cls)
        found = self.any(cls)
        if found is not None and self.chance.random() < 0.8:
            mapper = inspect(cls)
            key = dict(zip(key_names(mapper), key_of(found), strict=True))
            values = self.values(mapper, 1) | self._references(mapper)
            rows = [row for row in rows if any(row[name] != key[name] for name in key)]
            rows.append({**values, **key})
        names = set.intersection(*[set(row) for row in rows]) if rows else set()
        return [{name: row[name] for name in row if name in names} for row in rows]

    def _complete(self, mapper: Any, row: dict[str, Any]) -> dict[str, Any]:
        """Return a row by its columns, with what tells of which class its object is."""
        table = mapper.local_table
        found = columns_of(mapper, row)
        if mapper.polymorphic_on is not None and mapper.polymorphic_identity is not None:
            found[mapper.polymorphic_on.key] = mapper.polymorphic_identity
        if mapper.version_id_col is not None:
            found[mapper.version_id_col.key] = 1
        return {name: value for name, value in found.items() if name in table.c}

    def _or_else(self, statement: Any, table: Table, rows: Any, dialect: str) -> Any:
        """Say what becomes of a row that is there already."""
        free = [c for c in table.c if not c.primary_key and c.key in rows[0] and c.key != "kind"]
        chosen = self.chance.sample(free, min(len(free), self.chance.choice((0, 1, 2, 3))))
        if dialect in ("mysql", "mariadb"):
            if not chosen:
                return statement.prefix_with("IGNORE")
            return statement.on_duplicate_key_update(
                {c.key: statement.inserted[c.key] for c in chosen}
            )
        if not chosen:
            if dialect == "sqlite" and self.chance.random() < 0.3:
                return statement.prefix_with("OR REPLACE")
            return statement.on_conflict_do_nothing()
        uniques = [[c] for c in table.c if c.unique and c.key in rows[0]]
        where = None
        if self.chance.random() < 0.2:
            where = chosen[0].is_not(None)
        return statement.on_conflict_do_update(
            index_elements=self.chance.choice([list(table.primary_key), *uniques]),
            set_={c.key: statement.excluded[c.key] for c in chosen},
            where=where,
        )

    def _copy(self) -> None:
        """Insert rows that are selected."""
        cls = self._whole_class()
        mapper = inspect(cls)
        table = mapper.local_table
        found, key = self.any(cls), self.new_key(cls)
        if found is None or not key or found in self.session.new:
            return
        keys = columns_of(mapper, key)
        columns = [c for c in table.c if not c.computed]
        pairs = zip(mapper.primary_key, key_of(found), strict=True)
        source = select(
            *[literal(keys[c.key], c.type) if c.key in keys else c for c in columns]
        ).where(*[column == value for column, value in pairs])
        target = self.chance.choice((cls, table))
        self._execute(insert(target).from_select([c.key for c in columns], source))

    def _rekey_rows(self) -> None:
        """Give a row another key by a statement."""
        cls = self._whole_class()
        found, key = self.any(cls), self.new_key(cls)
        if found is None or not key:
            return
        pairs = zip(key_columns(inspect(cls)), key_of(found), strict=True)
        statement = update(cls).where(*[column == value for (_, column), value in pairs])
        self._execute(statement.values(**key).execution_options(**self._synchronize()))

    def _update_from(self) -> None:
        """Give rows what those have that they refer to."""
        cls = self.chance.choice(self.world.classes)
        mapper = inspect(cls)
        chosen = [
            (reference, pair, other)
            for reference in references(mapper)
            if reference.mapper.local_table is not mapper.local_table
            for pair in local_columns(mapper)
            for other in local_columns(reference.mapper)
            if type(pair[1].type) is type(other[1].type)
        ]
        if not chosen:
            return
        reference, (name, _), (_, other) = self.chance.choice(chosen)
        conditions = [local == remote for local, remote in reference.local_remote_pairs]
        if self.chance.random() < 0.5:
            value: Any = other
            condition = conditions
        else:
            value = select(other).where(*conditions).correlate(mapper.local_table)
            value = value.scalar_subquery()
            condition = []
        self._execute(update(cls).where(*condition).values({name: value}))

    def _update_many(self) -> None:
        """Change rows of one table, a set of parameters for each."""
        table = self.chance.choice([t for t in self.world.tables if t not in self.world.links])
        free: list[Column[Any]] = [
            c
            for c in table.c
            if not (c.primary_key or c.foreign_keys or c.computed)
            and c.name not in ("kind", "counter")
        ]
        with self.session.no_autoflush:
            rows = self.session.execute(table.select().order_by(*self._order(table))).all()
        if not rows or not free:
            return
        column = self.chance.choice(free)
        keys = list(table.primary_key)
        statement = (
            table.update()
            .where(*[c == bindparam(f"k{number}", type_=c.type) for number, c in enumerate(keys)])
            .values({column: bindparam("v", type_=column.type)})
        )
        sets = [
            {"v": self.value(column)}
            | {f"k{number}": row._mapping[c] for number, c in enumerate(keys)}
            for row in self.chance.choices(rows, k=self.chance.choice((1, 2, 3)))
        ]
        self._say(f"{table.name} {column.name} {sets}")
        self.session.execute(statement, sets) if len(
            sets
        ) == 1 else self.session.connection().execute(statement, sets)
        self.session.expire_all()

    def _update_by_key(self) -> None:
        """Change objects of one class, a set of values for each."""
        self.session.flush()
        cls = self.chance.choice(self.world.classes)
        mapper = inspect(cls)
        if not (found := self.objects(cls)) or not is_root(mapper):
            return
        names = list(self.values(mapper, 0.5))
        columns = {prop.key: prop.columns[0] for prop in mapper.column_attrs}
        rows = []
        for obj in self.chance.sample(found, min(len(found), 2)):
            key = dict(zip(key_names(mapper), key_of(obj), strict=True))
            rows.append({**{name: self.value(columns[name]) for name in names}, **key})
        if not names:
            return
        self._say(f"{cls.__name__} {[said(row) for row in rows]}")
        self.session.execute(update(cls), rows)
        self.session.expire_all()
