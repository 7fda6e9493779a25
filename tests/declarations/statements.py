"""Programs that write by statements and bulk methods as well."""

from typing import Any

from sqlalchemy import Column, Integer, Table, delete, insert, inspect, update

from tests.declarations.attributes import key_names, key_of, references, said, settable_columns
from tests.declarations.kinds import draw_value
from tests.declarations.programs import Program


class ProgramOfStatements(Program):
    """Steps that write past the unit of work, beside those that do not."""

    STEPS = {
        **Program.STEPS,
        **{"update": 4, "delete_rows": 2, "insert": 3, "bulk_save": 1, "bulk_insert": 1},
        **{"bulk_update": 2, "write_table": 3, "link": 3, "unlink": 2, "insert_loaded": 1},
    }

    def _condition(self, cls: type) -> Any:
        """Return which objects a statement is for: one, some, or all."""
        mapper = inspect(cls)
        found = self.any(cls)
        if found is not None and self.chance.random() < 0.7:
            pairs = zip(mapper.local_table.primary_key, key_of(found), strict=True)
            return [column == value for column, value in pairs]
        choices = [pair for pair in local_columns(mapper) if pair[1].type.python_type is int]
        if choices and self.chance.random() < 0.8:
            name, column = self.chance.choice(choices)
            return [getattr(cls, name) >= draw_value(self.chance, column.type)]
        return []

    def _synchronize(self) -> dict[str, Any]:
        return {"synchronize_session": self.chance.choice(("auto", "fetch", False))}

    def _update(self) -> None:
        cls = self.chance.choice(self.world.classes)
        choices = local_columns(inspect(cls))
        chosen = self.chance.sample(choices, min(len(choices), self.chance.choice((1, 1, 2))))
        values: dict[str, Any] = {name: self.value(column) for name, column in chosen}
        for name, column in chosen:
            if isinstance(column.type, Integer) and self.chance.random() < 0.3:
                values[name] = getattr(cls, name) * 2
        self._say(f"{cls.__name__} {said(values)}")
        statement = update(cls).where(*self._condition(cls)).values(**values)
        self._execute(statement.execution_options(**self._synchronize()))

    def _delete_rows(self) -> None:
        # Of one of another class it would delete a part.
        cls = self.chance.choice(self.world.roots)
        statement = delete(cls).where(*self._condition(cls))
        self._execute(statement.execution_options(**self._synchronize()))

    def _execute(self, statement: Any) -> None:
        self.trace[-1] += f" {statement!s} {statement.compile().params}".replace("\n", " ")
        self.session.execute(statement)
        # What is left to be synchronized is not what a test is about.
        self.session.expire_all()

    def _rows(self, cls: type) -> list[dict[str, Any]]:
        mapper = inspect(cls)
        if any(column.foreign_keys for column in mapper.local_table.primary_key):
            return []
        rows = []
        for _ in range(self.chance.choice((1, 2, 3))):
            key = self.new_key(cls)
            if key and key not in [{name: row.get(name) for name in key} for row in rows]:
                row = {
                    name: draw_value(self.chance, c.type) for name, c in settable_columns(mapper)
                }
                rows.append({**row, **key, **self._references(mapper)})
        return rows

    def _references(self, mapper: Any) -> dict[str, Any]:
        """Return values of foreign keys, by attribute."""
        values: dict[str, Any] = {}
        for reference in references(mapper):
            target = self.any(reference.mapper.class_)
            if target is None or target in self.session.new or self.chance.random() < 0.4:
                values |= {
                    mapper.get_property_by_column(c).key: None for c in reference.local_columns
                }
                continue
            for local, remote in reference.local_remote_pairs:
                name = inspect(type(target)).get_property_by_column(remote).key
                values[mapper.get_property_by_column(local).key] = getattr(target, name)
        return values

    def _insert(self) -> None:
        cls = self.chance.choice(self.world.classes)
        if rows := self._rows(cls):
            self._say(f"{cls.__name__} {rows}")
            self.session.execute(insert(cls), rows)

    def _insert_loaded(self) -> None:
        """Insert rows, and have their objects."""
        cls = self.chance.choice(self.world.classes)
        dialect = self.session.get_bind().dialect
        if dialect.insert_returning and (rows := self._rows(cls)):
            self._say(f"{cls.__name__} {rows}")
            found = self.session.scalars(insert(cls).returning(cls), rows).all()
            self._change(self.chance.choice(found))

    def _change(self, found: Any) -> None:
        """Change an object at once."""
        for name, value in self.values(inspect(type(found)), 0.4).items():
            setattr(found, name, value)

    def _bulk_insert(self) -> None:
        cls = self.chance.choice(self.world.classes)
        if rows := self._rows(cls):
            self._say(f"{cls.__name__} {rows}")
            self.session.bulk_insert_mappings(inspect(cls), rows)

    def _bulk_save(self) -> None:
        made = self.make()
        if made is not None and made not in self.session:
            self.session.bulk_save_objects([made])

    def _bulk_update(self) -> None:
        self.session.flush()
        if (found := self.any()) is None:
            return
        mapper = inspect(type(found))
        key = dict(zip(key_names(mapper), key_of(found), strict=True))
        values = {**self.values(mapper, 0.5), **key}
        self._say(f"{type(found).__name__} {said(values)}")
        self.session.bulk_update_mappings(mapper, [values])
        self.session.expire_all()

    def _write_table(self) -> None:
        """Change or delete rows of one table by its columns."""
        table = self.chance.choice([t for t in self.world.tables if t not in self.world.links])
        choices = [c for c in table.c if not (c.primary_key or c.foreign_keys or c.computed)]
        choices = [column for column in choices if column.name not in ("kind", "counter")]
        condition = self._row_condition(table)
        is_whole = any(inspect(cls).local_table is table for cls in self.world.roots)
        if is_whole and (not choices or self.chance.random() < 0.3):
            self._execute(table.delete().where(*condition))
        elif choices:
            column = self.chance.choice(choices)
            self._execute(table.update().where(*condition).values({column: self.value(column)}))

    def _row_condition(self, table: Table) -> list[Any]:
        with self.session.no_autoflush:
            rows = self.session.execute(table.select().order_by(*self._order(table))).all()
        if not rows or self.chance.random() < 0.15:
            return []
        row = self.chance.choice(rows)._mapping
        return [column == row[column] for column in table.primary_key or table.c]

    def _order(self, table: Table) -> list[Column[Any]]:
        return list(table.primary_key) or [c for c in table.c if c.foreign_keys]

    def _link(self) -> None:
        """Insert a row of links."""
        if not self.world.links:
            return
        table = self.chance.choice(self.world.links)
        row: dict[str, Any] = {}
        for constraint in sorted(table.foreign_key_constraints, key=lambda c: c.column_keys):
            with self.session.no_autoflush:
                targets = [element.column for element in constraint.elements]
                remote = targets[0].table
                found = self.session.execute(remote.select().order_by(*remote.primary_key)).all()
            if not found:
                return
            target = self.chance.choice(found)._mapping
            names = [element.parent.name for element in constraint.elements]
            row |= dict(zip(names, [target[c] for c in targets], strict=True))
        with self.session.no_autoflush:
            there = self.session.execute(table.select()).mappings().all()
        if any(all(each[n] == value for n, value in row.items()) for each in there):
            return
        self._say(str(row))
        self._execute(table.insert().values(row))

    def _unlink(self) -> None:
        if self.world.links:
            table = self.chance.choice(self.world.links)
            self._execute(table.delete().where(*self._row_condition(table)))


def local_columns(mapper: Any) -> list[tuple[str, Column[Any]]]:
    """Return what can be set of the table of a class itself."""
    return [pair for pair in settable_columns(mapper) if pair[1].table is mapper.local_table]
