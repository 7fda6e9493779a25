"""What is said about transactions."""

import pytest
from sqlalchemy import delete, inspect, select, text
from sqlalchemy.orm import configure_mappers

from sqlalchemy_versioned import (
    Plugin,
    paused,
    remove_versioning,
    transaction_class,
    transaction_context,
)
from sqlalchemy_versioned.plugins import TransactionMetaPlugin


class Saying(Plugin):
    """Says something about each transaction."""

    def transaction_args(self, uow, session):
        """Return what a flush has to write."""
        return {"meta": {"said": "by a plugin"}}


@pytest.fixture
def models(versioning, request):
    """The blog, with something to say."""
    versioning.plugins.append(TransactionMetaPlugin())
    return request.getfixturevalue("blog")


def stored(session):
    """Return all rows."""
    return session.execute(text("SELECT * FROM transaction_meta ORDER BY 1, 2")).all()


@pytest.mark.strategies
def test_meta(session, models, versioning):
    """It is like a dict, and another dict can be assigned, also once there are rows."""
    unit = versioning.unit_of_work(session)
    transaction = unit.create_transaction(session, meta={"a": "1", "b": "2", "B": "2"})
    models.factories.Article(name="a")
    session.commit()
    assert transaction.meta == {"a": "1", "b": "2", "B": "2"}
    transaction.meta["a"] = "3"
    session.commit()
    transaction.meta = {"b": "4", "c": "5"}
    session.commit()
    assert stored(session) == [(transaction.id, "b", "4"), (transaction.id, "c", "5")]
    transaction.meta = {}
    session.commit()

    assert (stored(session), transaction.meta) == ([], {})
    transaction.meta["d"] = "6"
    cls = transaction_class(models.Article)
    model = versioning.transaction_meta_cls
    found = select(cls).where(cls.meta_relation.any(model.key == "d"))
    assert session.scalars(found).one() is transaction
    assert transaction.meta_relation["d"].transaction is transaction
    session.delete(transaction)
    session.flush()
    assert stored(session) == []


def test_savepoints_and_flushes(session, models, versioning):
    """What is said in a savepoint that is rolled back is not kept."""
    models.factories.Article(name="a")
    session.flush()
    transaction = versioning.unit_of_work(session).current_transaction
    transaction.meta["a"] = "1"
    savepoint = session.begin_nested()
    transaction.meta["b"] = "2"
    session.flush()
    savepoint.rollback()
    models.factories.Article(name="b")
    session.commit()

    assert transaction.meta == {"a": "1"}


def test_from_a_plugin(session, models, versioning, tables, count_statements):
    """A plugin may say something as well, in a flush."""
    versioning.plugins.append(Saying())
    models.factories.Article.create_batch(5)
    with count_statements(tables) as statements:
        session.commit()

    cls = transaction_class(models.Article)
    assert session.scalars(select(cls)).one().meta == {"said": "by a plugin"}
    # What there is is read once, for the dict.
    assert statements.on("transaction_meta").count == 2


def test_nothing_is_left(versioning, models):
    """Once versioning is removed there is no class, no table and no attribute of the plugin."""
    plugin = versioning.plugins[0]
    configure_mappers()
    assert inspect(plugin.model_class).local_table.name in models.metadata.tables
    remove_versioning()

    assert plugin.model_class is None
    assert not hasattr(versioning, "transaction_meta_cls")
    assert not [name for name in models.metadata.tables if "transaction" in name]


def test_context_of_a_transaction_that_is_lost(session, models, versioning):
    """What is recorded after a database has rolled back by itself has the context, too."""
    with transaction_context(ticket="T-1"):
        models.factories.Article(name="a")
        session.flush()
    connection, unit = session.connection(), versioning.unit_of_work(session)
    with paused(session):
        for name in ("transaction_meta", "article_version", "article", "transaction"):
            connection.execute(delete(models.metadata.tables[name]))
    unit.lose(connection)
    models.factories.Article(name="b")
    session.commit()

    assert [row[1:] for row in stored(session)] == [("ticket", "T-1")]
