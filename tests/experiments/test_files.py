"""Files that are written whole or not at all."""

import subprocess
import sys

import pytest

from pushforward.errors import UserError
from pushforward.experiments.files import write_whole
from pushforward.experiments.fit.config import FitConfig
from pushforward.experiments.runs import open_run, start_run

FULL = """
import resource, signal, sys
from pathlib import Path
from pushforward.experiments.files import write_whole

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit is then an error, as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (4, resource.RLIM_INFINITY))
try:
    write_whole(Path(sys.argv[1]), "longer than that")
except OSError as error:
    print(error.strerror)
"""


def test_a_full_disk_leaves_what_was_there(tmp_path):
    pytest.importorskip("resource")
    file = tmp_path / "config.yaml"
    write_whole(file, "old")
    done = subprocess.run([sys.executable, "-c", FULL, file], capture_output=True, text=True, check=True)
    assert done.stdout == "File too large\n"
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_run_that_could_not_be_made_can_be_made_later(tmp_path, monkeypatch):
    """A disk that is full when the configuration is written leaves no run without one."""

    def full(path, text):
        raise OSError(28, "No space left on device")

    config = FitConfig(target="u1", steps=1)
    with monkeypatch.context() as patched:
        patched.setattr("pushforward.experiments.runs.write_whole", full)
        with pytest.raises(UserError, match="No space left on device"):
            start_run(config, tmp_path / "run", force=False)
    start_run(config, tmp_path / "run", force=False)
    assert open_run(tmp_path / "run").config == config
