"""What is recorded for other programs, read by them."""

import csv
import json
import os
import struct
import subprocess
import sys

import pytest

from tests.test_cli import SMALL, folder, run

__all__ = ["folder"]

WORDS = ["fit", "u1", *SMALL, "--frames", "0", "--out", "run", "--track"]


def recorded(folder):
    """Step and lowest loss of every record, and the KL of the result."""
    lines = [json.loads(line) for line in (folder / "run/metrics.jsonl").read_text().splitlines()]
    result = json.loads((folder / "run/result.json").read_text())
    return [(line["step"], min(line["loss"])) for line in lines], result["kl"]


@pytest.mark.slow
def test_csv_and_tensorboard(folder, capsys):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert run(capsys, *WORDS, "csv", "tensorboard")[0] == 0
    expected, kl = recorded(folder)
    with (folder / "run/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["step"]), float(row["loss"])) for row in rows] == expected
    assert set(rows[0]) == {"step", "loss", "seconds", "loss/0", "loss/1"}

    events = EventAccumulator(str(folder / "run/tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == pytest.approx(expected, rel=1e-6)
    assert events.Scalars("result/kl")[0].value == pytest.approx(kl, rel=1e-6)


@pytest.mark.slow
def test_a_longer_run_goes_on_in_the_same_table(folder, capsys):
    assert run(capsys, *WORDS, "csv")[0] == 0
    assert run(capsys, "fit", "--resume", "run", "--steps", 120, "--track", "csv")[0] == 0
    expected, _ = recorded(folder)
    with (folder / "run/metrics.csv").open() as file:
        assert [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(file)] == expected


@pytest.mark.slow
def test_trackio(folder):
    environment = os.environ | {"TRACKIO_DIR": str(folder / "trackio")}
    command = [sys.executable, "-m", "pushforward.cli", *WORDS, "trackio"]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=300)
    expected, _ = recorded(folder)
    code = "import json; from trackio.sqlite_storage import SQLiteStorage; "
    code += "print(json.dumps(SQLiteStorage.get_logs('pushforward', 'run'), default=str))"
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    logs = json.loads(done.stdout.splitlines()[-1])
    assert [(log["step"], log["loss"]) for log in logs if "loss" in log] == pytest.approx(expected)


@pytest.mark.slow
def test_weights_and_biases_offline(folder):
    environment = os.environ | {"WANDB_MODE": "offline"}
    command = [sys.executable, "-m", "pushforward.cli", *WORDS, "wandb"]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=300)
    expected, _ = recorded(folder)
    (file,) = (folder / "run/wandb").glob("offline-run-*/*.wandb")
    assert losses_in(file) == pytest.approx([loss for _, loss in expected])


def losses_in(path):
    """The losses in a file of wandb: records of protocol buffers in blocks of 32 KiB, as LevelDB's log has them."""
    from wandb.proto import wandb_internal_pb2

    data, at, part, found = path.read_bytes(), 7, b"", []
    assert data.startswith(b":W&B")
    while at + 7 <= len(data):
        left = 2**15 - at % 2**15
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        part += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = wandb_internal_pb2.Record.FromString(part)
            losses = [item for item in record.history.item if "loss" in (item.key, *item.nested_key)]
            found += [json.loads(item.value_json) for item in losses]
            part = b""
    return found


def test_the_ladder_keeps_no_records(folder, capsys):
    code, _, err = run(capsys, "fit", "nothing.py:model", "--track", "csv")
    assert code == 2
    assert "--track is for one flow" in err
