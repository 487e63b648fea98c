"""What the thread that folds does to the lake beside folding."""

import threading
from datetime import date
from types import SimpleNamespace

import numpy as np
from support.spans import batch, lake_counts

from nibai.app.onwatch import keeper
from nibai.app.onwatch.keeper import Keeper
from nibai.app.onwatch.standing import Board
from nibai.app.onwatch.tally import Tally
from nibai.config import Config
from nibai.store.lake import small_files
from nibai.store.state.database import open_state
from nibai.store.wal.ingest import Ingest

MINUTE = 60.0
START = 19002 * 86400.0


def test_files_of_a_day_are_joined_while_it_lasts(tmp_path, monkeypatch):
    monkeypatch.setattr(small_files, "JOIN_EVERY", 4)
    now = [START]
    config = Config.model_validate({"data": str(tmp_path)})
    state = open_state(config.state_address)
    ingest = Ingest(tmp_path, "main", state, clock=lambda: now[0])
    keeping = Keeper(
        config, ingest, state, SimpleNamespace(minutes=0), owner="o",
        board=Board(900.0, START), tally=Tally(), clock=lambda: now[0],
    )  # fmt: skip
    files = []
    for _ in range(10):
        minute = np.full(5, int(now[0] // MINUTE), dtype=np.int32)
        ingest.append(batch(np.full(5, 0.1), minute=minute))
        now[0] += MINUTE
        keeping._round()
        files.append(len(ingest.lake.file_uris("hist", date(1970, 1, 1), date(9999, 1, 1))))
    assert files == [1, 2, 3, 1, 2, 3, 4, 1, 2, 3]
    assert lake_counts(ingest.lake)[0] == 50
    ingest.close()
    state.close()


def test_a_library_that_panics_does_not_end_the_folding(tmp_path, monkeypatch, caplog):
    """Out of files delta-rs raises no Exception: the thread was gone, data were taken on."""
    monkeypatch.setattr(keeper, "FOLD_EVERY_SECONDS", 0.01)
    config = Config.model_validate({"data": str(tmp_path)})
    state = open_state(config.state_address)
    ingest = Ingest(tmp_path, "main", state, clock=lambda: START)
    board = Board(900.0, START)
    running = Keeper(
        config, ingest, state, SimpleNamespace(minutes=0), owner="o", board=board, tally=Tally(),
        clock=lambda: START,
    )  # fmt: skip
    fold, folds, went_on = ingest.fold, [], threading.Event()

    def panics_twice():
        folds.append(running.health()[1].get("problem"))
        if len(folds) <= 2:
            raise Panic("Failed to create a tokio runtime: Too many open files")
        if len(folds) > 3:
            went_on.set()
        return fold()

    monkeypatch.setattr(ingest, "fold", panics_twice)
    running.start()
    assert went_on.wait(20)
    running.stop()
    assert folds[:4] == [None, *["unexpected error, see the log"] * 2, None]
    assert "the fold failed and is tried again" in caplog.text
    ingest.close()
    state.close()


class Panic(BaseException):
    """As pyo3_runtime.PanicException: no Exception."""
