"""The figures that users make from Python."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from matplotlib.figure import Figure

from pushforward import drawing, flows, states, targets, training
from pushforward.distributions import Normal
from pushforward.drawing.surfaces import quantile_box
from pushforward.objectives import free_energy
from pushforward.targets import make

KEY = jax.random.key(0)
FLOW = flows.planar(KEY, 2, 4)


def fitted(**options):
    target = make("u1")
    models = training.ensemble(lambda key: flows.planar(key, 2, 1), KEY, 2)
    return training.fit(
        models,
        lambda flow, key, step: free_energy(flow, target.log_densities, key, 16),
        key=KEY,
        steps=4,
        optimizer=optax.adam(1e-2),
        record_every=1,
        **options,
    )


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(
    ("make_figure", "panels"),
    [
        (lambda **style: drawing.densities(make("u1"), FLOW, **style), 3),
        (lambda **style: drawing.samples(make("u1"), FLOW, KEY, **style), 1),
        (lambda **style: drawing.layers(FLOW, KEY, **style), 8),
        (lambda **style: drawing.losses(fitted(), log_z=1.0, **style), 1),
        (lambda **style: drawing.losses(fitted(validate=lambda flow: jnp.sum(flow.base.loc**2)), **style), 1),
        (lambda **style: drawing.densities_of_states({"base": states.closed_form(Normal.standard(3))}, **style), 2),
    ],
    ids=["densities", "samples", "layers", "losses", "validated", "states"],
)
def test_figures_are_drawn(make_figure, panels, dark):
    figure = make_figure(dark=dark)
    assert isinstance(figure, Figure)
    assert len(figure.axes) == panels
    figure.savefig(io.BytesIO())
    assert np.mean(figure.get_facecolor()[:3]) < 0.2 if dark else np.mean(figure.get_facecolor()[:3]) == 1


def test_what_cannot_be_drawn_is_refused():
    high = targets.from_callable(lambda x: -jnp.sum(x**2), 3)
    with pytest.raises(ValueError, match="two dimensions, the flow has event shape"):
        drawing.densities(high, flows.planar(KEY, 3, 1))
    with pytest.raises(ValueError, match=r"event shape \(2,\), the target .* has \(3,\)"):
        drawing.samples(high, FLOW, KEY)
    with pytest.raises(ValueError, match="two dimensions"):
        drawing.layers(flows.planar(KEY, 3, 1), KEY)
    with pytest.raises(ValueError, match="one or two densities of states, got 0"):
        drawing.densities_of_states({})


def test_a_notebook_shows_them():
    """Without pyplot, whose formatters it would take otherwise."""
    assert drawing.samples(make("u1"), FLOW, KEY)._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("place", [0.0, -1.0, 3.0, 1e8])
def test_draws_of_almost_one_value_have_bins(place):
    """As those of a posterior that lies at the end of its prior."""
    beside = np.nextafter(np.float32(place), np.float32(np.inf))
    points = np.where(np.arange(100)[:, None] % 2, np.float32(place), beside)
    ((low, high),) = quantile_box(points)
    counts, edges = np.histogram(points[:, 0], bins=50, range=(low, high))
    assert counts.sum() == 100
    assert (np.diff(edges) > 0).all()
