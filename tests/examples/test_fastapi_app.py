"""The cook book of ``examples/fastapi_app.py``, used by its test client."""

import pytest

pytestmark = pytest.mark.needs("async")


@pytest.fixture
def guest(run_example, database):
    """A client without a token, of the cook book on an empty database."""
    # Every process that looks for tests would import it at the top, and one of them uses it.
    from fastapi.testclient import TestClient

    app = run_example("fastapi_app.py", "fastapi_app")["create_app"](database.async_url)
    with TestClient(app, client=("192.0.2.1", 80)) as client:
        yield client


@pytest.fixture
def hire(guest):
    """Return the headers of a new cook."""

    def hire(name):
        found = guest.post("/cooks", params={"name": name})
        assert found.status_code == 201
        return {"Authorization": f"Bearer {found.json()['token']}"}

    return hire


def recipe(title, **ingredients):
    """Return a recipe as clients send it, and get it."""
    listed = [{"name": name, "grams": grams} for name, grams in ingredients.items()]
    return {"id": 1, "title": title, "ingredients": listed}


def test_cook_book(guest, hire):
    """A recipe is written, spoilt, looked up as it was, deleted and put back with what it takes."""
    ada, bob = hire("ada"), hire("bob")
    good, spoilt = recipe("Bread", flour=500, salt=10), recipe("Bread", salt=500)
    assert guest.post("/recipes", json=good, headers=ada).json() == good
    assert guest.put("/recipes/1", json=spoilt, headers=bob).json() == spoilt
    assert guest.delete("/recipes/1", headers=bob).status_code == 204

    history = guest.get("/recipes/1/history").json()
    deletion, change, writing = history
    assert [each["user_id"] for each in history] == [2, 2, 1]
    assert {each["context"]["remote_addr"] for each in history} == {"192.0.2.1"}
    assert [each["field"] for each in change["changes"]] == ["ingredients"]
    assert guest.get("/recipes").json() == []
    for record, recipes in ((writing, [good]), (change, [spoilt]), (deletion, [])):
        assert guest.get("/recipes", params={"at": record["issued_at"]}).json() == recipes

    back = guest.post(f"/recipes/1/revert/{writing['transaction']}", headers=ada)
    assert back.json() == good
    assert guest.get("/recipes").json() == [good]
    assert guest.get("/recipes/1/history").json()[0]["user_id"] == 1


def test_refusals(guest, hire):
    """Guests cannot write, and questions that history cannot answer are refused."""
    ada, nobody = hire("ada"), {"Authorization": "Bearer nobody"}

    assert guest.post("/recipes", json=recipe("Bread")).status_code in (401, 403)
    assert guest.post("/recipes", json=recipe("Bread"), headers=nobody).status_code == 403
    assert guest.post("/recipes", json=recipe("Bread"), headers=ada).status_code == 201
    assert guest.post("/recipes/1/revert/99", headers=ada).status_code == 404
    assert guest.get("/recipes", params={"at": "2030-12-31T12:00:00"}).status_code == 422
    early = guest.get("/recipes", params={"at": "1970-01-01T00:00:00Z"})
    assert (early.status_code, "history" in early.json()["detail"]) == (404, True)
