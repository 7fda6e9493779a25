"""Who asks, and from where, in Flask applications."""

import sys

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Mapped, Session, configure_mappers, mapped_column

from sqlalchemy_versioned import (
    ImproperlyConfigured,
    TransactionFactory,
    make_versioned,
    transaction_context,
)
from sqlalchemy_versioned.plugins import FlaskPlugin
from tests.schemas.desk import Desk, build_desk


@pytest.fixture
def plugin(versioning):
    """The plugin, as it is by default."""
    plugin = FlaskPlugin()
    versioning.plugins.append(plugin)
    return plugin


@pytest.fixture
def models(plugin, request):
    """Notes and users."""
    from flask_login import UserMixin

    models = build_desk(request.getfixturevalue("Base"))
    models.User.__bases__ += (UserMixin,)
    return models


@pytest.fixture
def desk(models, tmp_path):
    """A desk with users."""
    desk = Desk.at(tmp_path / "desk.db", models)
    desk.hire(0, 1, 2)
    return desk


@pytest.fixture
def app():
    """An application without users."""
    from flask import Flask

    app = Flask(__name__)
    app.secret_key = "secret"
    return app


@pytest.fixture
def login(app, desk):
    """Let people log in by their number."""
    from flask_login import LoginManager, login_user

    manager = LoginManager(app)

    @manager.user_loader
    def load(number):
        with Session(desk.engine) as session:
            return session.get(desk.models.User, int(number))

    @app.post("/login/<int:number>")
    def login(number):
        return str(login_user(load(number)))

    return manager


def add_writing(app, desk):
    """Let people write notes."""

    @app.post("/")
    def write():
        desk.write()
        return "written"


def test_without_login(app, desk):
    """Requests have an address; outside of them nothing is known."""
    add_writing(app, desk)

    app.test_client().post("/")
    with app.app_context():
        desk.write("no request")
    desk.write("no application")
    app.test_client().post("/", environ_base={"REMOTE_ADDR": "testclient"})

    assert desk.writers() == [
        ("a", None, "127.0.0.1"),
        ("no request", None, None),
        ("no application", None, None),
        ("a", None, None),
    ]


@pytest.mark.usefixtures("login")
def test_login(app, desk):
    """The user is who has logged in, and nobody before; what is said in a context wins."""
    add_writing(app, desk)

    client = app.test_client()
    client.post("/")
    client.post("/login/0")
    client.post("/")
    with transaction_context(user=2):
        client.post("/")

    assert [user for _, user, _ in desk.writers()] == [None, 0, 2]


@pytest.mark.parametrize("is_asked_for", [False, True])
def test_looking_for_the_user_flushes_nothing(app, desk, login, versioning, is_asked_for):
    """A user that the session of the request loads is found before what it has is flushed."""
    session = Session(desk.engine)
    login.user_loader(lambda number: session.get(desk.models.User, int(number)))

    @app.post("/")
    def write():
        session.add(desk.models.Note(text="b"))
        if is_asked_for:
            versioning.unit_of_work(session).create_transaction(session)
        session.execute(update(desk.models.Note).values(text="c"))
        session.commit()
        return "written"

    client = app.test_client()
    client.post("/login/1")
    client.post("/")
    session.close()

    assert desk.writers() == [("c", 1, "127.0.0.1")]


def test_users_of_another_kind(app, desk, login):
    """A user that is no object of the user class is known by its id, if it is to be trusted."""

    class Person:
        is_active, is_anonymous, id = True, False, 2

        def __init__(self, request):
            self.is_authenticated = "trusted" in request.args

        def get_id(self):
            return "2"

    login.request_loader(Person)
    add_writing(app, desk)

    app.test_client().post("/?trusted")
    app.test_client().post("/")

    assert [user for _, user, _ in desk.writers()] == [2, None]


def test_factories(versioning, Base, tmp_path):
    """Functions of the application are asked instead, also where there is no request."""
    versioning.plugins.append(FlaskPlugin(lambda: 1, lambda: "somewhere"))
    desk = Desk.at(tmp_path / "desk.db", build_desk(Base))
    desk.hire(1)

    desk.write()

    assert desk.writers() == [("a", 1, "somewhere")]


@pytest.mark.options(user_cls=None)
@pytest.mark.usefixtures("login")
def test_transactions_without_users(app, desk):
    """Where transactions know no users, nobody is asked for one."""
    add_writing(app, desk)

    client = app.test_client()
    client.post("/login/1")
    client.post("/")

    assert [each["remote_addr"] for each in desk.transactions()] == ["127.0.0.1"]


def test_transactions_without_addresses(app, versioning, plugin, Base, tmp_path):
    """Where transactions know no addresses, none is recorded."""
    versioning.transaction_cls = TransactionFactory(remote_addr=False)
    desk = Desk.at(tmp_path / "desk.db", build_desk(Base))
    add_writing(app, desk)

    app.test_client().post("/")

    assert [set(each) for each in desk.transactions()] == [{"id", "issued_at", "user_id"}]


def test_no_flask(monkeypatch):
    """The plugin needs Flask, and says so."""
    monkeypatch.setitem(sys.modules, "flask", None)

    with pytest.raises(ImproperlyConfigured, match="install Flask, or use WSGIMiddleware"):
        FlaskPlugin()


def test_flask_sqlalchemy(app, database, versioning):
    """Models and scoped sessions of Flask-SQLAlchemy."""
    from flask_login import LoginManager, UserMixin, login_user
    from flask_sqlalchemy import SQLAlchemy

    make_versioned(plugins=[FlaskPlugin()])
    app.config["SQLALCHEMY_DATABASE_URI"] = database.url
    db = SQLAlchemy(app)

    class User(UserMixin, db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)

    class BlogPost(db.Model):
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        title: Mapped[str] = mapped_column(db.String(50))

    LoginManager(app).user_loader(lambda number: db.session.get(User, int(number)))

    @app.post("/<title>")
    def write(title):
        user = db.session.get(User, 1)
        login_user(user)
        post = db.session.get(BlogPost, 1) or BlogPost()
        post.title = title
        db.session.add(post)
        db.session.commit()
        return {"titles": [version.title for version in post.versions]}

    with app.app_context():
        configure_mappers()
        db.create_all()
        db.session.add(User())
        db.session.commit()
        client = app.test_client()
        client.post("/a")
        assert client.post("/b").json == {"titles": ["a", "b"]}
        versions = db.session.get(BlogPost, 1).versions
        assert [version.transaction.user.id for version in versions] == [1, 1]
        assert versions[0].transaction.user is db.session.get(User, 1)
        db.session.remove()
        db.engine.dispose()
