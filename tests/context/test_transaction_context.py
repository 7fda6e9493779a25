"""What is said of transactions: where it holds, and where not."""

import asyncio
import threading
from contextvars import copy_context

import pytest

from sqlalchemy_versioned import (
    InvalidArgument,
    clear_transaction_context,
    get_transaction_context,
    set_transaction_context,
    transaction_context,
)
from tests.threads import run_at_once


@pytest.fixture(autouse=True)
def nothing_said():
    """Leave nothing for other tests."""
    yield
    clear_transaction_context()


def test_blocks_nest():
    """An inner block adds to what is said around it and wins; then all is as before."""
    with transaction_context(user=1, reason="a"):
        with transaction_context(user=2, ticket="T-1"):
            assert get_transaction_context() == {"user": 2, "reason": "a", "ticket": "T-1"}
        assert get_transaction_context() == {"user": 1, "reason": "a"}
    assert get_transaction_context() == {}


def test_nobody_is_said_too():
    """None is a value: nobody is known, whoever is said around."""
    with transaction_context(user=1), transaction_context(user=None):
        assert get_transaction_context() == {"user": None}


def test_any_name_can_be_said():
    """Also one that a method has."""
    with transaction_context(self="a", values="b"):
        assert get_transaction_context() == {"self": "a", "values": "b"}


def test_what_is_set_in_a_block_ends_with_it():
    """What was said before the block holds again, also if it was set or cleared inside."""
    set_transaction_context(user=1)
    with transaction_context(reason="a"):
        set_transaction_context(user=2)
        assert get_transaction_context() == {"user": 2, "reason": "a"}
        clear_transaction_context()
        set_transaction_context(ticket="T-1")
        assert get_transaction_context() == {"ticket": "T-1"}
    assert get_transaction_context() == {"user": 1}


def test_a_block_ends_by_an_error():
    """What it said is over."""
    with pytest.raises(KeyError), transaction_context(user=1):
        raise KeyError
    assert get_transaction_context() == {}


def test_what_is_set_is_replaced():
    """Setting it again and again keeps the last only, and clearing it leaves nothing."""
    for number in range(3):
        set_transaction_context(user=number)
    assert get_transaction_context() == {"user": 2}
    clear_transaction_context()
    assert get_transaction_context() == {}


def test_what_is_returned_is_a_copy():
    """Changing it says nothing."""
    with transaction_context(user=1):
        get_transaction_context()["user"] = 2
        assert get_transaction_context() == {"user": 1}


def test_a_block_is_entered_once():
    """One that is open cannot be entered again; one that is over can."""
    block = transaction_context(user=1)
    with block, pytest.raises(InvalidArgument, match="entered already"):
        block.__enter__()
    with block:
        assert get_transaction_context() == {"user": 1}


def test_threads_say_nothing_of_each_other():
    """A thread knows what is said in it alone."""
    found = []

    def work(number):
        found.append(get_transaction_context())
        with transaction_context(user=number):
            barrier.wait()
            found.append(get_transaction_context())

    barrier = threading.Barrier(4, timeout=20)
    with transaction_context(reason="main"):
        run_at_once(work, range(4))
    assert found.count({}) == 4
    assert sorted(each["user"] for each in found if each) == [0, 1, 2, 3]


def test_a_thread_with_a_copy_of_the_context():
    """A worker that is handed the context works in its name as long as the block goes on."""
    with transaction_context(user=1):
        worker = copy_context()
        assert worker.run(get_transaction_context) == {"user": 1}
    assert worker.run(get_transaction_context) == {}


def test_tasks():
    """A task starts with what is said where it was made, and changes nothing there."""

    async def work(number):
        with transaction_context(user=number):
            await asyncio.sleep(0)
            return get_transaction_context()

    async def main():
        with transaction_context(reason="main"):
            found = await asyncio.gather(*map(work, range(200)))
            return found, get_transaction_context()

    found, own = asyncio.run(main())
    assert found == [{"reason": "main", "user": number} for number in range(200)]
    assert own == {"reason": "main"}


def test_a_job_after_the_request():
    """A task that a block has started does not go on in its name, but in its own."""

    async def job(ended, *, says):
        if says:
            set_transaction_context(reason="nightly")
        before = get_transaction_context()
        await ended.wait()
        return before, get_transaction_context()

    async def main():
        ended = asyncio.Event()
        with transaction_context(user=1):
            set_transaction_context(ticket="T-1")
            jobs = [asyncio.create_task(job(ended, says=says)) for says in (False, True)]
            await asyncio.sleep(0)
        ended.set()
        return await asyncio.gather(*jobs)

    request = {"user": 1, "ticket": "T-1"}
    assert asyncio.run(main()) == [
        (request, {}),
        (request | {"reason": "nightly"}, {"reason": "nightly"}),
    ]


def test_a_block_that_is_closed_elsewhere():
    """A generator that is closed in another context ends its block everywhere."""

    def generate():
        with transaction_context(user=1):
            yield

    generator, begun = generate(), copy_context()
    begun.run(next, generator)
    generator.close()

    assert begun.run(get_transaction_context) == {}
