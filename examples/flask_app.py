"""A wiki made with Flask: people log in, write pages, and put back what others have spoilt.

The models are versioned by the mixin ``Versioned``, and ``FlaskPlugin`` records who has logged in
and from where; no view writes to a version table. Beside the usual views there is one that tells
the history of a page, one that shows the whole wiki as it once was, and one that puts a page
back. ::

    pip install flask flask-login flask-sqlalchemy
    flask --app examples/flask_app.py run

It talks JSON, and keeps its pages in the database that ``DATABASE_URL`` names, by default in
``wiki.db``. ``tests/examples/test_flask_app.py`` shows all of it at work.
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

from flask import Blueprint, Flask, abort, jsonify, request
from flask_login import LoginManager, UserMixin, login_required, login_user
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Column, String, Text, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from werkzeug.security import check_password_hash, generate_password_hash

from sqlalchemy_versioned import (
    IncompleteHistory,
    Versioned,
    VersioningError,
    as_of,
    get_changes,
    make_versioned,
    transaction_context,
    version_class,
)
from sqlalchemy_versioned.plugins import FlaskPlugin

# -- the models ----------------------------------------------------------------------------------

make_versioned(
    plugins=[FlaskPlugin()],
    transaction_columns=[Column("reason", String(200))],
)


class Base(DeclarativeBase):
    """Base of the models of this example."""


db = SQLAlchemy(model_class=Base)


class User(UserMixin, db.Model):
    """Somebody who may write. Transactions refer to the class of this name."""

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    password: Mapped[str] = mapped_column(String(255))


class Page(Versioned, db.Model):
    """A page of the wiki."""

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(100))
    text: Mapped[str] = mapped_column(Text)


# -- the views -----------------------------------------------------------------------------------

login_manager = LoginManager()
wiki = Blueprint("wiki", __name__)


@login_manager.user_loader
def load_user(number: str) -> User | None:
    """Return the user whose number a cookie has."""
    return db.session.get(User, int(number))


@wiki.post("/users")
def register() -> Any:
    """Let somebody write from now on, known by ``name`` and ``password``."""
    said = request.get_json()
    db.session.add(User(name=said["name"], password=generate_password_hash(said["password"])))
    db.session.commit()
    return {"name": said["name"]}, 201


@wiki.post("/login")
def login() -> Any:
    """Log in, by ``name`` and ``password``."""
    said = request.get_json()
    user = db.session.scalars(select(User).filter_by(name=said["name"])).one_or_none()
    if user is None or not check_password_hash(user.password, said["password"]):
        abort(403)
    login_user(user)
    return {"name": user.name}


@wiki.post("/pages")
@login_required
def write_page() -> Any:
    """Write a page, with a ``title`` and a ``text``."""
    said = request.get_json()
    page = Page(title=said["title"], text=said["text"])
    db.session.add(page)
    db.session.commit()
    return as_json(page), 201


@wiki.put("/pages/<int:number>")
@login_required
def change_page(number: int) -> Any:
    """Change the ``title`` and the ``text`` of a page; there can be a ``reason``."""
    page, said = db.get_or_404(Page, number), request.get_json()
    page.title, page.text = said["title"], said["text"]
    with transaction_context(reason=said.get("reason")):
        db.session.commit()
    return as_json(page)


@wiki.delete("/pages/<int:number>")
@login_required
def delete_page(number: int) -> Any:
    """Delete a page."""
    db.session.delete(db.get_or_404(Page, number))
    db.session.commit()
    return "", 204


@wiki.get("/pages")
def list_pages() -> Any:
    """Show all pages; with ``?at=2030-12-31T12:00:00Z``, those of then, as they were."""
    if "at" not in request.args:
        return jsonify(read_pages(db.session))
    with as_of(db.session, parse_time(request.args["at"])) as past:
        return jsonify(read_pages(past))


@wiki.get("/pages/<int:number>/history")
def show_history(number: int) -> Any:
    """Tell what became of a page, who did it, when, why and from where; newest first."""
    records = get_changes(Page, db.session, object_ids=[number])
    return jsonify([{**each.to_dict(), "user": name_of(each.user_id)} for each in records])


@wiki.post("/pages/<int:number>/revert/<int:transaction>")
@login_required
def revert_page(number: int, transaction: int) -> Any:
    """Put a page back to what a transaction made of it, also if it was deleted since."""
    version = db.get_or_404(version_class(Page), (number, transaction))
    page = version.revert()
    db.session.commit()
    return ("", 204) if page is None else as_json(page)


@wiki.errorhandler(VersioningError)
def tell(error: VersioningError) -> Any:
    """Say why history cannot answer."""
    return {"error": str(error)}, 404 if isinstance(error, IncompleteHistory) else 400


def read_pages(session: Any) -> list[dict[str, Any]]:
    """Return all pages of a session, be it of the present or of the past."""
    return [as_json(page) for page in session.scalars(select(Page).order_by(Page.id))]


def as_json(page: Page) -> dict[str, Any]:
    """Return what is shown of a page."""
    return {"id": page.id, "title": page.title, "text": page.text}


def name_of(user_id: int | None) -> str | None:
    """Return the name of a user, who may be gone."""
    user = None if user_id is None else db.session.get(User, user_id)
    return None if user is None else user.name


def parse_time(text: str) -> datetime:
    """Return the time that a client means."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        abort(400, "'at' is no time, such as 2030-12-31T12:00:00Z")


def create_app(database_url: str | None = None) -> Flask:
    """Return the application; its tables are made if they are not there."""
    app = Flask(__name__)
    app.secret_key = os.environ.get("SECRET_KEY", "for trying it out only")
    app.config["SQLALCHEMY_DATABASE_URI"] = database_url or os.environ.get(
        "DATABASE_URL", "sqlite:///wiki.db"
    )
    app.register_blueprint(wiki)
    login_manager.init_app(app)
    db.init_app(app)
    with app.app_context():
        db.create_all()
    return app
