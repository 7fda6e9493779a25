"""The wiki of ``examples/flask_app.py``, used by its test client."""

import pytest


@pytest.fixture
def app(run_example, database):
    """The wiki, on an empty database."""
    wiki = run_example("flask_app.py", "flask_app")
    app = wiki["create_app"](database.url)
    yield app
    with app.app_context():
        wiki["db"].engine.dispose()


def log_in(app, name):
    """Return a client that somebody has logged in with."""
    client = app.test_client()
    said = {"name": name, "password": "secret"}
    assert client.post("/users", json=said).status_code == 201
    assert client.post("/login", json=said).json == {"name": name}
    return client


def test_wiki(app):
    """A page is written, spoilt, looked up as it was, deleted and put back; history tells of it."""
    ada, bob = log_in(app, "ada"), log_in(app, "bob")
    good = {"id": 1, "title": "Engine", "text": "It weaves."}
    spoilt = {"id": 1, "title": "Engine", "text": "lol"}
    assert ada.post("/pages", json=good).json == good
    assert bob.put("/pages/1", json={**spoilt, "reason": "fun"}).json == spoilt
    assert bob.delete("/pages/1").status_code == 204
    guest = app.test_client()

    deletion, change, writing = guest.get("/pages/1/history").json
    assert [each["user"] for each in (writing, change, deletion)] == ["ada", "bob", "bob"]
    assert [each["operation"] for each in (writing, change)] == ["INSERT", "UPDATE"]
    assert change["changes"] == [{"field": "text", "old": "It weaves.", "new": "lol"}]
    assert change["context"] == {"remote_addr": "127.0.0.1", "reason": "fun"}
    assert guest.get("/pages").json == []
    for record, pages in ((writing, [good]), (change, [spoilt]), (deletion, [])):
        assert guest.get("/pages", query_string={"at": record["issued_at"]}).json == pages

    assert ada.post(f"/pages/1/revert/{writing['transaction']}").json == good
    assert guest.get("/pages").json == [good]
    newest = guest.get("/pages/1/history").json[0]
    assert (newest["user"], newest["operation"]) == ("ada", "INSERT")
    assert ada.post(f"/pages/1/revert/{deletion['transaction']}").status_code == 204
    assert guest.get("/pages").json == []


def test_refusals(app):
    """Guests cannot write, and questions that history cannot answer are refused."""
    guest, ada = app.test_client(), log_in(app, "ada")
    page = {"title": "Engine", "text": "It weaves."}

    assert guest.post("/login", json={"name": "ada", "password": ""}).status_code == 403
    assert guest.post("/pages", json=page).status_code == 401
    assert guest.post("/pages/1/revert/1").status_code == 401
    assert ada.post("/pages", json=page).status_code == 201
    assert ada.post("/pages/1/revert/99").status_code == 404
    assert guest.get("/pages/2/history").json == []
    assert guest.get("/pages?at=yesterday").status_code == 400
    naive = guest.get("/pages?at=2030-12-31T12:00:00")
    assert (naive.status_code, "time zone" in naive.json["error"]) == (400, True)
    assert guest.get("/pages?at=1970-01-01T00:00:00Z").status_code == 404
