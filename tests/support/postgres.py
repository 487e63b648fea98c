"""A PostgreSQL server of its own for the tests that want a real one."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

DEBIAN = Path("/usr/lib/postgresql")
SETTINGS = "-c listen_addresses='' -c fsync=off"


def programs() -> Path | None:
    """The folder with initdb and pg_ctl, None where there is no PostgreSQL."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    versions = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return versions[-1].parent if versions else None


@contextmanager
def server(folder: Path) -> Iterator[sa.URL]:
    """A running server that only this machine's socket reaches; the address of its database."""
    # It refuses to run as root, and the path of its socket must be short.
    user = "postgres" if os.geteuid() == 0 else getpass.getuser()
    place = Path(tempfile.mkdtemp(prefix="nibai-pg-"))
    if os.geteuid() == 0:
        shutil.chown(place, user)

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [folder / program, "-D", place / "data", *arguments],
            check=True, capture_output=True, user=user if os.geteuid() == 0 else None, cwd=place,
        )  # fmt: skip

    try:
        run("initdb", "-U", "nibai", "--auth=trust", "--no-sync", "--encoding=UTF8")
        run("pg_ctl", "start", "-w", "-l", str(place / "log"), "-o", f"{SETTINGS} -k {place}")
        try:
            yield sa.make_url(f"postgresql+psycopg://nibai@/postgres?host={place}")
        finally:
            run("pg_ctl", "stop", "-w", "-m", "immediate")
    finally:
        shutil.rmtree(place)


def new_database(address: sa.URL) -> str:
    """The address of an empty database."""
    name = f"t{uuid.uuid4().hex[:12]}"
    engine = sa.create_engine(address, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return address.set(database=name).render_as_string(hide_password=False)
