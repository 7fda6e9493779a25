"""A plugin as somebody would write it who knows the public names only."""

import pytest
from sqlalchemy import Column, Integer

from sqlalchemy_versioned import ImproperlyConfigured, Operation, make_versioned, remove_versioning
from sqlalchemy_versioned.plugins import Plugin, PluginCollection


class LengthPlugin(Plugin):
    """Keeps the length of names, counts what is written, and hides lengths from changesets."""

    option_names = ("length_of",)

    def __init__(self):
        self.counted = []
        self.is_taken_apart = False

    def after_build_version_table_columns(self, table_builder, columns):
        """Add a column where a class asks for it."""
        said = getattr(table_builder.model, "__versioned__", {})
        if "name" in table_builder.kept.values() and said.get("length_of") == "name":
            columns.append(Column("length", Integer, default=0, nullable=False))

    def version_values(self, spec, state, operation):
        """Measure a name."""
        if operation is Operation.DELETE or "length_of" not in spec.options.extra:
            return {}
        return {"length": len(state.dict.get("name", ""))}

    def transaction_args(self, uow, session):
        """Say where it came from."""
        return {"remote_addr": "::1"}

    def after_create_version_objects(self, uow, session):
        """Count rows by table."""
        tables = uow.recorded_tables()
        counts = {each.parent_table.name: len(uow.operations(each)) for each in tables}
        self.counted.append((uow.transaction_id, counts))

    def after_construct_changeset(self, version_obj, changeset):
        """Say how much longer a name is."""
        changeset["growth"] = version_obj.length

    def before_take_apart(self, manager):
        """Be gone."""
        self.is_taken_apart = True


# Triggers refuse it, as it takes part in recording; see tests/triggers/test_refusals.py.
@pytest.mark.options(native=False)
@pytest.mark.strategies
def test_outsider(versioning, Base, open_session):
    """Its columns, options, values and edits all work, and it is told when it is over."""
    from sqlalchemy.orm import Mapped, mapped_column

    plugin = LengthPlugin()
    make_versioned(plugins=[plugin])
    make_versioned(plugins=[plugin])

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {"length_of": "name"}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    session = open_session(Base)
    article = Article(name="a")
    session.add_all([article, Article(name="abc")])
    session.commit()
    article.name = "abcd"
    session.commit()

    first, last = article.versions.all()
    assert (first.length, last.length) == (1, 4)
    assert last.changeset == {"name": ["a", "abcd"], "growth": 4}
    assert last.transaction.remote_addr == "::1"
    assert plugin.counted == [(first.transaction_id, {"article": 2}), (2, {"article": 1})]
    remove_versioning()
    assert plugin.is_taken_apart


def test_slips():
    """What would never be called, or called twice, is refused, with what there is."""
    plugin = LengthPlugin()
    with pytest.raises(ImproperlyConfigured, match="LengthPlugin is registered already; regist"):
        PluginCollection([plugin, plugin])

    class Slip(Plugin):
        def after_creat_version_objects(self, uow, session):
            """Never called."""

    with pytest.raises(ImproperlyConfigured, match="is no hook; hooks are after_build_version_t"):
        PluginCollection([Slip()])
