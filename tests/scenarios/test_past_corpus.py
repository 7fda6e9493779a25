"""Statements of every kind, asked after each of thirty transactions, and again of the past."""

import os
from collections import Counter
from typing import Any, NamedTuple

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from sqlalchemy_versioned import as_of, transaction_class
from tests.office import build_office, work
from tests.questions import build_questions, build_special_questions, plain

pytestmark = pytest.mark.strategies()

#: After each transaction one in so many of the questions is asked, other ones than after the last.
STEP = 1 if os.environ.get("VERSIONED_TEST_WHOLE_CORPUS") else 10


@pytest.fixture
def models(keep):
    """The office."""
    return keep(build_office)


class Answer(NamedTuple):
    """What a question gave, and how many statements it took."""

    value: Any
    statements: int


class Failure(str):
    """The error that a question raised."""


class Examiner:
    """Asks questions, and counts what they send."""

    def __init__(self, engine, questions):
        self.questions = questions
        #: How many statements of each question had to be compiled.
        self.compiled = Counter()
        self._sent = []
        event.listen(engine, "before_cursor_execute", self._record)

    def _record(self, connection, cursor, statement, parameters, context, many):
        self._sent.append(context.cache_hit)

    def ask(self, session, names, *, after_error):
        """Return the answers of a session to some questions."""
        return {name: self._answer(session, name, after_error) for name in names}

    def _answer(self, session, name, after_error):
        session.expunge_all()
        self._sent.clear()
        try:
            value = plain(self.questions[name](session))
        except Exception as error:
            after_error()
            value = Failure(f"{type(error).__name__}: {error}")
        hit = session.get_bind().dialect.CACHE_HIT
        self.compiled[name] += sum(each is not hit for each in self._sent)
        return Answer(value, len(self._sent))


@pytest.fixture
def questions(database, models):
    """The questions that the database understands."""
    special = build_special_questions(models).items()
    understood = {name: question for name, (need, question) in special if database.has(need)}
    return build_questions(models) | understood


def test_the_past_answers_as_the_present_did(tables, models, questions, strategy):
    """Each statement has the same answer as of a transaction as it had right after it.

    It takes as many statements, and those of another moment are not compiled again.
    """
    names, first = list(questions), ("validity", "subquery", "append").index(strategy)
    present, past = Examiner(tables, questions), Examiner(tables, questions)
    answers, wrong = [], []
    with Session(tables) as session, Session(tables) as reader:
        for number, _ in enumerate(work(session, models), first):
            session.commit()
            reader.connection()
            answers.append(
                present.ask(reader, names[number % STEP :: STEP], after_error=reader.rollback)
            )
            reader.rollback()
        failed = [each for answer in answers for each in answer.items() if _failed(each[1])]
        assert failed == []

        numbers = sorted(session.scalars(select(transaction_class(models.Task).id)))
        with as_of(session, numbers[0]) as snapshot:
            # Looks how far the history of each table reaches, once.
            past.ask(snapshot, names, after_error=session.rollback)
        past.compiled.clear()
        for number, expected in zip(numbers, answers, strict=True):
            with as_of(session, number) as snapshot:
                given = past.ask(snapshot, expected, after_error=session.rollback)
            wrong += [
                f"{name!r} as of transaction {number}: {expected[name]}, but now {given[name]}"
                for name in given
                if given[name] != expected[name]
            ]

    assert not wrong, "\n".join(wrong)
    assert [n for n in names if past.compiled[n] > present.compiled[n]] == []


def _failed(answer):
    return isinstance(answer.value, Failure)
