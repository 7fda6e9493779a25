"""The functions that write the row of a transaction, for all triggers of its table.

Which row it is, is kept in a setting of the database transaction, and goes with it and with its
savepoints; see ``docs/decisions`` for why it is believed.  The application says what the row is to
hold in another setting.
"""

from __future__ import annotations

from sqlalchemy import Table
from sqlalchemy.engine import Dialect

from ..model.spec import VersionSpec
from ..query.newest import row_key
from .settings import MOMENTS, UPKEEP
from .spec import TransactionSpec, TransactionStep, Variable
from .templates import REQUIRED
from .text import Text, fill
from .transaction_row import (
    epoch_of,
    next_number,
    told_of_row,
    value_at_first,
    value_when_moved,
    written_row,
)
from .transaction_templates import (
    BEGIN,
    CURRENT,
    IF_THERE,
    MOVE,
    MOVE_ENDS,
    MOVE_REFERRING,
    MOVE_VERSIONS,
    RELEASE,
    RELEASE_REFERRING,
    REMEMBER,
    STAMP,
    STAMPED,
    USED,
)

__all__ = ["build_transaction_function"]


def build_transaction_function(
    spec: TransactionSpec, step: TransactionStep, text: Text, dialect: Dialect
) -> str:
    """Return the body of the function for one step; only ``versioned_old`` is its argument."""
    slots = {
        "table": text.table(spec.table),
        # It stands inside of a string, which is cast to what identifies the table.
        "table_text": text.table(spec.table).replace("'", "''"),
        "number": text.column("t", spec.number),
    }
    if step is TransactionStep.CURRENT:
        return fill(CURRENT, **slots)
    if step is TransactionStep.BEGIN:
        return _build_begin(spec, text, dialect, slots)
    if step is TransactionStep.MOVE:
        return _build_move(spec, text, dialect, slots)
    return _build_release(spec, text, slots)


def _build_begin(spec: TransactionSpec, text: Text, dialect: Dialect, slots: dict[str, str]) -> str:
    # PostgreSQL refuses values for columns that it computes.
    columns = [c for c in spec.table.columns if c.computed is None]
    values = {column: value_at_first(column, text, dialect) for column in columns}
    # Never what the application says: numbers must come in the order of locks.
    values[spec.number] = next_number(spec, text)
    given = {column: value for column, value in values.items() if value is not None}
    is_stamped = "versioned_said ->> 'issued_at' IS NULL"
    said = f"jsonb_populate_record(NULL::{slots['table']}, versioned_all) AS s"
    return fill(
        BEGIN,
        row=written_row(text.columns(None, given), ", ".join(given.values()), said),
        variables=_variables(spec, text),
        required="\n".join(
            _required(each, spec, text) for each in spec.variables if each.is_required
        ),
        remember=fill(REMEMBER, **slots),
        returned=told_of_row(spec, text),
        stamp=_about_moment(STAMP, spec, slots, is_stamped=is_stamped),
        **slots,
    )


def _about_moment(template: str, spec: TransactionSpec, slots: dict[str, str], **more: str) -> str:
    """Fill a template about when a row was written; it is empty if rows do not tell that."""
    return "" if spec.moment is None else fill(template, moments=MOMENTS, **more, **slots)


def _variables(spec: TransactionSpec, text: Text) -> str:
    """Return what settings say, as an object of JSON."""
    pairs = [
        f"{text.string(spec.table.c[each.key].name)}, "
        f"NULLIF(current_setting({text.string(each.setting)}, true), '')"
        for each in spec.variables
    ]
    return f"jsonb_strip_nulls(jsonb_build_object({', '.join(pairs)}))"


def _required(variable: Variable, spec: TransactionSpec, text: Text) -> str:
    """Refuse a write without a variable, as one without a value for a column is."""
    return fill(
        REQUIRED,
        said="versioned_all",
        name=text.string(spec.table.c[variable.key].name),
        setting=text.string(variable.setting),
    )


def _build_move(spec: TransactionSpec, text: Text, dialect: Dialect, slots: dict[str, str]) -> str:
    columns = [c for c in spec.table.columns if c.computed is None and c is not spec.number]
    number = next_number(spec, text)
    names = columns if number is None else [spec.number, *columns]
    epoch = "" if spec.moment is None else epoch_of(spec.moment, "t", text)
    copied = [] if number is None else [number]
    copied += [value_when_moved(column, spec, text, dialect) for column in columns]
    moving = [
        _if_there(spec, each.version_table, _build_versions_move(each, text), text)
        for each in spec.versions
    ]
    old = f"{slots['table']} AS t WHERE {slots['number']} = versioned_old"
    return fill(
        MOVE,
        current=text.beside(spec.table, spec.functions[TransactionStep.CURRENT]),
        row=written_row(text.columns(None, names), ", ".join(copied), old),
        returned=told_of_row(spec, text),
        versions="\n".join(moving),
        referring=_all_referring(MOVE_REFERRING, spec, text),
        remember=fill(REMEMBER, **slots),
        stamped=_about_moment(STAMPED, spec, slots, moment=epoch),
        stamp=_about_moment(STAMP, spec, slots, is_stamped="versioned_stamped"),
        upkeep=UPKEEP,
        **slots,
    )


def _build_versions_move(spec: VersionSpec, text: Text) -> str:
    slots = {
        "version": text.table(spec.version_table),
        "transaction": text.columns(None, [spec.transaction_column]),
        "own_transaction": text.column("own", spec.transaction_column),
        "v_transaction": text.column("v", spec.transaction_column),
    }
    moving = [fill(MOVE_VERSIONS, **slots)]
    if spec.end_column is not None:
        same = [f"{text.column('own', c)} = {text.column('v', c)}" for c in row_key(spec)]
        ends = {
            "end": text.columns(None, [spec.end_column]),
            "v_end": text.column("v", spec.end_column),
            "same_row": " AND ".join(same),
        }
        # Ends first: they are found by the number that the versions still have.
        moving.insert(0, fill(MOVE_ENDS, **slots, **ends))
    return "\n".join(moving)


def _build_release(spec: TransactionSpec, text: Text, slots: dict[str, str]) -> str:
    looks = {
        each.version_table: f"EXISTS (SELECT FROM {text.table(each.version_table)} AS v "
        f"WHERE {text.column('v', each.transaction_column)} = versioned_old)"
        for each in spec.versions
    }
    if spec.is_shared:
        used = [_if_there(spec, t, fill(USED, used=look), text) for t, look in looks.items()]
    else:
        used = [fill(USED, used="\nOR ".join(looks.values()))]
    referring = _all_referring(RELEASE_REFERRING, spec, text)
    return fill(RELEASE, used="\n".join(used), referring=referring, **slots)


def _all_referring(template: str, spec: TransactionSpec, text: Text) -> str:
    """Return what is done to the rows of each table that refers to transactions."""
    done: list[str] = []
    for column in spec.referring:
        table, reference = text.table(column.table), text.columns(None, [column])
        statement = fill(template, other=table, reference=reference)
        done.append(_if_there(spec, column.table, statement, text))
    return "\n".join(done)


def _if_there(spec: TransactionSpec, table: Table, statements: str, text: Text) -> str:
    """Let statements be executed where the database has a table that it need not have."""
    if not spec.is_shared:
        return statements
    return fill(IF_THERE, table_text=text.table(table).replace("'", "''"), statements=statements)
