"""One seed: declarations, a program over them, what history says, and the way back."""

import random
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, inspect, select, text
from sqlalchemy.exc import SAWarning
from sqlalchemy.orm import Session

from sqlalchemy_versioned import (
    ImproperlyConfigured,
    make_versioned,
    remove_versioning,
    version_class,
)
from sqlalchemy_versioned.model.lookup import spec_of
from tests.declarations.checks import Unreadable, Witness, readable_relationships
from tests.declarations.detours import ProgramOfDetours
from tests.declarations.drafts import draw_declarations, draw_manager_options
from tests.declarations.programs import Program, is_answer
from tests.declarations.statements import ProgramOfStatements
from tests.declarations.upserts import ProgramOfUpserts
from tests.declarations.worlds import World, declared


class ProgramOfAll(ProgramOfUpserts, ProgramOfDetours):
    """All steps that there are."""

    STEPS = {**ProgramOfUpserts.STEPS, **ProgramOfDetours.STEPS}


#: Steps of a program, and how many versions are gone back to after it.
STEPS, REVERTS = 40, 6
#: How a program writes.
PROGRAMS = (Program, ProgramOfStatements, ProgramOfUpserts, ProgramOfDetours, ProgramOfAll)
#: Where some tables are, in databases that have schemas.
SCHEMA = "other"


@dataclass
class Run:
    """What one seed stands for."""

    seed: int
    engine: Engine
    schemas: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    #: What was done, a line for each step.
    trace: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self.options = draw_manager_options(self._chance) | self.options
        self.source = draw_declarations(self._chance, self.schemas)
        self._kind = self._chance.choice(PROGRAMS)
        self._session_options = {
            name: self._chance.random() < 0.5 for name in ("autoflush", "expire_on_commit")
        }

    def __str__(self) -> str:
        steps = "\n".join(self.trace)
        return f"seed {self.seed}\nmake_versioned(**{self.options!r})\n{self.source}\n{steps}"

    def run(self) -> None:
        """Declare, write and compare."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)
            with self._versioned(), ExitStack() as stack:
                try:
                    world = stack.enter_context(declared(self.source))
                except ImproperlyConfigured as error:
                    self.trace.append(f"{type(error).__name__}: {error}")
                    return
                world.base.metadata.create_all(self.engine)
                with suppress(Unreadable):
                    self._write(world)

    @contextmanager
    def _versioned(self) -> Iterator[None]:
        make_versioned(**self.options)
        try:
            yield
        finally:
            remove_versioning()

    def _write(self, world: World) -> None:
        with Session(self.engine, **self._session_options) as session:
            witness = Witness(world, session, self.engine)
            program = self._kind(world, session, self._chance, witness.look)
            self.trace = program.trace
            program.run(STEPS)
            numbers = list(witness.points)
            witness.check_past(self._chance.sample(numbers, min(3, len(numbers))))
            witness.check_versions()
            for _ in range(REVERTS):
                self._go_back(program, witness)

    def _go_back(self, program: Program, witness: Witness) -> None:
        """Revert to a version, which the object must then be."""
        session, chance = program.session, self._chance
        versions = [
            version
            for cls in witness.versioned
            for version in session.scalars(select(version_class(cls))).unique()
        ]
        if not versions:
            return
        version = chance.choice(versions)
        spec = spec_of(version)
        relations = [
            each.key
            for each in readable_relationships(inspect(spec.parent_class))
            if not each.viewonly and chance.random() < 0.4
        ]
        on_missing = chance.choice(("raise", "null", "restore"))
        program.trace.append(f"revert {version!r} {relations} {on_missing}")
        try:
            wanted = {key: getattr(version, key) for key in spec.columns}
            found = version.version_api.revert(relations, on_missing)
            session.commit()
        except Exception as error:
            if not is_answer(error):
                raise
            program.note(error)
            session.rollback()
            return
        witness.look("commit")
        if found is not None:
            check_reverted(found, wanted)


def check_reverted(found: Any, wanted: dict[str, Any]) -> None:
    """Compare an object with the version that it was put back to.

    References may have been put back with relationships, or left empty.
    """
    mapper = inspect(type(found))
    for key, value in wanted.items():
        column = mapper.column_attrs[key].columns[0]
        is_free = not column.foreign_keys and column is not mapper.version_id_col
        assert not is_free or getattr(found, key) == value, (found, key, value)


def create_schemas(engine: Engine) -> None:
    """Make the schema that some tables are in."""
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
