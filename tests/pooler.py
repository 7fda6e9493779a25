"""PgBouncer in transaction mode, before a database of the suite.

It hands a connection of the server to another client with each transaction, which is what shows
whether anything stays on a connection.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL

CONFIGURATION = """
[databases]
{database} = host={host} port={port} dbname={database} user={user}{password}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
ignore_startup_parameters = options,lock_timeout,extra_float_digits
"""

#: Seconds until it must have answered.
PATIENCE = 10


class PoolerMissing(Exception):
    """PgBouncer is not installed, or does not start."""


@contextmanager
def run_pooler(server: URL, *, size: int) -> Iterator[URL]:
    """Run PgBouncer before a database while the block lasts; yield the URL to connect to.

    :param size: how many connections of the server its clients share.
    :raises PoolerMissing: if it cannot be had.
    """
    # Before anything is made that would be left if it cannot be had.
    program = _program()
    directory = Path(tempfile.mkdtemp(prefix="versioned-pooler-"))
    url = server.set(host="127.0.0.1", port=_free_port())
    path = directory / "pgbouncer.ini"
    path.write_text(
        CONFIGURATION.format(
            database=server.database,
            host=server.host,
            port=server.port or 5432,
            user=server.username,
            password=_password(server),
            listen_port=url.port,
            size=size,
        )
    )
    log = (directory / "log").open("w+")
    process = subprocess.Popen(
        [program, str(path)], stdout=log, stderr=log, cwd="/", **_as_nobody(directory)
    )
    try:
        _wait_for(process, url, log.name)
        yield url
    finally:
        process.terminate()
        process.wait(PATIENCE)
        log.close()
        shutil.rmtree(directory)


def _program() -> str:
    # Debian puts it where only root looks.
    found = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        raise PoolerMissing(
            "pgbouncer is not installed, and PostgreSQL was asked for; install it, as "
            ".ci/install_pgbouncer does, or leave postgresql out of VERSIONED_TEST_DATABASES"
        )
    return found


def _password(server: URL) -> str:
    # One that is empty is a mistake to it.
    return " password='{}'".format(server.password.replace("'", "''")) if server.password else ""


def _as_nobody(directory: Path) -> dict[str, Any]:
    """Return who runs it: it refuses to be run by root."""
    if os.geteuid() != 0:
        return {}
    for path in (directory, *directory.iterdir()):
        shutil.chown(path, "nobody")
    return {"user": "nobody"}


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_for(process: subprocess.Popen[Any], url: URL, log: str) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as client:
            if client.connect_ex((url.host, url.port)) == 0:
                return
        time.sleep(0.02)
    raise PoolerMissing(f"pgbouncer does not answer: {Path(log).read_text()}")
