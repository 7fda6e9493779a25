"""The DDL of triggers is what it was: what is shipped is in databases by now.

After a change on purpose, ``python -m tests.triggers.test_golden`` writes the files anew; functions
that change get another hash, and ``check_triggers()`` calls those in databases stale.
"""

from pathlib import Path

import pytest
from sqlalchemy import Column, ForeignKey, Integer, String, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, configure_mappers, mapped_column

from sqlalchemy_versioned import make_versioned, remove_versioning, versioned_table
from sqlalchemy_versioned.triggers import install_triggers, trigger_ddl, uninstall_triggers

GOLDEN = Path(__file__).parent / "golden"


def build_statements():
    """Return the statements of some tables, by the name of a file."""

    class Base(DeclarativeBase):
        pass

    class Article(Base):
        __tablename__ = "Article"
        __versioned__ = {
            "ignore": ["seen"],
            "exclude": ["cache"],
            "mask": ["secret"],
            "append_only": True,
        }
        __table_args__ = {"schema": "press"}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column("select", String(50))
        seen: Mapped[int]
        cache: Mapped[str | None]
        secret: Mapped[str | None]

    class Animal(Base):
        __tablename__ = "animal"
        __versioned__ = {"strategy": "subquery", "truncate": "refuse"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}

    class Dog(Animal):
        __tablename__ = "dog"
        dog_id: Mapped[int] = mapped_column(ForeignKey("animal.id"), primary_key=True)
        breed: Mapped[str | None]
        __mapper_args__ = {"polymorphic_identity": "dog"}

    class Part(Base):
        __tablename__ = "part"
        __versioned__ = {"strategy": "append", "version_id_type": "uuid", "truncate": "refuse"}
        id: Mapped[int] = mapped_column(primary_key=True)

    class Wheel(Part):
        __tablename__ = "wheel"
        part_id: Mapped[int] = mapped_column(ForeignKey("part.id"), primary_key=True)
        size: Mapped[int | None]

    event = Table("event", Base.metadata, Column("what", String(9)), Column("much", Integer))
    versioned_table(event, strategy="append")
    configure_mappers()
    tables = {"validity": Article.__table__, "joined": Dog.__table__, "append": event}
    tables["parts"] = Wheel.__table__
    written = {name: trigger_ddl(table)[0] for name, table in tables.items()}
    everything = install_triggers(Base.metadata)
    guard = "CREATE OR REPLACE FUNCTION public.transaction_versioned_guard"
    written["guard"] = [guard + everything.partition(guard)[2].removesuffix(";\n")]
    everything = everything.split(";\nCREATE OR REPLACE FUNCTION press")[0]
    written["transaction"] = [everything.split(";\nCREATE OR REPLACE FUNCTION public.event")[0]]
    written["removal"] = [uninstall_triggers(Base.metadata)]
    Base.registry.dispose()
    return {name: ";\n".join(statements) + "\n" for name, statements in written.items()}


@pytest.mark.options(
    native=True,
    transaction_columns=[Column("db_user", String(63))],
    session_variables=[Column("reason", String(50), nullable=False)],
)
def test_golden_files(versioning):
    """Each statement is the one in its file, to the letter."""
    written = build_statements()

    assert {path.stem for path in GOLDEN.glob("*.sql")} == set(written)
    for name, statements in written.items():
        assert statements == (GOLDEN / f"{name}.sql").read_text(), name


if __name__ == "__main__":
    mark = test_golden_files.pytestmark[0]
    make_versioned(**mark.kwargs)
    for name, statements in build_statements().items():
        (GOLDEN / f"{name}.sql").write_text(statements)
    remove_versioning()
