"""Signals to a training loop that is inside a compiled program for as long as it likes."""

import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import time
import jax, jax.numpy as jnp
from pushforward import training

def stuck(x):
    if x > 0:
        print("inside", flush=True)
        time.sleep(600)


def loss(model, key, step):
    jax.debug.callback(stuck, step)
    return jnp.sum(model**2)

models = training.ensemble(lambda key: jnp.ones(2), jax.random.key(0), 1)
training.fit(models, loss, key=jax.random.key(0), steps=10, optimizer=training.adam(0.1, 10))
"""


@pytest.mark.slow
@pytest.mark.parametrize("ignored", [False, True], ids=["in the foreground", "in the background"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_says_what_it_waits_for_and_the_second_ends_the_process(number, ignored):
    """A shell starts a process in the background with SIGINT ignored."""
    start = f"import signal; signal.signal({int(number)}, signal.SIG_IGN)\n" if ignored else ""
    with subprocess.Popen(
        [sys.executable, "-c", start + PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "inside\n"
            time.sleep(0.5)
            process.send_signal(number)
            assert process.stderr.readline() == "\n"
            assert process.stderr.readline().startswith("stopping at the end of this chunk")
            assert process.poll() is None
            process.send_signal(number)
            process.wait(timeout=20)
        finally:
            process.kill()
    assert process.returncode != 0
