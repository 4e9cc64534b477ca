"""The README's example, as written."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"


@pytest.mark.slow
def test_the_example_runs_as_written(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    exec(example, {})
    kl = re.match(r"KL ([0-9.]+) nats, log Z ([0-9.]+)", capsys.readouterr().out)
    assert 0 < float(kl[1]) < 0.2
    assert abs(float(kl[2]) - 2.72) < 0.1
