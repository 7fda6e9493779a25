"""What classes and tables say of how they are versioned, checked against what is said to all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Mapper

from ..exc import ImproperlyConfigured
from ..hooks import PluginCollection
from ..model.spec import VersionSpec
from ..options import KEY_LISTS, MANAGER_ONLY, Options
from ..said_options import build_options
from .core import said_of
from .registry import Registry

__all__ = ["ChosenOptions"]


class ChosenOptions:
    """The options of each class and table.

    :param said: what was said to the manager.
    """

    def __init__(
        self, registry: Registry, said: Mapping[str, Any], plugins: PluginCollection
    ) -> None:
        self._registry = registry
        self._said = said
        self._plugins = plugins
        #: What holds where nothing else is said.
        self.manager: Options = self._build_options({}, owner="make_versioned()")
        self._options: dict[Mapper[Any], Options] = {}

    def choose(self, mapper: Mapper[Any], *, exposed: bool) -> Options:
        """Read what a class says, and give it a ``__versioned__`` that it shares with no other."""
        said = _said(mapper.class_) if exposed else {}
        if exposed:
            self._registry.set_said(mapper.class_, said)
        options = self._options[mapper] = self._checked_options(mapper, said)
        return options

    def of(self, mapper: Mapper[Any]) -> Options:
        """Return the options of any class of a hierarchy."""
        built = self._registry.classes.get(mapper.class_)
        if built is not None:
            return built.options
        if mapper not in self._options:
            self._options[mapper] = self._checked_options(mapper, _said(mapper.class_))
        return self._options[mapper]

    def is_native(self, *mappers: Mapper[Any]) -> bool:
        """Tell whether triggers record one of some classes, as far as they are versioned."""
        known = [m for m in mappers if m in self._options or m.class_ in self._registry.classes]
        return any(self.of(mapper).native_versioning for mapper in known)

    def check_mode(self, mapper: Mapper[Any], specs: Iterable[VersionSpec]) -> None:
        """Refuse objects of which triggers would record some, or a part, and sessions the rest.

        :raises ImproperlyConfigured: if they would.
        """
        is_native, above = self.of(mapper).native_versioning, mapper.inherits
        others = {f"the table {spec.parent_table.fullname!r}": spec.is_native for spec in specs}
        if above is not None:
            others[above.class_.__name__] = self.of(above).native_versioning
        for name, is_other_native in others.items():
            if is_other_native != is_native:
                raise ImproperlyConfigured(
                    f"{mapper.class_.__name__} is to be recorded by "
                    f"{'triggers' if is_native else 'sessions'}, and {name}, which is of the same "
                    "objects, is not; give both the same option native"
                )

    def _checked_options(self, mapper: Mapper[Any], said: Mapping[str, Any]) -> Options:
        owner = f"{mapper.class_.__name__}.__versioned__"
        for name in MANAGER_ONLY.intersection(said):
            raise ImproperlyConfigured(
                f"{owner} has {name!r}, which only make_versioned() can have: it shapes all classes"
            )
        above = mapper.inherits
        if above is not None and not {"native", "native_versioning"}.intersection(said):
            said = {**said, "native": self.of(above).native_versioning}
        options = self.own(said, owner=owner)
        if self.manager.create_models and not options.create_tables:
            raise ImproperlyConfigured(
                f"{owner}: create_tables is False, but version classes need version tables; "
                "give make_versioned() create_models=False too, or take create_tables out"
            )
        _check_keys(mapper, said)
        return options

    def _build_options(self, said: Mapping[str, Any], *, owner: str) -> Options:
        return build_options(self._said, said, owner=owner, also=self._plugins.option_names)

    def own(self, said: Mapping[str, Any], *, owner: str) -> Options:
        """Build the options of one class or table.

        :raises ImproperlyConfigured: if it has session variables and no place for them.
        """
        options = self._build_options(said, owner=owner)
        if options.strategy.merges and "session_variables" in said:
            raise ImproperlyConfigured(
                f"{owner} has 'session_variables', which a class has under strategy='append' only: "
                "transactions are shared by all classes; give them to make_versioned()"
            )
        keeps = self.manager.strategy.merges or not options.strategy.merges
        if options.session_variables and not keeps:
            raise ImproperlyConfigured(
                f"{owner} has strategy={options.strategy.value!r}, and make_versioned() "
                "session_variables under strategy='append', which transactions do not have; give "
                "make_versioned() transaction_columns, or each class its session_variables"
            )
        return options


def _said(cls: type[Any]) -> dict[str, Any]:
    return said_of(inspect(cls)) or {}


def _check_keys(mapper: Mapper[Any], said: Mapping[str, Any]) -> None:
    """Refuse keys of attributes, in the options that list some, that no class here has.

    :raises ImproperlyConfigured: for the first key that is no attribute.
    """
    known: set[str] = set()
    for each in mapper.iterate_to_root():
        # Options are inherited, so a name may be one of a sibling's attributes.
        known |= {prop.key for m in each.self_and_descendants for prop in m.attrs}
    for name in KEY_LISTS:
        for key in said.get(name, ()):
            if key not in known:
                raise ImproperlyConfigured(
                    f"{mapper.class_.__name__}.__versioned__[{name!r}] names {key!r}, which is "
                    f"no attribute; attributes are {', '.join(sorted(known))}"
                )
