"""Statements that write a transaction along with the image of the one row that it has changed.

Most flushes change one object and are a transaction by themselves, which pays for each round trip,
and for what the database has to plan: its version, the end of the one before and the row of the
transaction are one statement.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Executable, select
from sqlalchemy import Sequence as Numbers

from ..database.expressions import LastDrawn
from ..model.operation import Operation
from .image_statements import ImageStatements
from .shapes import Insertion, Shape

__all__ = ["BeginningStatements"]


class BeginningStatements(ImageStatements):
    """Builds statements that begin a transaction; see :class:`.TableStatements`.

    Each selects the id of the transaction, and last what is ``NULL`` if no version was ended.
    """

    def begin_image_and_close(self, shape: Shape, transaction: Insertion) -> Executable:
        """Write a transaction, and what :meth:`image_and_close` does as of it.

        Where the version before tells all and there is none to end, nothing is written, and no row
        selected.

        :param transaction: its row.
        """
        numbers = transaction.numbers
        if numbers is not None and self._has_one_before(shape):
            return self._begin_by_end(shape, transaction, numbers)
        spec = self.spec
        row = transaction.statement(spec.prefix)
        begun = row.returning(*transaction.table.primary_key).cte(f"{spec.prefix}begun")
        number = select(*begun.c).scalar_subquery()
        closing = self._as_of(number).image_and_close(shape)
        # SQLAlchemy would shorten a long name of the column outside of the CTE, and only there.
        of = spec.transaction_column.label("of")
        # Of the key, a decorator of the application would be asked what NULL is.
        closed = closing.returning(of).cte(f"{spec.prefix}closed")
        return select(number, select(*closed.c).scalar_subquery())

    def _has_one_before(self, shape: Shape) -> bool:
        """Tell whether all is told by the version before, as of a row that was just changed."""
        is_of_change = shape.operation is Operation.UPDATE and not shape.locks
        return is_of_change and (not shape.condition or self.ends_first(shape))

    def _begin_by_end(self, shape: Shape, transaction: Insertion, numbers: Numbers) -> Executable:
        """End the version before one row; if there was one, write the rest as of its end.

        That names the transaction less often, and is planned faster, than if it came first.
        """
        spec, prefix = self.spec, self.spec.prefix
        assert spec.end_column is not None
        drawing = numbers.next_value()
        # The number is compared with, and so drawn, before the row that passes gets it.
        ending = self._as_of(LastDrawn(drawing)).end_newest(drawing)
        if shape.condition:
            ending = ending.where(*self._differs())
        ended = ending.returning(spec.end_column).cte(f"{prefix}ended")
        (number,) = ended.c
        # One row at most, of the same key; to compare their keys again would only be planned.
        image: Any = self._as_of(number).image(shape._replace(condition=""), beside=ended)
        row = transaction.following(prefix, number).add_cte(image.cte(f"{prefix}image"))
        return row.returning(*transaction.table.primary_key)

    def begin_new(self, shape: Shape, transaction: Insertion, numbers: Numbers) -> Executable:
        """Write the image of one new row and a transaction, if the row has no history."""
        taken: Any = self._as_of(numbers.next_value()).image(shape, self._is_first())
        image = taken.returning(self.spec.transaction_column).cte(f"{self.spec.prefix}image")
        row = transaction.following(self.spec.prefix, *image.c)
        return row.returning(*transaction.table.primary_key)

    def _as_of(self, number: ColumnElement[int]) -> BeginningStatements:
        """Return the same statements, as of a transaction of which the number is not known yet."""
        return type(self)(
            self.spec,
            self.related,
            self._dialect,
            self.style,
            keys_may_vary=self._keys_may_vary,
            tx=number,
        )
