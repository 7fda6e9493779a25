"""Lives of objects: made, changed and deleted, and what history must say of them."""

from typing import Any

from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from sqlalchemy_versioned import Operation, transaction_class, tx_column_name, version_class
from sqlalchemy_versioned.model.lookup import spec_of


def live(session: Session, obj: Any, /, **changes: Any) -> list[Any]:
    """Insert, change and delete *obj*, each in a transaction; return its three versions.

    Each version must be what the database had of the object then.
    """
    session.add(obj)
    session.commit()
    images, identity = [image(obj)], inspect(obj).identity
    change(obj, changes)
    session.commit()
    images.append(image(obj))
    assert images[0] != images[1]
    session.delete(obj)
    session.commit()
    images.append(images[1])
    # SQLite gives the keys of deleted rows to new ones, so there may have been a life before.
    versions = versions_of(session, type(obj), identity)[-3:]
    assert [image(version) for version in versions] == images
    check_frame(session, versions)
    return versions


def change(obj: Any, changes: dict[str, Any]) -> None:
    """Set attributes of *obj*."""
    for name, value in changes.items():
        setattr(obj, name, value)


def image(obj: Any) -> dict[str, Any]:
    """Return what is kept of an object, or what a version has kept of it."""
    return {name: getattr(obj, name) for name in spec_of(obj).columns}


def versions_of(session: Session, cls: type, identity: Any) -> list[Any]:
    """Return the versions of one object, read anew."""
    session.expire_all()
    found = version_class(cls)
    key = dict(zip(spec_of(cls).key, identity, strict=True))
    order = getattr(found, tx_column_name(cls))
    return list(session.scalars(select(found).filter_by(**key).order_by(order)))


def check_frame(session: Session, versions: list[Any]) -> None:
    """Check operations, transactions and ends of the versions of a whole life."""
    spec = spec_of(versions[0])
    operations = [getattr(version, spec.operation_key) for version in versions]
    assert operations == [Operation.INSERT, Operation.UPDATE, Operation.DELETE]
    numbers = [getattr(version, spec.transaction_key) for version in versions]
    known = session.scalars(select(transaction_class(spec.parent_class).id)).all()
    assert numbers == sorted(set(numbers) & set(known))
    if spec.end_key is not None:
        ends = [getattr(version, spec.end_key) for version in versions]
        assert ends == [*numbers[1:], None]
