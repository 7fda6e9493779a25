"""What the introduction of sqlaudit promises, done with this library: who changed which field.

Customers are tracked, and each change tells the field, the old and the new value, the moment and
the user. There is nothing to register, and no second store: changes are read from versions. ::

    python examples/from_sqlaudit.py
"""

from __future__ import annotations

from sqlalchemy import ForeignKey, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, configure_mappers, mapped_column

from sqlalchemy_versioned import flatten, get_changes, make_versioned, versioned


class SignedIn:
    """Who is using the program; a web application would ask its request."""

    user_id: int | None = None


make_versioned(user_cls="User", current_user=lambda: SignedIn.user_id)


class Base(DeclarativeBase):
    """Base of the models of this example."""


class User(Base):
    """Somebody who uses the program; not tracked."""

    __tablename__ = "users"

    user_id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


TRACKED = ["name", "email", "user_id"]


@versioned(include=TRACKED, label="Customer")
class Customer(Base):
    """A customer, of whom three fields are tracked."""

    __tablename__ = "customers"

    customer_id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    email: Mapped[str]
    visits: Mapped[int] = mapped_column(default=0)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.user_id"))


configure_mappers()


def add_customer(session: Session, name: str, email: str, user: User) -> Customer:
    """Add a customer, and say so."""
    customer = Customer(name=name, email=email, user_id=user.user_id)
    session.add(customer)
    session.commit()
    print(f"Customer {customer.customer_id} added with name {name} and email {email}.")
    return customer


def print_changes(session: Session, customer: Customer, user: User) -> None:
    """Print what a user has changed of a customer, newest first."""
    records = get_changes(
        Customer,
        session,
        object_ids=[customer.customer_id],
        user_ids=[user.user_id],
        fields=TRACKED,
    )
    for change in flatten(records):
        print(
            f"{change.object_type} {change.object_id}, {change.operation.name}: "
            f"FIELD: {change.field!r} CHANGED AT {change.issued_at} TO {change.new} "
            f"(OLD: {change.old}) BY USER ID {change.user_id}"
        )


def main() -> None:
    """Add two customers, change one, and tell what became of it."""
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        user = User(name="Ada")
        session.add(user)
        session.commit()
        SignedIn.user_id = user.user_id

        add_customer(session, "John Doe", "jdoe@example.com", user)
        jane = add_customer(session, "Jane Doe", "jane@example.com", user)
        jane.name = "Jane Smith"
        session.commit()
        jane.visits = 1
        session.commit()
        print_changes(session, jane, user)
    engine.dispose()


if __name__ == "__main__":
    main()
