# %% [markdown]
# # Moving from zuko, normflows and FlowJAX
#
# | here | zuko | normflows | FlowJAX |
# | --- | --- | --- | --- |
# | `distributions.Pushforward(base, bijection)` | `NormalizingFlow(transform, base)` | `NormalizingFlow(q0, flows)` | `Transformed(base_dist, bijection)` |
# | `flow.log_prob(x)`, `flow.sample(key, shape)` | `flow().log_prob(x)`, `flow().sample(shape)` | `flow.log_prob(x)`, `flow.sample(n)` | `flow.log_prob(x)`, `flow.sample(key, shape)` |
# | `flow.sample_and_log_prob(key, shape)` | `flow().rsample_and_log_prob(shape)` | `flow.sample(n)` gives both | `flow.sample_and_log_prob(key, shape)` |
# | `bijection.forward`, `.inverse`, `.forward_and_log_det` | `transform(x)`, `transform.inv(y)`, `transform.call_and_ladj(x)` | `flow.forward(z)`, `flow.inverse(x)`, both with log-determinants | `bijection.transform`, `.inverse`, `.transform_and_log_det` |
# | `flows.maf`, `nsf_autoregressive`, `nsf_coupling`, `real_nvp`, `nice` | `MAF`, `NSF`, `NICE(univariate=…)`, `RealNVP`, `NICE` | `MaskedAffineAutoregressive`, `AutoregressiveRationalQuadraticSpline`, `CoupledRationalQuadraticSpline`, `AffineCouplingBlock` | `masked_autoregressive_flow`, `coupling_flow` with a transformer |
# | `flows.planar`, `radial`, `residual`, `continuous`, `glow` | –, –, –, `CNF`, – | `Planar`, `Radial`, `Residual`, –, `GlowBlock` | `planar_flow`, –, –, –, – |
# | `pushforward.condition(flow, key, context_dim)` | `MAF(features, context)` | `…(…, num_context_channels)` | `…(…, cond_dim)` |
# | `pushforward.amortize(flow, key, context_dim)` | – | – | – |
# | `training.fit(ensemble, ForwardKL(x, 256), …)` | your own loop | your own loop | `fit_to_data(key, flow, x)` |
# | `training.fit(ensemble, free_energy, …)` | your own loop | `model.reverse_kld(n)` | `fit_to_key_based_loss` with `ElboLoss` |
#
# Directions: `forward` goes from the base to the data everywhere here; zuko's transforms go from the data to the base.
# Everything acts on one sample in a bijection and on batches in a distribution; keys are given, nothing is global; an
# ensemble of one member is still an ensemble.
#
# Three ports, side by side. The peers' code is shown and not run here.
#
# ## A masked autoregressive flow on data, from zuko
#
# ```python
# flow = zuko.flows.MAF(features=2, transforms=5, hidden_features=(64, 64))
# optimizer = torch.optim.Adam(flow.parameters(), lr=1e-3)
# for _ in range(2000):
#     rows = x[torch.randint(len(x), (256,))]
#     loss = -flow().log_prob(rows).mean()
#     optimizer.zero_grad()
#     loss.backward()
#     optimizer.step()
# ```

# %%
import jax
import jax.numpy as jnp

from pushforward import flows, objectives, targets, training

angle = jax.random.uniform(jax.random.key(0), (5000,), maxval=jnp.pi)
noise = 0.1 * jax.random.normal(jax.random.key(1), (5000, 2))
x = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1) + noise

steps = 2000
fitted = training.fit(
    training.ensemble(lambda key: flows.maf(key, dim=2, length=5), jax.random.key(0), members=1),
    objectives.ForwardKL(x, 256),
    key=jax.random.key(1),
    steps=steps,
    optimizer=training.adam(1e-3, steps),
)
flow = training.member(fitted.model, 0)
print(f"{flow.log_prob(x).mean():.3f} nats a row")

# %% [markdown]
# ## Planar layers under reverse KL, from normflows
#
# ```python
# layers = [normflows.flows.Planar((2,)) for _ in range(16)]
# model = normflows.NormalizingFlow(normflows.distributions.DiagGaussian(2), layers, target)
# for _ in range(2000):
#     loss = model.reverse_kld(256)
#     optimizer.zero_grad()
#     loss.backward()
#     optimizer.step()
# ```

# %%
target = targets.make("u1")
fitted = training.fit(
    training.ensemble(lambda key: flows.planar(key, dim=2, length=16), jax.random.key(0), members=4),
    lambda flow, key, step: objectives.free_energy(flow, target.log_densities, key, 256),
    key=jax.random.key(1),
    steps=steps,
    optimizer=training.adam(1e-2, steps),
)
print(f"KL of four starts {[round(float(loss) + target.log_z, 3) for loss in fitted.records[-1].loss]}")

# %% [markdown]
# ## A conditional coupling flow, from FlowJAX
#
# ```python
# flow = coupling_flow(key, base_dist=Normal(jnp.zeros(1)), transformer=RationalQuadraticSpline(knots=8, interval=5), cond_dim=1)
# flow, losses = fit_to_data(key, flow, data=(y, context))
# flow.log_prob(y, context)
# ```

# %%
import pushforward

context, y = x[:, :1], x[:, 1:]
model = lambda key: pushforward.condition(flows.nsf_autoregressive(key, dim=1, length=3), key, context_dim=1)
fitted = training.fit(
    training.ensemble(model, jax.random.key(0), members=1),
    objectives.ForwardKL(y, 256, contexts=context),
    key=jax.random.key(1),
    steps=steps,
    optimizer=training.adam(1e-3, steps),
)
conditional = training.member(fitted.model, 0)
log_probs = jax.vmap(lambda context, y: conditional(context).log_prob(y))(context, y)
print(f"{log_probs.mean():.3f} nats a row")

# %% [markdown]
# ## The other way
#
# `pushforward.interop.flowjax.FlowJAXBijection(flow.bijection)` is a bijection of FlowJAX,
# `pushforward.interop.numpyro.NumPyroDistribution(flow)` a distribution of NumPyro with its support; `pushforward export
# RUN` writes every parameter with samples and log-densities, to check a reimplementation by.
