"""Which flushes are going on, in each thread and task."""

from __future__ import annotations

import weakref
from contextvars import ContextVar
from typing import NamedTuple

from sqlalchemy.orm import Session, UOWTransaction

from .. import _sqlalchemy
from .flushes import Flush

__all__ = ["GoingOn"]


class _Link(NamedTuple):
    """A flush, and that of another session in the midst of which it happens."""

    # It lives as long as SQLAlchemy has it, so that one that fails leaves nothing.
    context: weakref.ref[UOWTransaction]
    outer: _Link | None

    def is_of_another(self, session: Session) -> bool:
        context = self.context()
        return context is not None and context.session is not session


class GoingOn:
    """The flushes that are going on, which are followed as soon as something is asked of them.

    :param name: what is kept of them is called so.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._link = f"{name}_link"
        self._innermost: ContextVar[_Link | None] = ContextVar(
            "sqlalchemy_versioned_flush", default=None
        )

    def begin(self, session: Session, context: UOWTransaction) -> None:
        """Hear of a flush that begins."""
        outer = self._innermost.get()
        while outer is not None and not outer.is_of_another(session):
            outer = outer.outer
        link = context.attributes[self._link] = _Link(weakref.ref(context), outer)
        self._innermost.set(link)

    def current(self) -> Flush | None:
        """Return the innermost flush that is going on."""
        link = self._innermost.get()
        while link is not None:
            context = link.context()
            if context is not None and _sqlalchemy.is_going_on(context):
                return self.of(context)
            link = link.outer
        return None

    def of(self, context: UOWTransaction) -> Flush:
        """Return the flush that SQLAlchemy calls *context*."""
        flush: Flush | None = context.attributes.get(self._name)
        if flush is None:
            flush = context.attributes[self._name] = Flush(context.session, context)
        return flush

    def end(self, context: UOWTransaction) -> Flush | None:
        """Hear of one that has ended; return it if anything was asked of it."""
        link: _Link | None = context.attributes.pop(self._link, None)
        if link is not None:
            self._innermost.set(link.outer)
        flush: Flush | None = context.attributes.pop(self._name, None)
        return flush
