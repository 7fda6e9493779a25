"""Tenants with a schema each, and their history in another: one set of models for all."""

from contextlib import ExitStack, contextmanager

import pytest
from sqlalchemy import Column, ForeignKey, MetaData, String, Table, event, inspect, select, text
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    configure_mappers,
    mapped_column,
    relationship,
    selectinload,
)

from sqlalchemy_versioned import (
    Operation,
    blame,
    count_versions,
    deleted,
    get_changes,
    vacuum,
    version_class,
)

pytestmark = [pytest.mark.needs("schemas"), pytest.mark.strategies()]

INSERT, UPDATE, DELETE = Operation

TENANTS = ("one", "two")


def map_of(tenant):
    """Return where the tables of a tenant are, and where their history is."""
    return {None: tenant, "audit": f"{tenant}_audit"}


@pytest.fixture
def models(Base, versioning):
    """Pages with tags and lines; versions have a schema of their own."""
    versioning.options["version_schema"] = "audit"
    link = Table(
        "page_tag",
        Base.metadata,
        Column("page_id", ForeignKey("page.id"), primary_key=True),
        Column("tag_id", ForeignKey("tag.id"), primary_key=True),
    )

    class Tag(Base):
        __tablename__ = "tag"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(20))

    class Line(Base):
        __tablename__ = "line"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str] = mapped_column(String(20))
        page_id: Mapped[int | None] = mapped_column(ForeignKey("page.id"))

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(20))
        lines: Mapped[list[Line]] = relationship(order_by=Line.id)
        tags: Mapped[list[Tag]] = relationship(secondary=link, order_by=Tag.id)

    Base.Page, Base.Line, Base.Tag = Page, Line, Tag
    return Base


@pytest.fixture
def tenants(engine, models):
    """The engine, with the schemas and tables of each tenant, and none beside."""
    configure_mappers()
    for tenant in TENANTS:
        mapped = engine.execution_options(schema_translate_map=map_of(tenant))
        with mapped.begin() as connection:
            for schema in map_of(tenant).values():
                connection.execute(text(f"CREATE SCHEMA {schema}"))
            models.metadata.create_all(connection)
    assert inspect(engine).get_table_names() == []
    return engine


@contextmanager
def by_engine(engine, tenant):
    """Choose the tenant by an engine of its own."""
    with Session(engine.execution_options(schema_translate_map=map_of(tenant))) as session:
        yield session


@contextmanager
def by_connection(engine, tenant):
    """Choose the tenant by a connection that the session is given."""
    options = {"schema_translate_map": map_of(tenant)}
    with ExitStack() as stack:
        connection = stack.enter_context(engine.connect().execution_options(**options))
        yield stack.enter_context(Session(connection))


@contextmanager
def by_transaction(engine, tenant):
    """Choose the tenant anew whenever a transaction begins, on one engine for all."""

    def choose(session, transaction, connection):
        connection.execution_options(schema_translate_map=map_of(tenant))

    with Session(engine) as session:
        event.listen(session, "after_begin", choose)
        yield session


@contextmanager
def by_path(engine, tenant):
    """Choose the tenant by what PostgreSQL is told, whose history is there as well."""

    def choose(session, transaction, connection):
        connection.execute(text(f"SET LOCAL search_path TO {tenant}"))

    with Session(engine) as session:
        event.listen(session, "after_begin", choose)
        yield session


WAYS = [by_engine, by_connection, by_transaction]


def story(session, cls, name):
    """Return operation and value of each version."""
    version = version_class(cls)
    order = (version.transaction_id, version.id)
    found = session.scalars(select(version).order_by(*order))
    return [(each.operation_type, getattr(each, name)) for each in found]


@pytest.mark.parametrize("open_session", WAYS, ids=lambda way: way.__name__)
def test_tenants_do_not_meet(tenants, models, open_session):
    """Rows of equal keys have a history in each tenant, and transactions are numbered there."""
    Page, Line, Tag = models.Page, models.Line, models.Tag
    for names in ("ab", "bc"):
        for tenant in TENANTS:
            with open_session(tenants, tenant) as session:
                page = session.get(Page, 1)
                if page is None:
                    page = Page(id=1, tags=[Tag(id=1, name="t")], lines=[Line(id=1, text="l")])
                    session.add(page)
                page.name = f"{names} of {tenant}"
                session.commit()
                if names == "bc":
                    page.tags = []
                    session.delete(page.lines[0])
                    session.commit()
    for tenant in TENANTS:
        with open_session(tenants, tenant) as session:
            names = [(INSERT, f"ab of {tenant}"), (UPDATE, f"bc of {tenant}")]
            assert story(session, Page, "name") == names
            assert story(session, Line, "text") == [(INSERT, "l"), (DELETE, "l")]
            transactions = f"SELECT id FROM {tenant}.transaction ORDER BY id"
            assert session.scalars(text(transactions)).all() == [1, 2, 3]
            links = f"SELECT operation_type FROM {tenant}_audit.page_tag_version ORDER BY 1"
            assert session.scalars(text(links)).all() == [INSERT, DELETE]


@pytest.mark.parametrize("open_session", WAYS, ids=lambda way: way.__name__)
def test_everything_is_read_from_the_tenant(tenants, models, open_session):
    """Versions, what is around them, their transactions, reverts and utilities know the schemas."""
    Page, Line, Tag = models.Page, models.Line, models.Tag
    for tenant in TENANTS:
        with open_session(tenants, tenant) as session:
            page = Page(id=1, name=tenant, tags=[Tag(id=1, name=tenant)])
            page.lines = [Line(id=1, text=tenant)]
            session.add(page)
            session.commit()
            page.name, page.tags = "changed", []
            page.lines[0].text = "changed"
            session.commit()
    for tenant in TENANTS:
        with open_session(tenants, tenant) as session:
            page = session.get(Page, 1)
            first, second = page.versions
            assert (first.name, second.previous, first.next) == (tenant, first, second)
            assert second.changeset == {"name": [tenant, "changed"]}
            changed = {"name": [tenant, "changed"], "tags": [[1], []]}
            records = get_changes(Page, session, transaction=second.transaction, relations=["tags"])
            found = {c.field: [c.old, c.new] for record in records for c in record.changes}
            assert found == changed
            assert first.diff(second, relations=["tags"]) == changed
            assert blame(page)["name"] is second.transaction
            assert first.transaction.changed_entities.keys() == {
                version_class(cls) for cls in (Page, Line, Tag)
            }
            assert [[tag.name for tag in v.tags] for v in (first, second)] == [[tenant], []]
            cls = version_class(Page)
            eager = select(cls).options(selectinload(cls.lines)).order_by(cls.transaction_id)
            texts = [[line.text for line in v.lines] for v in session.scalars(eager)]
            assert texts == [[tenant], ["changed"]]
            assert (count_versions(page), vacuum(session, Page)) == (2, 0)
            first.revert(relations=["tags", "lines"])
            session.commit()
            assert (page.name, page.tags[0].name, page.lines[0].text) == (tenant,) * 3
            session.delete(page.lines[0])
            session.commit()
            assert [each.text for each in session.scalars(deleted(Line))] == [tenant]


@pytest.mark.parametrize("open_session", [by_engine, by_path], ids=lambda way: way.__name__)
def test_rows_from_before_that_one_tenant_has(Base, engine, open_session):
    """That the rows of one tenant have versions says nothing of those of another."""

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    configure_mappers()
    for tenant in TENANTS:
        mapped = engine.execution_options(schema_translate_map=map_of(tenant))
        with mapped.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA {tenant}"))
            Base.metadata.create_all(connection)
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("INSERT INTO two.page VALUES (1, 'a')"))
    with open_session(engine, "one") as session:
        session.add(Page(id=1, name="a"))
        session.commit()
    for tenant in TENANTS:
        with open_session(engine, tenant) as session:
            session.get(Page, 1).name = "b"
            session.commit()
            assert story(session, Page, "name") == [(INSERT, "a"), (UPDATE, "b")]


def test_history_beside_the_data(versioning, engine):
    """Data, history and transactions may be in three schemas that are always the same."""

    class Base(DeclarativeBase):
        metadata = MetaData(schema="admin")

    class Page(Base):
        __tablename__ = "page"
        __table_args__ = {"schema": "data"}
        __versioned__ = {"version_schema": "audit"}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(20))

    configure_mappers()
    with engine.begin() as connection:
        for schema in ("admin", "data", "audit"):
            connection.execute(text(f"CREATE SCHEMA {schema}"))
        Base.metadata.create_all(connection)
    with Session(engine) as session:
        page = Page(id=1, name="a")
        session.add(page)
        session.commit()
        page.name = "b"
        session.commit()
        assert [v.transaction.id for v in page.versions] == [1, 2]
    found = {
        schema: inspect(engine).get_table_names(schema) for schema in ("admin", "data", "audit")
    }
    assert found == {"admin": ["transaction"], "data": ["page"], "audit": ["page_version"]}
    Base.registry.dispose(cascade=True)
