"""Queries of a server are bounded in memory, and spill into a folder of their own."""

import duckdb
import pytest

from nibai.store.engine import connection

MIB = 2**20


@pytest.fixture
def own(monkeypatch):
    """A database that no other test of this process uses."""
    with duckdb.connect() as database:
        monkeypatch.setattr(connection, "_database", lambda _process: database)
        yield


@pytest.mark.usefixtures("own")
def test_a_query_larger_than_its_memory_spills_and_ends(tmp_path):
    spill = tmp_path / "it's" / "main"
    spill.mkdir(parents=True)
    (spill / "left.tmp").write_text("of a process that was killed")
    connection.bound_memory(32 * MIB, spill)
    assert list(spill.iterdir()) == []
    asked = connection.connect()
    found = asked.execute("SELECT current_setting('memory_limit')").fetchone()
    assert found == ("32.0 MiB",)
    # Sorting 32 MB of numbers does not fit.
    sql = "SELECT max(i) FROM (SELECT hash(i) AS h, i FROM range(2000000) t(i) ORDER BY h)"
    assert asked.execute(sql).fetchone() == (1_999_999,)
