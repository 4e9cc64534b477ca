"""A user's own function: what is refused, with a message that says why."""

import sys

import jax.numpy as jnp
import numpy as np
import pytest

from pushforward.distributions import Normal
from pushforward.errors import UserError
from pushforward.targets import from_callable, make


def fails(z):
    raise KeyError("no such column")


REFUSED = {
    "NumPy": (lambda z: -np.sum(np.exp(np.asarray(z))), "cannot be traced by JAX; write it with jax.numpy"),
    "float()": (lambda z: -float(z[0]), "cannot be traced by JAX"),
    "branch": (lambda z: -z[0] if z[0] > 0 else z[0], "cannot be traced by JAX"),
    "shape (1,)": (lambda z: -jnp.sum(z**2, keepdims=True), r"one real number .* returned shape \(1,\)"),
    "batch": (lambda z: -(z**2), r"returned shape \(2,\)"),
    "integer": (lambda z: jnp.sum(z > 0), "dtype int32"),
    "complex": (lambda z: jnp.sum(z) * 1j, "dtype complex64"),
    "tuple": (lambda z: (jnp.sum(z), z), "returned a tuple"),
    "nothing": (lambda z: None, "returned a NoneType"),
    "NaN": (lambda z: jnp.log(z[0]), "is nan at z = "),
    "minus infinity": (lambda z: jnp.where(z[0] > 0, 0, -jnp.inf), "is -inf at z = .*smooth wall"),
    "raises": (fails, "failed on a point of shape .*no such column"),
    "another dimension": (lambda z: -jnp.sum(z @ jnp.eye(3)), r"failed on a point of shape \(2,\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_unusable_functions_are_refused(case):
    function, message = REFUSED[case]
    with pytest.raises(UserError, match=message) as error:
        from_callable(function, 2, name="mine")
    assert str(error.value).startswith("mine ")
    assert "\n" not in str(error.value)


def test_usable_functions_are_taken():
    def quartic(z):
        return -jnp.sum(z**4)

    target = from_callable(quartic, 3, log_z=1.5)
    assert (target.name, target.dim, target.log_z) == ("quartic", 3, 1.5)
    np.testing.assert_allclose(target.log_densities(jnp.full((2, 4, 3), 2.0)), np.full((2, 4), -48.0))


def test_a_method_is_taken():
    target = from_callable(Normal.standard(2).log_prob, 2)
    np.testing.assert_allclose(target.log_density(jnp.zeros(2)), -np.log(2 * np.pi), rtol=1e-6)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module into the current folder; nothing of it is left in the process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(source):
        name = f"densities_{abs(hash(str(tmp_path)))}"
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return write


def test_path(module):
    name = module("import jax.numpy as jnp\ndef bowl(z):\n    return -jnp.sum(z**2)\nlevel = 3\n")
    target = make(f"{name}:bowl", 4, log_z=0.5, box=None)
    assert (target.name, target.dim, target.log_z) == (f"{name}:bowl", 4, 0.5)
    for path, message in [
        (f"{name}:bowls", "has no function 'bowls'"),
        (f"{name}:level", "has no function 'level'"),
        (f"{name}:", "has no function ''"),
        (":bowl", "cannot import ''"),
    ]:
        with pytest.raises(UserError, match=message):
            make(path, 4)


def test_path_without_a_dimension():
    with pytest.raises(UserError, match="needs its dimension"):
        make("module:function")


@pytest.mark.parametrize(
    ("source", "message"),
    [("1 / 0", "division by zero"), ("def", "invalid syntax"), ("import nowhere_to_be_found", "No module named")],
)
def test_module_that_cannot_be_imported(module, source, message):
    name = module(source)
    with pytest.raises(UserError, match=f"cannot import '{name}': .*{message}"):
        make(f"{name}:f", 2)


def test_missing_module():
    with pytest.raises(UserError, match="cannot import 'nowhere_to_be_found': No module named"):
        make("nowhere_to_be_found:f", 2)
