"""Exit with an error unless the database server at the given URL answers."""

import sys
from pathlib import Path

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.databases import with_driver


def main() -> int:
    """Connect once and print the server's version."""
    url = with_driver(make_url(sys.argv[1]))
    engine = create_engine(url, connect_args={"connect_timeout": 10})
    try:
        with engine.connect() as connection:
            print(f"{url!r}: {connection.scalar(text('SELECT version()'))}")
    except SQLAlchemyError as error:
        print(f"{url!r} cannot be reached: {error}", file=sys.stderr)
        return 1
    finally:
        engine.dispose()
    return 0


if __name__ == "__main__":
    sys.exit(main())
