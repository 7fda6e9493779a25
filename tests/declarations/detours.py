"""Programs whose objects leave the session and come back, while other sessions write."""

from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Session, make_transient, make_transient_to_detached

from tests.declarations.attributes import key_names, key_of, label, said
from tests.declarations.programs import Program


class ProgramOfDetours(Program):
    """Steps that take objects out of the session and put them back, and those of others."""

    STEPS = {
        **Program.STEPS,
        **{"part": 3, "revive": 3, "forge": 3, "bring": 2, "elsewhere": 4},
        **{"copy_object": 2, "reload": 2, "carry": 2},
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
        make_new(found)
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

    def _copy_object(self) -> None:
        """Add an object that has left its session as a new one, with another key."""
        found = self.any()
        if found is None or not inspect(found).persistent or found in self.session.dirty:
            return
        if not (key := self.new_key(type(found))):
            return
        self._say(f"{label(found)} as {said(key)}")
        self.session.refresh(found)
        make_new(found)
        for name, value in key.items():
            setattr(found, name, value)
        self.session.add(found)

    def _reload(self) -> None:
        """Read some attributes of an object anew, after others were changed."""
        found = self.any()
        if found is None or not inspect(found).persistent:
            return
        names = list(self.values(inspect(type(found)), 0.5))
        values = self.values(inspect(type(found)), 0.3)
        self._say(f"{label(found)} {said(values)}, then {names}")
        with self.session.no_autoflush:
            for name, value in values.items():
                setattr(found, name, value)
            if names:
                self.session.refresh(found, names, with_for_update=self.chance.random() < 0.3)

    def _carry(self) -> None:
        """Change an object where it is in no session, and merge it."""
        self.session.flush()
        found = self.any()
        if found is None or not inspect(found).persistent:
            return
        values = self.values(inspect(type(found)), 0.3)
        self._say(f"{label(found)} {said(values)}")
        self.session.expunge(found)
        for name, value in values.items():
            setattr(found, name, value)
        self.session.merge(found)

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


def make_new(found: Any) -> None:
    """Let an object be one that was never stored."""
    make_transient(found)
    values = inspect(found).dict
    for prop in inspect(type(found)).column_attrs:
        # JSON has a null of its own, and nobody gives what is computed.
        is_computed = getattr(prop.columns[0], "computed", None) is not None
        if is_computed or values.get(prop.key) is None:
            values.pop(prop.key, None)
