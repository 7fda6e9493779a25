"""The libraries compared, and the same models declared under each of them.

A process declares the models once, for one library. The works know nothing but
the resulting ``Models``; what a library is called, where it is installed and
how it is switched on is said here only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import import_module
from types import ModuleType
from typing import Any, ClassVar

from sqlalchemy import DDL, Column, ForeignKey, MetaData, String, Table, Text, event
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    configure_mappers,
    mapped_column,
    relationship,
)

from benchmarks.databases import BATCHED, DATABASES, POSTGRESQL
from benchmarks.row_triggers import add_history

UNVERSIONED = "unversioned"
OURS = "versioned"
CONTEXT = "versioned-context"
CONTINUUM = "continuum"
HISTORY = "history"
#: Where PostgreSQL records.
NATIVE = "versioned-native"
ROW_TRIGGERS = "row-triggers"
CONTINUUM_NATIVE = "continuum-native"


@dataclass(frozen=True, slots=True)
class Library:
    """A way of running the works: no library, ours or a peer."""

    name: str
    title: str
    #: What to import; ``None`` leaves the models unversioned.
    module: str | None = None
    #: The name it is installed under.
    distribution: str | None = None
    #: The virtual environment it lives in; ``None`` is the running one.
    environment: str | None = None
    requirements: str | None = None
    #: What is switched on beside recording: a way of running ours that only some works are for.
    variant: Callable[[ModuleType], dict[str, Any]] | None = None
    #: Whether triggers record, and not sessions.
    is_native: bool = False
    #: An extension of PostgreSQL that it needs.
    extension: str | None = None
    #: Adds a history to tables that no library versions.
    history: Callable[[MetaData, Table], tuple[Table, Table]] | None = None

    @property
    def databases(self) -> tuple[str, ...]:
        """Where it can be run."""
        return (POSTGRESQL,) if self.is_native else (*DATABASES, BATCHED)

    @property
    def is_peer(self) -> bool:
        """Whether it is another library than ours."""
        return self.environment is not None


def switch_context_on(module: ModuleType) -> dict[str, Any]:
    """Say who writes and why; return the options by which that, and what changed, is kept."""
    plugins = import_module(f"{module.__name__}.plugins")
    module.set_transaction_context(user=1, reason="measured", request="4711")
    return {
        "user_cls": "User",
        "plugins": [plugins.PropertyModTrackerPlugin()],
        "transaction_columns": [Column("reason", Text), Column("request", String(50))],
    }


def record_natively(module: ModuleType) -> dict[str, Any]:
    """Return the options by which our triggers record."""
    return {"user_cls": None, "native": True}


def record_natively_as_continuum(module: ModuleType) -> dict[str, Any]:
    """Return the options by which those of Continuum record."""
    return {"user_cls": None, "options": {"native_versioning": True}}


LIBRARIES = {
    library.name: library
    for library in (
        Library(UNVERSIONED, "unversioned"),
        Library(
            OURS,
            "sqlalchemy_versioned",
            module="sqlalchemy_versioned",
            distribution="sqlalchemy-versioned",
        ),
        Library(
            CONTEXT,
            "… with a user, two context columns and modification flags",
            module="sqlalchemy_versioned",
            distribution="sqlalchemy-versioned",
            variant=switch_context_on,
        ),
        Library(
            CONTINUUM,
            "SQLAlchemy-Continuum",
            module="sqlalchemy_continuum",
            distribution="sqlalchemy-continuum",
            environment=".venv-bench-continuum",
            requirements="requirements-continuum.txt",
        ),
        Library(
            HISTORY,
            "SQLAlchemy-History",
            module="sqlalchemy_history",
            distribution="sqlalchemy-history",
            environment=".venv-bench-history",
            requirements="requirements-history.txt",
        ),
        Library(
            NATIVE,
            "sqlalchemy_versioned, native",
            module="sqlalchemy_versioned",
            distribution="sqlalchemy-versioned",
            variant=record_natively,
            is_native=True,
        ),
        Library(
            ROW_TRIGGERS,
            "triggers for rows",
            is_native=True,
            history=add_history,
        ),
        Library(
            CONTINUUM_NATIVE,
            "SQLAlchemy-Continuum, native",
            module="sqlalchemy_continuum",
            distribution="sqlalchemy-continuum",
            environment=".venv-bench-continuum",
            requirements="requirements-continuum.txt",
            variant=record_natively_as_continuum,
            is_native=True,
            extension="hstore",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Models:
    """The mapped classes of a process, and the tables its library added."""

    Base: type[DeclarativeBase]
    Article: Any
    Tag: Any
    #: Never versioned, under any library.
    Note: Any
    #: The name of the library.
    library: str = UNVERSIONED
    #: ``None`` where nothing is versioned.
    version_table: Table | None = None
    transaction_table: Table | None = None
    #: Reads the newest version of an article the way the library offers it.
    last_version: Callable[[Any], Any] | None = None


def build_models(library: Library) -> Models:
    """Switch *library* on and declare the models under it.

    :raises ImportError: if it is not installed in this environment.
    """
    if library.module is None:
        models = _declare(None)
        if library.history is None:
            return models
        tables = library.history(models.Base.metadata, models.Article.__table__)
        return replace(
            models, library=library.name, version_table=tables[0], transaction_table=tables[1]
        )
    module = import_module(library.module)
    options = {"user_cls": None} if library.variant is None else library.variant(module)
    module.make_versioned(**options)
    models = replace(_declare(module), library=library.name)
    if library.extension is not None:
        creation = DDL(f"CREATE EXTENSION IF NOT EXISTS {library.extension}")
        event.listen(models.Base.metadata, "before_create", creation)
    return models


def _declare(module: ModuleType | None) -> Models:
    class Base(DeclarativeBase):
        pass

    class Tag(Base):
        __tablename__ = "tag"
        if module is not None:
            __versioned__: ClassVar[dict[str, Any]] = {}

        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(100))

    article_tag = Table(
        "article_tag",
        Base.metadata,
        Column("article_id", ForeignKey("article.id"), primary_key=True),
        Column("tag_id", ForeignKey("tag.id"), primary_key=True),
    )

    class Article(Base):
        __tablename__ = "article"
        if module is not None:
            __versioned__: ClassVar[dict[str, Any]] = {}

        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(100))
        content: Mapped[str] = mapped_column(Text)
        views: Mapped[int]
        updated_at: Mapped[datetime | None]

        tags: Mapped[list[Any]] = relationship(Tag, secondary=article_tag)

    class User(Base):
        __tablename__ = "user"

        id: Mapped[int] = mapped_column(primary_key=True)

    class Note(Base):
        __tablename__ = "note"

        id: Mapped[int] = mapped_column(primary_key=True)
        body: Mapped[str] = mapped_column(Text)

    configure_mappers()
    if module is None:
        return Models(Base, Article, Tag, Note)
    return Models(
        Base,
        Article,
        Tag,
        Note,
        version_table=module.version_class(Article).__table__,
        transaction_table=module.versioning_manager.transaction_cls.__table__,
        last_version=last_version,
    )


def last_version(article: Any) -> Any:
    """Return the newest version of *article*.

    Where ``versions`` is a query of SQLAlchemy, which refuses negative
    indexes, the list is what is left to index.
    """
    try:
        return article.versions[-1]
    except IndexError:
        return list(article.versions)[-1]
