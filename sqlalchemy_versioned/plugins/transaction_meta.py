"""What an application wants to say about transactions: a dict of texts for each.

``transaction.meta`` reads and writes the rows of a table; what is set is written by the next flush,
as with any relationship, and another dict can be assigned.  What the context says and transactions
have no column for becomes part of it, as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, UnicodeText, insert, inspect
from sqlalchemy.ext.associationproxy import association_proxy
from sqlalchemy.orm import Mapper, attribute_keyed_dict, relationship

from ..build.columns import transaction_id_type
from ..model.lookup import CONTEXT_TABLE
from .beside import ModelPlugin, exact_text

__all__ = ["TransactionMetaPlugin"]


class TransactionMetaPlugin(ModelPlugin):
    """Gives transactions a ``meta``: a dict of texts, kept in a table of its own.

    :param table_name: the name of its table, for applications that have one of the usual name.

    >>> TransactionMetaPlugin().table_name
    'transaction_meta'
    """

    name = "TransactionMeta"
    table_name = "transaction_meta"
    written_as: str | None = "meta_relation"

    def build_columns(self, transaction: Mapper[Any]) -> list[Column[Any]]:
        """Return the columns of the table."""
        return [
            Column("transaction_id", transaction_id_type(), primary_key=True, autoincrement=False),
            Column("key", exact_text(), primary_key=True),
            Column("value", UnicodeText),
        ]

    def attach(self, same: Any) -> None:
        """Give transactions ``meta_relation``, and ``meta`` for its values."""
        cls, model = self._transaction_class, self.model_class
        self.check_free("meta")
        self.add_property(
            "meta_relation",
            relationship(
                model,
                primaryjoin=same,
                foreign_keys=[model.__table__.c.transaction_id],
                back_populates="transaction",
                collection_class=attribute_keyed_dict("key"),
                # What is taken out is deleted, so that another dict can be assigned.
                cascade="all, delete-orphan",
            ),
        )

        def create(key: str, value: str | None) -> Any:
            return model(key=key, value=value)

        type.__setattr__(cls, CONTEXT_TABLE, model.__table__)
        type.__setattr__(cls, "meta", association_proxy("meta_relation", "value", creator=create))
        self.manager.transaction_meta_cls = model

    def before_take_apart(self, manager: Any) -> None:
        """Take the class and all that leads to it away."""
        cls = self._transaction_class
        if cls is not None and "meta_relation" in self._attached:
            type.__delattr__(cls, "meta")
            type.__delattr__(cls, CONTEXT_TABLE)
            manager.__dict__.pop("transaction_meta_cls", None)
        super().before_take_apart(manager)

    def store_context(self, uow: Any, session: Any, values: Mapping[str, str]) -> None:
        """Write what the context says and transactions have no column for."""
        number = uow.transaction_id
        rows = [{"transaction_id": number, "key": key, "value": values[key]} for key in values]
        self.connection(session).execute(insert(self.model_class.__table__), rows)
        self.read_again(session, number, "meta_relation")

    def bases(self) -> tuple[type[Any], ...]:
        """Return the bases of the class."""
        return (_Meta,)


class _Meta:
    """A key and a value."""

    def __init__(self, **values: Any) -> None:
        for key, value in values.items():
            setattr(self, key, value)

    def __repr__(self) -> str:
        shown = inspect(self).dict
        return f"<{type(self).__name__} {shown.get('key')!r}: {shown.get('value')!r}>"
