"""What the thread that folds does to the lake beside folding."""

from datetime import date
from types import SimpleNamespace

import numpy as np
from support.spans import batch, lake_counts

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
    keeper = Keeper(
        config, ingest, state, SimpleNamespace(minutes=0), owner="o",
        board=Board(900.0, START), tally=Tally(), clock=lambda: now[0],
    )  # fmt: skip
    files = []
    for _ in range(10):
        minute = np.full(5, int(now[0] // MINUTE), dtype=np.int32)
        ingest.append(batch(np.full(5, 0.1), minute=minute))
        now[0] += MINUTE
        keeper._round()
        files.append(len(ingest.lake.file_uris("hist", date(1970, 1, 1), date(9999, 1, 1))))
    assert files == [1, 2, 3, 1, 2, 3, 4, 1, 2, 3]
    assert lake_counts(ingest.lake)[0] == 50
    ingest.close()
    state.close()
