"""Who asks, and from where, in asynchronous web applications."""

import asyncio
import threading
from contextvars import copy_context
from functools import partial

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from sqlalchemy_versioned import (
    ImproperlyConfigured,
    InvalidArgument,
    TransactionFactory,
    get_transaction_context,
    set_transaction_context,
    transaction_context,
)
from sqlalchemy_versioned.plugins import ASGIMiddleware
from tests.schemas.desk import Desk, build_desk

user_of = ASGIMiddleware, {"user": lambda scope: scope.get("user")}


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


def scope_of(user=None, client="192.0.2.1", **more):
    """Return what a server tells of a request."""
    return {"type": "http", "headers": [], "client": (client, 80), "user": user, **more}


def serve(app, *scopes, **options):
    """Serve requests in turn."""
    wrapped = ASGIMiddleware(app, user=lambda scope: scope["user"], **options)

    async def main():
        for scope in scopes:
            await wrapped(scope, None, None)

    asyncio.run(main())


def test_requests(desk):
    """Transactions of a request have its user and address, those before and after have none."""

    async def app(scope, receive, send):
        desk.write(scope["type"])

    desk.write("before")
    serve(app, scope_of(1), scope_of(0, "::1", type="websocket"), scope_of(2, type="lifespan"))
    serve(app, scope_of(client="testclient"), scope_of(None) | {"client": None})
    desk.write("after")

    assert desk.writers() == [
        ("before", None, None),
        ("http", 1, "192.0.2.1"),
        ("websocket", 0, "::1"),
        ("lifespan", None, None),
        ("http", None, None),
        ("http", None, None),
        ("after", None, None),
    ]


def test_what_the_application_says_itself_wins(desk):
    """A context that the application has set wins over the request, for what it says."""

    async def app(scope, receive, send):
        with transaction_context(user=2):
            desk.write()

    serve(app, scope_of(1))

    assert desk.writers() == [("a", 2, "192.0.2.1")]


def test_what_is_set_in_a_request_ends_with_it(desk):
    """What a request sets and does not clear is not in force for the next one."""

    async def app(scope, receive, send):
        assert get_transaction_context() == {}
        set_transaction_context(user=2)
        desk.write()

    serve(app, scope_of(1), scope_of(1))

    assert [user for _, user, _ in desk.writers()] == [2, 2]
    assert get_transaction_context() == {}


def test_a_failing_application(desk):
    """An exception of the application ends its request as well."""

    async def app(scope, receive, send):
        raise LookupError

    with pytest.raises(LookupError):
        serve(app, scope_of(1))
    desk.write()

    assert desk.writers() == [("a", None, None)]


def test_what_outlives_its_request(desk):
    """Tasks and threads that a request has started are its own until it is over."""
    jobs = []

    async def job(is_over):
        desk.write("during")
        await is_over.wait()
        desk.write("late")
        await asyncio.to_thread(desk.write, "late, in a thread")

    async def app(scope, receive, send):
        jobs.append(asyncio.create_task(job(scope["is_over"])))
        thread = threading.Thread(target=desk.write, args=["thread of its own"])
        thread.start()
        thread.join()
        await asyncio.to_thread(desk.write, "thread")
        await asyncio.sleep(0)

    async def main():
        is_over = asyncio.Event()
        middleware, options = user_of
        await middleware(app, **options)(scope_of(1, is_over=is_over), None, None)
        is_over.set()
        await jobs[0]

    asyncio.run(main())

    found = {text: user for text, user, _ in desk.writers()}
    # Since Python 3.14 some builds let threads have the context of those that start them.
    found.pop("thread of its own")
    assert found == {"thread": 1, "during": 1, "late": None, "late, in a thread": None}


def test_200_requests_at_once(tables, models):
    """Each of many requests that wait for each other has its own user and address."""
    desk = Desk(tables, models)
    desk.hire(*range(200))

    async def app(scope, receive, send):
        for _ in range(scope["user"] % 5):
            await asyncio.sleep(0)
        desk.write(str(scope["user"]))

    async def main():
        middleware, options = user_of
        requests = [scope_of(each, f"10.0.0.{each}") for each in range(200)]
        await asyncio.gather(*[middleware(app, **options)(each, None, None) for each in requests])

    asyncio.run(main())

    found = desk.writers()
    assert len(found) == 200
    assert all((text, address) == (str(user), f"10.0.0.{user}") for text, user, address in found)


@pytest.mark.needs("triggers")
@pytest.mark.options(native=True)
def test_triggers(tables, models):
    """Triggers record the user and the address of a request, also for SQL text."""
    desk = Desk(tables, models)
    desk.hire(1)

    async def app(scope, receive, send):
        with Session(tables) as session:
            session.execute(text("INSERT INTO note (text) VALUES ('text')"))
            session.commit()
        desk.write("object")

    serve(app, scope_of(1))

    assert desk.writers() == [("text", 1, "192.0.2.1"), ("object", 1, "192.0.2.1")]


def test_nested_applications(desk):
    """An application in another adds what it knows itself, and wins."""

    async def app(scope, receive, send):
        desk.write()

    inner = ASGIMiddleware(app, user=lambda scope: scope["inner"])

    async def outer(scope, receive, send):
        await inner(scope | {"client": None}, receive, send)
        desk.write()

    serve(outer, scope_of(1, inner=2), scope_of(1, inner=None))

    assert [user for _, user, _ in desk.writers()] == [2, 1, 1, 1]
    assert {address for _, _, address in desk.writers()} == {"192.0.2.1"}


def test_proxies(desk):
    """Lists of trusted proxies are believed, however many headers they come in."""

    async def app(scope, receive, send):
        desk.write()

    headers = [(b"x-forwarded-for", b"1.1.1.1"), (b"X-Forwarded-For", b"198.51.100.1, 10.0.0.2")]
    asked = scope_of(client="10.0.0.1", headers=headers)
    serve(app, asked)
    serve(app, asked, trusted_proxies=["10.0.0.0/8"])
    serve(app, asked, remote_addr=lambda scope: "somewhere")

    found = [address for _, _, address in desk.writers()]
    assert found == ["10.0.0.1", "198.51.100.1", "somewhere"]


def test_transactions_without_addresses(versioning, Base, tmp_path):
    """Where transactions know no addresses, nobody looks for one; a user has to have a place."""
    versioning.transaction_cls = TransactionFactory(remote_addr=False)
    versioning.user_cls = None
    desk = Desk.at(tmp_path / "desk.db", build_desk(Base))

    async def app(scope, receive, send):
        desk.write()

    serve(app, scope_of(None), remote_addr=fail)

    assert [set(each) for each in desk.transactions()] == [{"id", "issued_at"}]
    with pytest.raises(InvalidArgument, match=r"give make_versioned\(\) a user_cls"):
        serve(app, scope_of(1))


def fail(scope):
    """Must not be called."""
    raise AssertionError


def test_nobody_is_asked_without_need(desk):
    """Who asks is not found out for requests that write nothing."""

    async def app(scope, receive, send):
        pass

    asyncio.run(ASGIMiddleware(app, user=fail, remote_addr=fail)(scope_of(), None, None))


async def find(scope):
    """Cannot be called in a flush."""


@pytest.mark.parametrize("argument", ["user", "remote_addr"])
@pytest.mark.parametrize("function", [find, 1])
def test_functions_that_cannot_be_called(argument, function):
    """What finds a user or an address is a plain function."""
    with pytest.raises(ImproperlyConfigured, match=f"{argument} is .* plain function"):
        ASGIMiddleware(None, **{argument: function})


# -- real ones -----------------------------------------------------------------------------------


def test_starlette(desk):
    """Endpoints, streamed responses, background tasks and websockets of Starlette."""
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.middleware import Middleware
    from starlette.responses import StreamingResponse
    from starlette.routing import Route, WebSocketRoute
    from starlette.testclient import TestClient

    def body():
        desk.write("streamed")
        yield b"x"

    async def endpoint(request):
        request.scope["user"] = 1
        desk.write("endpoint")
        return StreamingResponse(body(), background=BackgroundTask(desk.write, "background"))

    async def talk(websocket):
        await websocket.accept()
        desk.write("websocket")
        await websocket.close()

    middleware, options = user_of
    routes = [Route("/", endpoint), WebSocketRoute("/talk", talk)]
    app = Starlette(routes=routes, middleware=[Middleware(middleware, **options)])
    client = TestClient(app, client=("192.0.2.1", 80))
    assert client.get("/").text == "x"
    with client.websocket_connect("/talk"):
        pass

    assert sorted(desk.writers(), key=str) == [
        ("background", 1, "192.0.2.1"),
        ("endpoint", 1, "192.0.2.1"),
        ("streamed", 1, "192.0.2.1"),
        ("websocket", None, "192.0.2.1"),
    ]


def test_fastapi(desk):
    """Endpoints that run in threads, and what dependencies do once the response is sent."""
    from fastapi import Depends, FastAPI, Request
    from fastapi.testclient import TestClient

    async def authenticate(request: Request):
        request.state.user_id = 2
        yield
        desk.write()

    app = FastAPI(dependencies=[Depends(authenticate)])
    app.add_middleware(ASGIMiddleware, user=lambda scope: scope["state"]["user_id"])
    app.get("/")(partial(desk.write, "a"))
    assert TestClient(app).get("/").json() is None

    assert [user for _, user, _ in desk.writers()] == [2, 2]


def test_unfinished(desk):
    """A request that is thrown away in the middle is over."""

    async def app(scope, receive, send):
        scope["context"] = copy_context()
        await asyncio.sleep(0)

    scope = scope_of(1)
    serving = ASGIMiddleware(app, user=lambda scope: scope["user"])(scope, None, None)
    copy_context().run(serving.send, None)
    serving.close()
    scope["context"].run(desk.write)

    assert [user for _, user, _ in desk.writers()] == [None]


def test_litestar(desk):
    """A handler of Litestar."""
    from litestar import Litestar, get
    from litestar.middleware import DefineMiddleware
    from litestar.testing import TestClient

    @get("/", sync_to_thread=True)
    def handler() -> str:
        desk.write()
        return "written"

    middleware = DefineMiddleware(ASGIMiddleware, user=lambda scope: 2)
    with TestClient(Litestar([handler], middleware=[middleware])) as client:
        assert client.get("/").text == "written"

    assert [user for _, user, _ in desk.writers()] == [2]
