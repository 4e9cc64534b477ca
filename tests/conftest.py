"""Settings of the whole suite; they must be made before JAX starts and before `pushforward` is imported."""

import os
from importlib.metadata import version

# Compiling takes most of the time of this suite: the quick ways, whose results differ by rounding at most, but for JAX
# 0.8, whose compiler they crash. What is set stays: `make test` runs `tests/contracts` as users run the package, with
# XLA's defaults and without checks of the annotations, by an empty XLA_FLAGS.
os.environ.setdefault(
    "XLA_FLAGS",
    ""
    if version("jax").startswith("0.8.")
    else "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
)

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command line has it: see `devices.use_cores`

import jax
import jax.numpy as jnp
import matplotlib
import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

import tests.typecheck

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_rank_promotion", "raise")
matplotlib.use("Agg")
if os.environ["XLA_FLAGS"]:
    install_import_hook("pushforward", f"{tests.typecheck.__name__}.typecheck")

settings.register_profile(
    "pushforward",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=20,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("pushforward")


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """Runs a test twice: JAX's default, and under `jax_enable_x64`."""
    with jax.enable_x64(request.param == "float64"):
        yield jnp.dtype(request.param)


@pytest.fixture
def x64():
    """Runs a test under `jax_enable_x64`."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module", autouse=True)
def _forget_compiled_programs():
    """Keeps the memory of a worker bounded."""
    yield
    jax.clear_caches()


@pytest.fixture(autouse=True)
def _forget_before_there_are_too_many():
    """Keeps a worker alive that has a long module to itself: beyond Linux's limit of memory maps, compiling crashes."""
    yield
    from pushforward.programs import forget_programs  # after the hook of the annotations

    forget_programs()
