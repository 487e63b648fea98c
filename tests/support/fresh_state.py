"""A new state on SQLite as a copy of one that nibai made: making one takes 18 ms, copying one 4.

All of them share what SQLAlchemy compiled: else every test would compile its statements anew.
"""

import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa

SQLITE = "sqlite:///"
COMPILED = {}


def copy_new_states(states, monkeypatch, template):
    """In this process, a state file that is not there begins as a copy of the template.

    `states` is the module `nibai.store.state.database`. Opening migrates what it finds, as ever.
    """
    engine_of = states._engine

    def engine(url, name):
        path = Path(url.removeprefix(SQLITE))
        if url.startswith(SQLITE) and not path.exists():
            _copy(template, path)
        made = engine_of(url, name)
        if url.startswith(SQLITE):
            sa.event.listen(made, "connect", _never_wait_for_the_disk)
            made.dialect, made._compiled_cache = _compiled(made.dialect, made._compiled_cache)
        return made

    monkeypatch.setattr(states, "_engine", engine)


def _compiled(dialect, statements):
    """The dialect (part of every key) and the statements of the first engine, for all others."""
    return COMPILED.setdefault(type(dialect), (dialect, statements))


def _never_wait_for_the_disk(connection, _record):
    """What a killed process wrote is safe without it; no test cuts the power of the machine."""
    connection.execute("PRAGMA synchronous=OFF")


def _copy(template, path):
    """Another thread that opens the same state finds all of it or nothing."""
    whole = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
    with suppress(OSError):  # opening says what is wrong with the folder
        shutil.copyfile(template, whole)
        with suppress(FileExistsError):
            os.link(whole, path)
        whole.unlink()
