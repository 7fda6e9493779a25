"""Programs whose objects leave the session and come back, while other sessions write."""

from sqlalchemy import inspect
from sqlalchemy.orm import Session, make_transient, make_transient_to_detached

from tests.declarations.attributes import key_names, key_of, label, said
from tests.declarations.programs import Program


class ProgramOfDetours(Program):
    """Steps that take objects out of the session and put them back, and those of others."""

    STEPS = {
        **Program.STEPS,
        **{"part": 3, "revive": 3, "forge": 3, "bring": 2, "elsewhere": 4},
    }

    def _part(self) -> None:
        """Change an object that has left its session, and add it again."""
        found = self.any()
        if found is None or not inspect(found).persistent or found in self.session.dirty:
            return
        values = self.values(inspect(type(found)), 0.3)
        self._say(f"{label(found)} {said(values)}")
        self.session.expunge(found)
        for name, value in values.items():
            setattr(found, name, value)
        self.session.add(found)

    def _revive(self) -> None:
        """Delete an object, and add it as a new one."""
        found = self.any()
        if found is None or not inspect(found).persistent:
            return
        self._say(label(found))
        self.session.refresh(found)
        self.session.delete(found)
        self.session.flush()
        make_transient(found)
        values = inspect(found).dict
        for prop in inspect(type(found)).column_attrs:
            # JSON has a null of its own, and nobody gives what is computed.
            if (
                values.get(prop.key) is None
                or getattr(prop.columns[0], "computed", None) is not None
            ):
                values.pop(prop.key, None)
        self.session.add(found)

    def _forge(self) -> None:
        """Change an object of which nothing was loaded but the key."""
        found = self.any()
        if found is None or not inspect(found).persistent or found in self.session.dirty:
            return
        mapper = inspect(type(found))
        key = dict(zip(key_names(mapper), key_of(found), strict=True))
        values = self.values(mapper, 0.3)
        self._say(f"{label(found)} {said(values)}")
        self.session.expunge(found)
        forged = type(found)(**key)
        make_transient_to_detached(forged)
        self.session.add(forged)
        for name, value in values.items():
            setattr(forged, name, value)

    def _bring(self) -> None:
        """Merge an object of another session as it is there."""
        self.session.flush()
        found = self.any()
        if found is None or not inspect(found).persistent:
            return
        self._say(label(found))
        with Session(self.session.get_bind()) as other:
            brought = other.get(type(found), inspect(found).identity)
        if brought is not None:
            self.session.merge(brought, load=self.chance.random() < 0.5)

    def _elsewhere(self) -> None:
        """Let another session write and commit, between two transactions of this one."""
        self.do("commit")
        # What judged it has begun another.
        self.session.commit()
        self.trace.append("elsewhere")
        with Session(self.session.get_bind(), autoflush=False) as other:
            program = Program(self.world, other, self.chance)
            # Nobody sees what a row was between two steps, as its deletion tells it.
            for name in self.chance.choice(
                (("delete",), ("add", "set"), ("set", "refer", "rekey"))
            ):
                program.do(name)
            program.do("commit")
        self.trace += [f"  {line}" for line in program.trace]
        self.after_step("commit")
