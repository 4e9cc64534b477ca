"""Directions normalised per filter, and surfaces against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward.distributions import Normal
from pushforward.flows import nice, real_nvp, real_vp
from pushforward.objectives import HeldOut
from pushforward.stability import landscape, parameter_groups, random_directions
from tests.checks import assert_same, randomised

KEY = jax.random.key(0)
CENTRE = {"w": jnp.array([[3.0, 4.0], [0.0, 2.0]]), "b": jnp.array([1.0, -2.0])}


def half_square(model):
    return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(model)) / 2


def coupling(flow):
    return flow.bijection.layers.bijections[0]


@pytest.mark.slow
def test_every_filter_of_a_direction_is_as_large_as_that_of_the_model():
    flow = randomised(real_nvp(KEY, 4, 3, width=5), jax.random.key(1))
    for direction in random_directions(flow, KEY):
        layer, of_model = coupling(direction), coupling(flow)
        for each, own in zip(layer.network.weights, of_model.network.weights):
            np.testing.assert_allclose(jnp.linalg.norm(each, axis=2), jnp.linalg.norm(own, axis=2), rtol=1e-5)
        for each, own in zip(layer.network.biases, of_model.network.biases):
            np.testing.assert_allclose(jnp.linalg.norm(each, axis=1), jnp.linalg.norm(own, axis=1), rtol=1e-5)
        np.testing.assert_allclose(abs(layer.transformer.scale), abs(of_model.transformer.scale), rtol=1e-5)
        np.testing.assert_allclose(jnp.linalg.norm(direction.base.loc), jnp.linalg.norm(flow.base.loc), rtol=1e-5)


def test_a_filter_of_a_convolution_leads_to_one_channel():
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 2, 4))
    for direction in random_directions(kernel, KEY):
        norms = (jnp.linalg.norm(each.reshape(-1, 4), axis=0) for each in (direction, kernel))
        np.testing.assert_allclose(*norms, rtol=1e-5)


def test_where_a_filter_is_zero_so_is_the_direction():
    for direction in random_directions({"w": jnp.array([[0.0, 0.0], [1.0, 1.0]]), "b": jnp.zeros(2)}, KEY):
        np.testing.assert_array_equal(direction["b"], 0)
        np.testing.assert_array_equal(direction["w"][0], 0)
        np.testing.assert_allclose(jnp.linalg.norm(direction["w"][1]), 2**0.5, rtol=1e-6)


def unit_rows(weight):
    return weight / jnp.linalg.norm(weight, axis=-1, keepdims=True)


@pytest.mark.slow
def test_unlike_models_share_the_directions_of_what_they_have_in_common():
    make = {"width": 5, "activation": jax.nn.relu}
    flows = [
        randomised(recipe(KEY, 4, 2, **make), jax.random.key(i)) for i, recipe in enumerate((nice, real_vp, real_nvp))
    ]
    additive, preserving, varying = (random_directions(flow, KEY) for flow in flows)
    for nice_direction, vp_direction, nvp_direction in zip(additive, preserving, varying):
        rows = [
            [unit_rows(weight) for weight in coupling(direction).network.weights]
            for direction in (nice_direction, vp_direction, nvp_direction)
        ]
        np.testing.assert_allclose(rows[0][0], rows[2][0], rtol=1e-4)
        np.testing.assert_allclose(rows[0][1], rows[2][1], rtol=1e-4)
        for index in range(3):
            np.testing.assert_allclose(rows[1][index], rows[2][index], rtol=1e-4)


def test_the_two_directions_differ_and_come_from_the_key():
    first, second = random_directions(CENTRE, KEY)
    again, _ = random_directions(CENTRE, KEY)
    other, _ = random_directions(CENTRE, jax.random.key(1))
    assert_same(first, again)
    assert not np.allclose(first["w"], second["w"])
    assert not np.allclose(first["w"], other["w"])


@pytest.mark.slow
def test_a_mask_takes_parameters_out_and_leaves_the_directions_of_the_others():
    flow = randomised(real_nvp(KEY, 4, 2, width=5), jax.random.key(1))
    groups = parameter_groups(flow)
    whole, _ = random_directions(flow, KEY)
    for group, mask in groups.items():
        part, _ = random_directions(flow, KEY, mask=mask)
        assert_same(part, jax.tree.map(lambda leaf, mask: jnp.where(mask, leaf, 0), whole, groups[group]))


def test_parameters_that_are_not_trained_do_not_move():
    for direction in random_directions(Normal(jnp.ones(2), jnp.ones(2), trained=False), KEY):
        np.testing.assert_array_equal(direction.loc, 0)


def test_the_surface_of_a_parabola():
    directions = random_directions(CENTRE, KEY)
    surface = landscape(CENTRE, half_square, directions, radius=2.0, points=9)
    np.testing.assert_allclose(surface.coordinates, np.arange(-4, 5) / 2)
    for i, j in np.ndindex(9, 9):
        place = surface.coordinates[j], surface.coordinates[i]
        moved = [leaf + place[0] * u + place[1] * v for leaf, u, v in zip(*map(jax.tree.leaves, (CENTRE, *directions)))]
        np.testing.assert_allclose(surface.loss[i, j], half_square(moved), rtol=1e-5)
    assert surface.non_finite == 0
    assert surface.loss[4, 4] == half_square(CENTRE)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [2, 100])
def test_batches_change_nothing(batch_size):
    flow = randomised(real_nvp(KEY, 2, 2, width=3), jax.random.key(1), 0.3)
    loss, directions = HeldOut(jax.random.normal(KEY, (16, 2))), random_directions(flow, KEY)
    one, many = (landscape(flow, loss, directions, points=3, batch_size=size) for size in (1, batch_size))
    np.testing.assert_allclose(many.loss, one.loss, rtol=1e-5)
    np.testing.assert_allclose(one.loss[1, 1], loss(flow), rtol=1e-5)


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf, -jnp.inf])
def test_what_is_not_finite_is_kept_as_inf_and_counted(bad):
    def loss(model):
        return jnp.where(model > 1, bad, 1e30 * model)

    surface = landscape(jnp.ones(()), loss, (jnp.ones(()), jnp.zeros(())), points=5)
    np.testing.assert_allclose(surface.loss, np.tile([0, 0.5e30, 1e30, np.inf, np.inf], (5, 1)), rtol=1e-6)
    assert surface.non_finite == 10


@pytest.mark.parametrize("points", [0, 4, -1])
def test_the_model_is_on_the_grid(points):
    with pytest.raises(ValueError, match="odd"):
        landscape(CENTRE, half_square, (CENTRE, CENTRE), points=points)


def test_no_batch_is_an_error():
    with pytest.raises(ValueError, match="batch_size must be positive"):
        landscape(CENTRE, half_square, (CENTRE, CENTRE), batch_size=0)
