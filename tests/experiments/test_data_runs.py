"""A run's data are read once, and again where they have changed."""

import numpy as np
import pytest

from pushforward import data
from pushforward.errors import UserError
from pushforward.experiments.runs import open_run, start_run
from pushforward.experiments.train.config import TrainConfig


def test_a_file_is_read_once_until_it_changes(tmp_path, monkeypatch):
    read = []
    load = data.load

    def counted(source, **options):
        read.append(source)
        return load(source, **options)

    monkeypatch.setattr(data, "load", counted)
    path = tmp_path / "rows.npy"
    rows = np.random.default_rng(0).normal(size=(300, 2))
    np.save(path, rows)
    run = start_run(TrainConfig(data=str(path), steps=1), tmp_path / "run", force=False)
    opened = open_run(run.folder)
    opened.check_data()
    assert read == [str(path)]
    with pytest.raises(ValueError, match="read-only"):
        opened.dataset.train[0] = 0.0
    np.save(path, rows + 1)
    with pytest.raises(UserError, match="has changed since"):
        open_run(run.folder).check_data()
    assert len(read) == 2
