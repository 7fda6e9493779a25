"""Triggers for rows, as they are usually written: a history table, and a function for each row.

It ends the version before and adds the row; the number of the database transaction stands for a
transaction.  Nothing is merged, and nobody is named who writes.
"""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    BigInteger,
    Column,
    DateTime,
    MetaData,
    SmallInteger,
    Table,
    event,
)

FUNCTION = DDL(
    """
    CREATE FUNCTION article_history() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        row article;
        kind smallint;
    BEGIN
        IF TG_OP <> 'INSERT' THEN
            UPDATE article_version SET end_transaction_id = txid_current()
            WHERE id = OLD.id AND end_transaction_id IS NULL;
        END IF;
        IF TG_OP = 'DELETE' THEN
            row := OLD; kind := 2;
        ELSE
            row := NEW; kind := CASE TG_OP WHEN 'INSERT' THEN 0 ELSE 1 END;
        END IF;
        INSERT INTO article_version
            (id, name, content, views, updated_at, transaction_id, operation_type)
        VALUES
            (row.id, row.name, row.content, row.views, row.updated_at, txid_current(), kind);
        RETURN NULL;
    END $$
    """
)

TRIGGER = DDL(
    """
    CREATE TRIGGER article_history AFTER INSERT OR UPDATE OR DELETE ON article
    FOR EACH ROW EXECUTE FUNCTION article_history()
    """
)


def add_history(metadata: MetaData, article: Table) -> tuple[Table, Table]:
    """Add tables of versions and of transactions, and the trigger that comes with them.

    The indexes are those that our version tables have.
    """
    values = [Column(each.name, each.type, primary_key=each.primary_key) for each in article.c]
    versions = Table(
        "article_version",
        metadata,
        *values,
        Column("transaction_id", BigInteger, primary_key=True, index=True),
        Column("end_transaction_id", BigInteger),
        Column("operation_type", SmallInteger, nullable=False),
    )
    transactions = Table(
        "transaction",
        metadata,
        Column("id", BigInteger, primary_key=True),
        Column("issued_at", DateTime),
    )
    for statement in (FUNCTION, TRIGGER):
        event.listen(metadata, "after_create", statement)
    return versions, transactions
