"""Who asks, and from where, in synchronous web applications."""

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from wsgiref.util import FileWrapper

import pytest

from sqlalchemy_versioned import get_transaction_context, set_transaction_context
from sqlalchemy_versioned.plugins import WSGIMiddleware
from tests.schemas.desk import Desk, build_desk


@pytest.fixture
def models(keep):
    """Notes and users."""
    return keep(build_desk)


@pytest.fixture
def desk(models, tmp_path):
    """A desk with users."""
    desk = Desk.at(tmp_path / "desk.db", models)
    desk.hire(0, 1, 2)
    return desk


def wrap(app, **options):
    """Return an application whose requests know their users."""
    return WSGIMiddleware(app, user=lambda environ: environ.get("user"), **options)


def environ_of(user=None, **more):
    """Return what a server tells of a request."""
    return {"REMOTE_ADDR": "192.0.2.1", "user": user, **more}


def test_requests(desk):
    """Transactions of a request have its user and address, those before and after have none."""

    def app(environ, start_response):
        desk.write()
        return [b"a"]

    desk.write("before")
    assert wrap(app)(environ_of(0), None) == [b"a"]
    list(wrap(app)(environ_of(REMOTE_ADDR=""), None))
    desk.write("after")

    assert desk.writers() == [
        ("before", None, None),
        ("a", 0, "192.0.2.1"),
        ("a", None, None),
        ("after", None, None),
    ]


def test_proxies(desk):
    """Lists of trusted proxies are believed."""

    def app(environ, start_response):
        desk.write()
        return []

    environ = environ_of(REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR="1.1.1.1,198.51.100.1")
    wrap(app)(environ, None)
    wrap(app, trusted_proxies=["10.0.0.1"])(environ, None)

    assert [address for _, _, address in desk.writers()] == ["10.0.0.1", "198.51.100.1"]


def test_responses_that_are_made_while_they_are_sent(desk):
    """Requests whose parts are sent in turns know their own users until they are closed."""
    closed = []

    def app(environ, start_response):
        set_transaction_context(user=environ["said"])
        try:
            for part in ("first", "second"):
                desk.write(part)
                yield get_transaction_context()["user"]
        finally:
            desk.write("closed")
            closed.append(environ["said"])

    responses = [wrap(app)(environ_of(0, said=each), None) for each in (1, 2)]
    parts = [next(each) for each in responses + responses]
    desk.write("nobody")
    for each in responses:
        each.close()

    assert (parts, closed) == ([1, 2, 1, 2], [1, 2])
    users = [user for _, user, _ in desk.writers()]
    assert users == [1, 2, 1, 2, None, 1, 2]
    assert get_transaction_context() == {}


def test_a_failing_application(desk):
    """An exception of the application ends its request, also while the response is made."""
    left = []

    def app(environ, start_response):
        left.append(copy_context())
        raise LookupError

    def slow(environ, start_response):
        left.append(copy_context())
        yield b""
        raise LookupError

    with pytest.raises(LookupError):
        wrap(app)(environ_of(1), None)
    response = wrap(slow)(environ_of(1), None)
    with pytest.raises(LookupError):
        list(response)
    response.close()
    for context in left:
        context.run(desk.write)

    assert desk.writers() == [("a", None, None)] * 2


def test_files(tmp_path):
    """A server gets files as they are, to send them in its own way."""
    file = FileWrapper((tmp_path / "a").open("wb"))

    served = wrap(lambda environ, start_response: file)
    try:
        assert served(environ_of(**{"wsgi.file_wrapper": FileWrapper}), None) is file
    finally:
        file.close()


def test_threads(desk):
    """Threads that serve one request after the other have the user of the present one."""
    desk.hire(*range(3, 20))

    def app(environ, start_response):
        if environ["user"] % 2:
            set_transaction_context(user=environ["user"])
        desk.write(str(environ["user"]))
        yield b""

    def serve(user):
        response = wrap(app)(environ_of(user), None)
        list(response)
        response.close()
        return get_transaction_context()

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(serve, range(20))) == [{}] * 20

    assert all(text == str(user) for text, user, _ in desk.writers())
