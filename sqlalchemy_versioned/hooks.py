"""The contract of plugins: what they may be told, asked and allowed to change.

A hook is a method of :class:`Plugin`; :data:`HOOKS` is the one list of them.  The core calls hooks
through a :class:`PluginCollection` and never imports a plugin.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import FunctionType
from typing import Any

from sqlalchemy import Column, Table

from ._typing import ITERABLE, new_dict
from .exc import ImproperlyConfigured

__all__ = ["HOOKS", "Plugin", "PluginCollection", "TableBuilder"]


@dataclass(frozen=True, slots=True)
class TableBuilder:
    """What a plugin is told about a version table in the making.

    >>> class Reasons(Plugin):
    ...     def after_build_version_table_columns(self, table_builder, columns):
    ...         if table_builder.parent_table.name == "article":
    ...             columns.append(Column("reason", Text))
    """

    manager: Any
    #: The class, or ``None`` for an association table.
    model: type[Any] | None
    parent_table: Table
    #: The columns of the parent table that are kept, and the attribute each has in versions.
    kept: Mapping[Column[Any], str] = field(default_factory=new_dict)


class Plugin:
    """The base of plugins; every hook does nothing until a subclass overrides it.

    A method that is called almost like a hook is refused when the plugin is registered, instead
    of being silently never called; list it in ``helpers`` if that is what it should be called.

    >>> class Loud(Plugin):
    ...     def after_build_models(self, manager):
    ...         print("built")
    """

    #: Names of a subclass's own methods that could be taken for misspelt hooks.
    helpers: tuple[str, ...] = ()
    #: Option names that ``__versioned__`` and ``make_versioned()`` may carry for this plugin.
    option_names: tuple[str, ...] = ()
    #: Whether a manager can have only one plugin of the class.
    is_single: bool = False
    #: Whether the hooks that this very class has for recording may be left alone where triggers
    #: record, because they do the same by themselves.
    is_known_to_triggers: bool = False

    @property
    def history_tables(self) -> tuple[Table, ...]:
        """The tables of its own whose rows belong to transactions, once mappers are configured."""
        return ()

    def after_build_version_table_columns(
        self, table_builder: TableBuilder, columns: list[Column[Any]]
    ) -> None:
        """Append columns to a version table, before it is made.

        *columns* has what other plugins have appended; what the table itself brings along is in
        ``table_builder.kept``.
        """

    def after_build_tx_class(self, manager: Any) -> None:
        """Look at the Transaction class, once in each round of configuration."""

    def after_version_class_built(self, parent_cls: type[Any], version_cls: type[Any]) -> None:
        """Look at a version class that was just mapped."""

    def after_build_models(self, manager: Any) -> None:
        """Look at all version classes of a round of configuration."""

    def before_take_apart(self, manager: Any) -> None:
        """Undo what the plugin itself has built, because versioning is about to be removed."""

    def is_session_modified(self, session: Any) -> bool:
        """Say that *session* must get a transaction although nothing versioned has changed."""
        return False

    def transaction_args(self, uow: Any, session: Any) -> Mapping[str, Any]:
        """Return attributes for a transaction that is about to be written.

        ``user`` may be an object or the key of one; the context and ``current_user`` win over it.
        """
        return {}

    def store_context(self, uow: Any, session: Any, values: Mapping[str, str]) -> None:
        """Store what the context says and a transaction has no attribute for.

        Run once for a transaction, when there is a row of it.  Where no plugin has this hook, such
        values are refused.
        """

    def before_flush(self, uow: Any, session: Any) -> None:
        """Run in each flush that has versioned changes, once its transaction exists."""

    def before_create_version_objects(self, uow: Any, session: Any) -> None:
        """Run before the versions of a flush are written."""

    def after_create_version_objects(self, uow: Any, session: Any) -> None:
        """Run after the versions of a flush were written."""

    def version_values(self, spec: Any, state: Any, operation: Any) -> Mapping[str, Any]:
        """Return values, by column key, for columns that the plugin added to a version table.

        Called once for each object of a flush; rows are written in sets all the same, grouped
        by value.  What follows from the columns that were set is quicker told by
        :meth:`column_values`.
        """
        return {}

    def column_values(self, spec: Any, columns: Any, operation: Any) -> Mapping[str, Any]:
        """Return values, by column key, for versions of rows of which some columns were set.

        Called once for each set of columns, each version table and each operation: of a flush,
        which may have set the same columns of many objects, and of a statement without objects.

        :param spec: what is known of the table: its columns are ``spec.parent_table``'s.
        :param columns: the columns of parent tables that were set; none for deletions.
        """
        return {}

    def after_construct_changeset(self, version_obj: Any, changeset: dict[str, Any]) -> None:
        """Edit a changeset that is about to be returned."""


#: The names of all hooks.
HOOKS = tuple(
    name for name, value in vars(Plugin).items() if callable(value) and not name.startswith("_")
)


def _listed(plugins: Any) -> Iterable[Any]:
    """Refuse a plugin that is given in the place of several."""
    if not isinstance(plugins, ITERABLE):
        raise ImproperlyConfigured(f"plugins is {plugins!r}; give a list of plugins")
    return plugins  # type: ignore[no-any-return]


class PluginCollection:
    """The plugins of a manager, in the order in which their hooks are called.

    >>> len(PluginCollection([Plugin()]))
    1
    """

    def __init__(self, plugins: Iterable[Plugin] | None = None) -> None:
        self.plugins: list[Plugin] = []
        for plugin in _listed(plugins or ()):
            self.append(plugin)

    def add(self, plugins: Iterable[Plugin]) -> None:
        """Register *plugins*, but for those of a class that is registered already."""
        for plugin in self.new(plugins):
            self.append(plugin)

    def new(self, plugins: Iterable[Plugin]) -> list[Plugin]:
        """Return those of *plugins* of whose class none is registered.

        So :func:`.make_versioned` can be called again with the same arguments.
        """
        known = {type(plugin) for plugin in self.plugins}
        return [plugin for plugin in _listed(plugins) if type(plugin) not in known]

    def append(self, plugin: Plugin) -> None:
        """Register *plugin*.

        :raises ImproperlyConfigured: if it is no plugin, has a misspelt hook, or is registered
            already.
        """
        _checked(plugin)
        if any(_is_same(plugin, known) for known in self.plugins):
            registered = ", ".join(type(known).__name__ for known in self.plugins)
            raise ImproperlyConfigured(
                f"{type(plugin).__name__} is registered already; registered are {registered}: "
                "give each plugin once"
            )
        self.plugins.append(plugin)

    def overriding(self, hook: str) -> list[Plugin]:
        """Return the plugins that do something in *hook*."""
        if not self.plugins:
            return []
        base = getattr(Plugin, hook)
        return [p for p in self.plugins if getattr(type(p), hook, base) is not base]

    def call(self, hook: str, *args: Any) -> list[Any]:
        """Call *hook* of every plugin and return what they returned."""
        if not self.plugins:
            return []
        return [getattr(plugin, hook)(*args) for plugin in self.overriding(hook)]

    @property
    def option_names(self) -> set[str]:
        """The option names that plugins have announced."""
        return {name for plugin in self.plugins for name in plugin.option_names}

    def __iter__(self) -> Iterator[Plugin]:
        return iter(self.plugins)

    def __len__(self) -> int:
        return len(self.plugins)

    def __getitem__(self, index: int) -> Plugin:
        return self.plugins[index]

    def __setitem__(self, index: int, plugin: Plugin) -> None:
        self.plugins[index] = _checked(plugin)

    def __delitem__(self, index: int) -> None:
        del self.plugins[index]

    def __repr__(self) -> str:
        return f"<PluginCollection {self.plugins!r}>"


def _checked(plugin: object) -> Plugin:
    if not isinstance(plugin, Plugin):
        raise ImproperlyConfigured(
            f"{plugin!r} is no plugin; give an instance of a subclass of Plugin"
        )
    for name in _own_methods(type(plugin)):
        if name not in HOOKS and name not in plugin.helpers and _looks_like_hook(name):
            raise ImproperlyConfigured(
                f"{type(plugin).__name__}.{name} is no hook; hooks are {', '.join(HOOKS)}; "
                "name methods of your own that are called like one in 'helpers'"
            )
    return plugin


def _is_same(one: Plugin, other: Plugin) -> bool:
    return one is other or (one.is_single and type(one) is type(other))


def _own_methods(cls: type[Plugin]) -> Iterator[str]:
    for each in cls.__mro__:
        if issubclass(each, Plugin) and each is not Plugin:
            yield from (
                name for name, value in vars(each).items() if isinstance(value, FunctionType)
            )


def _looks_like_hook(name: str) -> bool:
    return name.startswith(("before_", "after_")) or bool(
        get_close_matches(name, HOOKS, n=1, cutoff=0.8)
    )
