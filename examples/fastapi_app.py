"""A cook book made with FastAPI and asynchronous sessions.

The models are versioned by the mixin ``Versioned``, and ``ASGIMiddleware`` records whose token
came with a request and from where; no endpoint writes to a version table. Beside the usual
endpoints there is one that tells the history of a recipe, one that shows the book as it once was,
and one that puts a recipe back, with its ingredients. ::

    pip install fastapi asyncpg uvicorn
    export DATABASE_URL=postgresql+asyncpg://localhost/book
    uvicorn --factory examples.fastapi_app:create_app

``POST /cooks?name=…`` gives a token. ``tests/examples/test_fastapi_app.py`` shows all of it at
work.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from secrets import token_urlsafe
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AwareDatetime, BaseModel, ConfigDict
from sqlalchemy import URL, ForeignKey, String, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    mapped_column,
    relationship,
)

from sqlalchemy_versioned import (
    IncompleteHistory,
    Versioned,
    VersioningError,
    make_versioned,
    version_class,
)
from sqlalchemy_versioned import asyncio as versioned
from sqlalchemy_versioned.plugins import ASGIMiddleware

# -- the models ----------------------------------------------------------------------------------

make_versioned(user_cls="Cook")


class Base(DeclarativeBase):
    """Base of the models of this example."""


class Cook(Base):
    """Somebody who may write; transactions refer to one."""

    __tablename__ = "cook"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    token: Mapped[str] = mapped_column(String(50), unique=True)


class Ingredient(Versioned, Base):
    """What a recipe takes, and how much of it."""

    __tablename__ = "ingredient"

    id: Mapped[int] = mapped_column(primary_key=True)
    recipe_id: Mapped[int] = mapped_column(ForeignKey("recipe.id"))
    name: Mapped[str] = mapped_column(String(100))
    grams: Mapped[int]


class Recipe(Versioned, Base):
    """A recipe."""

    __tablename__ = "recipe"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(100))
    ingredients: Mapped[list[Ingredient]] = relationship(
        cascade="all, delete-orphan", order_by=Ingredient.name, lazy="selectin"
    )


# -- what goes in and out ------------------------------------------------------------------------


class IngredientData(BaseModel):
    """An ingredient, as clients see it."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    grams: int


class RecipeData(BaseModel):
    """A recipe, as clients see it; its number is not theirs to give."""

    model_config = ConfigDict(from_attributes=True)

    id: int | None = None
    title: str
    ingredients: list[IngredientData] = []


# -- the endpoints -------------------------------------------------------------------------------


async def open_session(request: Request) -> AsyncGenerator[AsyncSession, None]:
    """Give a request a session of its own."""
    async with request.app.state.sessions() as session:
        yield session


Sessions = Annotated[AsyncSession, Depends(open_session)]
Tokens = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]


async def authenticate(request: Request, session: Sessions, token: Tokens) -> None:
    """Find out who asks, and leave it where :func:`cook_of` looks."""
    found = await session.scalars(select(Cook.id).filter_by(token=token.credentials))
    request.state.cook_id = found.one_or_none()
    if request.state.cook_id is None:
        raise HTTPException(403, "no cook has this token")


def cook_of(scope: Mapping[str, Any]) -> int | None:
    """Return the number of the cook who asks, for transactions."""
    number: int | None = scope.get("state", {}).get("cook_id")
    return number


async def post_cook(name: str, session: Sessions) -> dict[str, str]:
    """Let somebody write from now on, known by the token that is returned."""
    cook = Cook(name=name, token=token_urlsafe())
    session.add(cook)
    await session.commit()
    return {"token": cook.token}


async def post_recipe(recipe: RecipeData, session: Sessions) -> RecipeData:
    """Write a recipe."""
    written = Recipe(title=recipe.title, ingredients=build_ingredients(recipe))
    session.add(written)
    await session.commit()
    return RecipeData.model_validate(written)


async def put_recipe(number: int, recipe: RecipeData, session: Sessions) -> RecipeData:
    """Change a recipe."""
    written = await find(session, Recipe, number)
    written.title, written.ingredients = recipe.title, build_ingredients(recipe)
    await session.commit()
    return RecipeData.model_validate(written)


async def delete_recipe(number: int, session: Sessions) -> None:
    """Delete a recipe, and its ingredients."""
    await session.delete(await find(session, Recipe, number))
    await session.commit()


async def get_recipes(session: Sessions, at: AwareDatetime | None = None) -> list[RecipeData]:
    """Show all recipes, or those that there were at a time, as they were."""
    if at is None:
        return await read_recipes(session)
    async with versioned.as_of(session, at) as past:
        return await read_recipes(past)


async def get_history(number: int, session: Sessions) -> list[dict[str, Any]]:
    """Tell what became of a recipe, who did it, when and from where; newest first."""
    relations = ["ingredients"]
    records = await versioned.get_changes(Recipe, session, object_ids=[number], relations=relations)
    return [each.to_dict() for each in records]


async def revert_recipe(number: int, transaction: int, session: Sessions) -> RecipeData | None:
    """Put a recipe back to what a transaction made of it, also if it was deleted since."""
    version = await find(session, version_class(Recipe), (number, transaction))
    recipe = await versioned.revert(version, relations=["ingredients"])
    await session.commit()
    return None if recipe is None else RecipeData.model_validate(recipe)


async def find(session: AsyncSession, cls: type[Any], key: Any) -> Any:
    """Return an object, or tell the client that it is not there."""
    found = await session.get(cls, key)
    if found is None:
        raise HTTPException(404, f"no {cls.__name__} has the number {key}")
    return found


async def read_recipes(session: AsyncSession) -> list[RecipeData]:
    """Return all recipes of a session, be it of the present or of the past."""
    found = await session.scalars(select(Recipe).order_by(Recipe.id))
    return [RecipeData.model_validate(each) for each in found]


def build_ingredients(recipe: RecipeData) -> list[Ingredient]:
    """Return the ingredients that a client has sent."""
    return [Ingredient(**each.model_dump()) for each in recipe.ingredients]


# -- the application -----------------------------------------------------------------------------


async def tell(request: Request, error: Exception) -> JSONResponse:
    """Say why history cannot answer."""
    status = 404 if isinstance(error, IncompleteHistory) else 400
    return JSONResponse({"detail": str(error)}, status)


def create_app(database_url: str | URL | None = None) -> FastAPI:
    """Return the application, which makes its tables when it starts."""
    engine = create_async_engine(
        database_url or os.environ.get("DATABASE_URL", "sqlite+aiosqlite:///book.db")
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield
        await engine.dispose()

    app = FastAPI(title="Cook book", lifespan=lifespan)
    app.add_middleware(ASGIMiddleware, user=cook_of)
    app.add_exception_handler(VersioningError, tell)
    app.post("/cooks", status_code=201)(post_cook)
    app.get("/recipes")(get_recipes)
    app.get("/recipes/{number}/history")(get_history)
    writing = APIRouter(dependencies=[Depends(authenticate)])
    writing.post("/recipes", status_code=201)(post_recipe)
    writing.put("/recipes/{number}")(put_recipe)
    writing.delete("/recipes/{number}", status_code=204)(delete_recipe)
    writing.post("/recipes/{number}/revert/{transaction}")(revert_recipe)
    app.include_router(writing)
    return app
