"""The Transaction class: one row for each transaction that wrote something versioned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    MetaData,
    Sequence,
    String,
    Table,
    and_,
    inspect,
    select,
)
from sqlalchemy.orm import Mapper, object_session, registry, relationship
from sqlalchemy.orm.exc import DetachedInstanceError
from sqlalchemy.sql.schema import BLANK_SCHEMA

from .. import _sqlalchemy
from .._typing import find_mapper, mapper_of, type_of
from ..database.sessions import awaited_as, flush
from ..exc import ImproperlyConfigured, NoChangesAttribute
from ..model.lookup import MANAGER, ensure_bound
from ..model.mapping import USER_IS_SAID
from ..model.naming import cut_name, name_indexes
from ..query.entities import families, is_of_classes, select_changed
from ..recording.stamps import utc_now
from .classes import build_mapped_class
from .columns import UTCDateTime, transaction_id_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy.orm import Session

    from ..model.spec import ClassSpec

__all__ = [
    "ADDRESS_LENGTH",
    "TransactionBase",
    "TransactionFactory",
    "UTCDateTime",
    "copy_transaction_table",
    "extend_transaction_table",
    "forget_transaction_table",
]

#: How many characters ``remote_addr`` holds: any address, with a zone of usual length.
ADDRESS_LENGTH = 50


class TransactionBase:
    """What every Transaction can do, also one of the application's own making.

    >>> isinstance(first, TransactionBase)
    True
    """

    id: Any
    issued_at: Any

    @property
    @awaited_as("changed_entities(…)")
    def changed_entities(self) -> dict[type[Any], list[Any]]:
        """The versions this transaction made, by version class; one query for each class.

        A version is listed under its own class only, and classes without one are left out. Where
        no column tells the classes of a hierarchy apart, it is listed under the base-most.

        :raises ~sqlalchemy.orm.exc.DetachedInstanceError: if the transaction was taken out of its
            session.

        >>> {cls.__name__: len(found) for cls, found in last.changed_entities.items()}
        {'ArticleVersion': 1}
        """
        return {cls: found for cls, found in self._changes() if found}

    @property
    @awaited_as("entity_names(…)")
    def entity_names(self) -> list[str]:
        """The names of the classes of which this transaction changed objects, sorted.

        No versions are loaded; a hierarchy of classes takes one query.

        :raises NoChangesAttribute: if the transaction belongs to no session.

        >>> last.entity_names
        ['Article']
        """
        session = object_session(self)
        if session is None:
            raise NoChangesAttribute(
                f"{self!r} belongs to no session, so what it changed cannot be read; add it to one"
            )
        recorded = self._recorded_names()
        if recorded is None:
            # Its id may be known, or change, with what waits to be written.
            flush(session)
            recorded = {spec.parent_class.__name__ for spec in self._changed_classes(session)}
        return sorted(recorded)

    def _recorded_names(self) -> set[str] | None:
        """Return the names of the classes of changed objects, if a plugin has recorded them."""
        return None

    def _changed_classes(self, session: Session) -> Iterator[ClassSpec]:
        for family in self._families():
            ensure_bound(session, family[0])
            row = session.execute(
                select_changed(family, self.id),
                bind_arguments={"mapper": mapper_of(family[0].version_class)},
            ).one()
            yield from (spec for spec, is_changed in zip(family, row, strict=True) if is_changed)

    def _families(self) -> Iterator[list[ClassSpec]]:
        parents = getattr(type(self), MANAGER).parent_class_map
        return families([cls.__version_spec__ for cls in parents])

    def _changes(self) -> Iterator[tuple[type[Any], list[Any]]]:
        session = object_session(self)
        if session is None:
            if inspect(self).detached:
                raise DetachedInstanceError(
                    f"{self!r} is in no session, so what it changed cannot be read; add it to one"
                )
            return
        recorded = self._recorded_names()
        flush(session)
        for family in self._families():
            if recorded is not None:
                names = {spec.parent_class.__name__ for spec in family}
                if names.isdisjoint(recorded):
                    continue
            known = {spec.version_class for spec in family}
            ensure_bound(session, family[0])
            for spec in family:
                # The query of a superclass finds it, too.
                if known.isdisjoint(spec.superclasses):
                    yield from self._changes_of(spec, family, session).items()

    def _changes_of(
        self, spec: ClassSpec, family: list[ClassSpec], session: Session
    ) -> dict[type[Any], list[Any]]:
        """Return the versions of a class, and of those below it, by class."""
        cls, found = spec.version_class, dict[type[Any], list[Any]]()
        statement = select(cls).where(getattr(cls, spec.transaction_key) == self.id)
        # Rows of classes that are not versioned may be recorded with others of their table.
        if (is_known := is_of_classes(family)) is not None:
            statement = statement.where(is_known)
        for version in session.scalars(statement.order_by(*mapper_of(cls).primary_key)):
            found.setdefault(type_of(version), []).append(version)
        return found

    def __repr__(self) -> str:
        # What is not loaded is left out: it may be shown where no session can load it.
        identity = inspect(self).identity
        known = {**({} if identity is None else {"id": identity[0]}), **self.__dict__}
        names = ("id", "issued_at", "user" if "user" in known else "user_id")
        shown = ", ".join(f"{name}={known[name]!r}" for name in names if name in known)
        return f"<Transaction {shown}>"


class TransactionFactory:
    """Makes the Transaction class of a manager; subclass it to make another one.

    :param remote_addr: whether the class has a ``remote_addr``.
    :param name: the name of the class.
    :param table_name: the name of its table, for applications that have a ``transaction`` of
        their own.

    >>> TransactionFactory(table_name="audit_transaction").table_name
    'audit_transaction'
    """

    def __init__(
        self,
        remote_addr: bool = True,
        *,
        name: str = "Transaction",
        table_name: str = "transaction",
    ) -> None:
        self.remote_addr = remote_addr
        self.name = name
        self.table_name = table_name

    def __call__(self, manager: Any) -> type[Any]:
        """Return the Transaction class of *manager*, made by :meth:`create_class`."""
        cls = self.create_class(manager)
        if MANAGER not in vars(cls):
            setattr(cls, MANAGER, manager)
        return cls

    def create_class(self, manager: Any) -> type[Any]:
        """Make and map the class.

        :param manager: has ``declarative_base``, the base of the models, their ``registry`` and
            ``metadata``, ``user_cls``, ``context_columns``, which are new columns,
            ``begun_transaction_table``, if there is a table by now, and ``objects_name_users``.
        """
        reg = manager.registry
        # What may be missing or wrong is looked for first, so that nothing is left if it is.
        user_class, further = _user_class(manager.user_cls, reg), manager.context_columns
        table = manager.begun_transaction_table
        if table is None:
            table = self.build_table(manager.metadata, further)
        properties: dict[str, Any] = {}
        if user_class is not None:
            users = _user_columns(user_class)
            for column in further:
                _check_free(column, table, {"user", *(each.key for each in users)})
            properties["user"] = _attach_user(table, user_class, users)
        if manager.objects_name_users:
            table.append_column(Column(USER_IS_SAID, Boolean()), replace_existing=True)
        return build_mapped_class(
            self.name,
            bases=(TransactionBase,),
            declarative_base=manager.declarative_base,
            registry=reg,
            table=table,
            properties=properties,
            module=__name__,
        )

    def build_table(self, metadata: MetaData, further: Iterable[Column[Any]] = ()) -> Table:
        """Make the table of the class, without what refers to users.

        :param further: columns for what transactions are to keep of the context.
        """
        name, schema = self.table_name, metadata.schema
        taken = metadata.tables.get(name if schema is None else f"{schema}.{name}")
        if taken is not None:
            raise ImproperlyConfigured(
                f"There is a table {name!r} already, and versioning makes one of its own; "
                f"{_remedy_for(taken)}"
            )
        columns: list[Column[Any]] = [
            Column(
                "id",
                transaction_id_type(),
                _id_sequence(name, metadata),
                primary_key=True,
                autoincrement=True,
            ),
            Column("issued_at", UTCDateTime(), default=utc_now),
        ]
        if self.remote_addr:
            columns.append(Column("remote_addr", String(ADDRESS_LENGTH)))
        # Pages of changes are read from its end, and moments are looked up in it.
        table = Table(name, metadata, *columns, Index(None, "issued_at", "id"))
        for column in further:
            _check_free(column, table, {key for each in table.c for key in (each.key, each.name)})
            table.append_column(column)
        name_indexes(table)
        return table


def _remedy_for(taken: Table) -> str:
    """Tell what to do about a table that is where that of transactions belongs."""
    classes = [each.class_ for each in _sqlalchemy.all_mappers() if each.local_table is taken]
    if any(issubclass(cls, TransactionBase) for cls in classes):
        return (
            "another manager has made it for the same base; let one manager version a base, by "
            "make_versioned(mapper=Base, manager=…), or give each a MetaData"
        )
    return (
        "if it was read from a database, let reflect() or automap leave it out, and version tables "
        "too, by only=…; if it is another, set versioning_manager.transaction_cls = "
        "TransactionFactory(table_name=…) before mappers are configured"
    )


def _id_sequence(table_name: str, metadata: MetaData) -> Sequence:
    return Sequence(cut_name(f"{table_name}_id_seq"), metadata=metadata)


def _user_class(said: Any, reg: registry) -> type[Any] | None:
    """Return the user class: *said*, the one of that name, or by default ``User`` if mapped."""
    if not said:
        return None
    if not isinstance(said, (str, DefaultName)):
        if not isinstance(said, type) or find_mapper(said, raiseerr=False) is None:
            raise _no_user_class(said, "which is no mapped class")
        return said
    found = _sqlalchemy.named_class(reg, str(said))
    if found is None and isinstance(said, str):
        raise _no_user_class(said, "and no mapped class has that name")
    return found


def _no_user_class(said: Any, why: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"user_cls is {said!r}, {why}; give the class, the name of a mapped one, or None"
    )


class DefaultName:
    """A class name that need not exist."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"{self.name!r} if there is one"


def _user_columns(user_class: type[Any]) -> list[Column[Any]]:
    """Return what refers to a user: ``user_id``, or for a key of several columns one for each."""
    mapper: Mapper[Any] = inspect(user_class)
    keys = list(mapper.primary_key)
    # As other libraries call it, whatever the key of users is called.
    names = ["user_id"]
    if len(keys) > 1:
        names = [f"user_{mapper.get_property_by_column(key).key}" for key in keys]
    pairs = zip(names, keys, strict=True)
    return [Column(name, key.type, index=name == names[0]) for name, key in pairs]


def _attach_user(table: Table, user_class: type[Any], columns: list[Column[Any]]) -> Any:
    """Add columns that refer to a user, and return the relationship."""
    for column in columns:
        # They may be there since an attempt that failed.
        table.append_column(column, replace_existing=True)
    name_indexes(table)
    keys = mapper_of(user_class).primary_key
    # There is no foreign key: users go, and who has written what stays known.
    same = [column == key for column, key in zip(columns, keys, strict=True)]
    return relationship(user_class, primaryjoin=and_(*same), foreign_keys=columns)


def _check_free(column: Column[Any], table: Table, taken: set[str]) -> None:
    """Refuse a further column that is called like something transactions have."""
    if hasattr(TransactionBase, column.key) or taken.intersection((column.key, column.name)):
        forget_transaction_table(table)
        raise ImproperlyConfigured(
            f"make_versioned() asks for a column {column.name!r} of transactions, which have "
            f"{column.key!r} already; call it something else"
        )


def copy_transaction_table(table: Table, metadata: MetaData) -> Table:
    """Return the transaction table of another ``MetaData``, without foreign keys.

    Models on several bases may live in several databases; each gets the transactions of the
    versions it holds.  In one database, whichever is created first must do for both.

    :raises ImproperlyConfigured: if there is another table of that name.
    """
    if table.key in metadata.tables:
        raise ImproperlyConfigured(
            f"There is a table {table.fullname!r} beside versioned tables, and versioning needs "
            "one of its own there; set versioning_manager.transaction_cls = "
            "TransactionFactory(table_name=…) before mappers are configured"
        )
    columns = [_copy_column(column, metadata) for column in table.columns]
    indexes = [
        Index(None, *[column.key for column in index.columns])
        for index in table.indexes
        if len(index.columns) > 1
    ]
    copied = Table(table.name, metadata, *columns, *indexes, schema=table.schema or BLANK_SCHEMA)
    name_indexes(copied)
    return copied


def extend_transaction_table(table: Table, home: Table) -> None:
    """Add to the transaction table of another ``MetaData`` what that of the class has got since."""
    for column in home.columns:
        if column.key not in table.c:
            table.append_column(_copy_column(column, table.metadata))
    name_indexes(table)


def _copy_column(column: Column[Any], metadata: MetaData) -> Column[Any]:
    sequence = column.default if isinstance(column.default, Sequence) else None
    copied = () if sequence is None else (_copy_sequence(sequence, metadata),)
    return Column(
        column.name,
        column.type,
        *copied,
        key=column.key,
        primary_key=column.primary_key,
        nullable=column.nullable,
        autoincrement=column.autoincrement,
        index=column.index,
    )


def _copy_sequence(sequence: Sequence, metadata: MetaData) -> Sequence:
    return Sequence(sequence.name, schema=sequence.schema or BLANK_SCHEMA, metadata=metadata)


def forget_transaction_table(table: Table) -> None:
    """Take a transaction table, and the sequence of its ids, out of its ``MetaData``."""
    table.metadata.remove(table)
    for column in table.primary_key.columns:
        if isinstance(column.default, Sequence):
            _sqlalchemy.forget_sequence(table.metadata, column.default)
