"""Test data, made by factory-boy.

Models are declared per test, so their factories are made per test too: :class:`Factories`
hands out one for any class of a declarative base, bound to the test's session. A factory adds
what it makes to the session; flushing and committing stay with the test.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import factory
from factory.alchemy import SQLAlchemyModelFactory
from sqlalchemy.orm import Session

#: What the blog's factories fill in by themselves, by class name.
BLOG_DECLARATIONS: Mapping[str, Mapping[str, Any]] = {
    "Article": {"name": factory.Sequence("Article {}".format), "content": "Some content"},
    "Author": {"name": factory.Sequence("Author {}".format)},
    "Category": {"name": factory.Sequence("Category {}".format)},
    "Comment": {"content": factory.Sequence("Comment {}".format)},
    "Tag": {"name": factory.Sequence("tag-{}".format)},
}

#: The same for tests/schemas/nodes.py.
NODE_DECLARATIONS: Mapping[str, Mapping[str, Any]] = {
    "Node": {"name": factory.Sequence("node {}".format)},
    "Tag": {"name": factory.Sequence("tag-{}".format)},
}

#: The same for tests/schemas/animals.py.
ANIMAL_DECLARATIONS: Mapping[str, Mapping[str, Any]] = {
    "Animal": {"name": factory.Sequence("animal {}".format)},
    "Cat": {"name": factory.Sequence("cat {}".format), "lives": 9},
    "Dog": {"name": factory.Sequence("dog {}".format)},
}


class Factories:
    """The factories of some classes, as attributes: ``factories.Article(name="x")``."""

    def __init__(
        self,
        classes: Iterable[type],
        declarations: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.session: Session | None = None
        known = declarations or {}
        for cls in classes:
            setattr(self, cls.__name__, self.build_factory(cls, **known.get(cls.__name__, {})))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"no factory {name!r}; there are {', '.join(vars(self))}")

    def build_factory(self, cls: type, **declarations: Any) -> type[SQLAlchemyModelFactory]:
        """Return a factory of *cls* whose attributes default to *declarations*."""
        return build_factory(cls, self.current_session, **declarations)

    def current_session(self) -> Session:
        """Return the session that new objects are added to."""
        assert self.session is not None, "factories need the 'session' fixture"
        return self.session


def build_factory(
    cls: type, session_of_test: Any, /, **declarations: Any
) -> type[SQLAlchemyModelFactory]:
    """Return a factory of *cls* that adds what it makes to ``session_of_test()``."""
    meta = type("Meta", (), {"model": cls, "sqlalchemy_session_factory": session_of_test})
    return type(f"{cls.__name__}Factory", (_Forgetful,), {"Meta": meta, **declarations})


class _Forgetful(SQLAlchemyModelFactory):
    """Keeps no session after use, as factories may outlive their test."""

    class Meta:
        abstract = True

    @classmethod
    def _create(cls, model_class: type, *args: Any, **values: Any) -> Any:
        try:
            return super()._create(model_class, *args, **values)
        finally:
            cls._meta.sqlalchemy_session = None
