# %% [markdown]
# # Amortised posteriors on digits
#
# A deep latent Gaussian model draws z ~ N(0, I) and lets a network turn it into an image. The posterior differs from image
# to image: an encoder sees the image and emits every parameter of a flow (Rezende & Mohamed, 2015, section 6.2). Here on
# scikit-learn's 1,797 digits of 8 x 8 pixels, without a flow and with ten planar layers.

# %%
import jax
import jax.numpy as jnp
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits

from pushforward import flows, models, training
from pushforward.data.observe import Observation
from pushforward.models.evaluation import importance_bound, posterior_statistics

pixels = (load_digits().data > 7).astype("uint8")
train, test = jnp.asarray(pixels[:1500]), jnp.asarray(pixels[1500:], jnp.float32)
steps = 3000

# %%
trained = {}
for length in (0, 10):
    flow = flows.planar(jax.random.key(0), dim=8, length=length).bijection if length else None
    start = lambda key: models.DLGM.init(key, dim=64, latents=(8,), flow=flow, hidden=(64, 64), pieces=2)
    loss = models.NegativeBound(train, Observation("static", 2), batch_size=64, annealing_steps=1000)
    fitted = training.fit(
        training.ensemble(start, jax.random.key(1), 1),
        loss,
        key=jax.random.key(2),
        steps=steps,
        optimizer=training.adam(1e-3, steps),
    )
    trained[length] = training.member(fitted.model, 0)

# %% [markdown]
# The free energy is −log p(x) and the posterior's KL on top; importance sampling with 500 draws comes near −log p(x), and
# the difference is what the posterior loses.

# %%
for length, model in trained.items():
    energy = posterior_statistics(model, test, jax.random.key(3)).free_energy.mean()
    nll = -importance_bound(model, test, jax.random.key(4)).log_likelihood.mean()
    print(f"K = {length:2}: free energy {energy:.2f}, −log p(x) at most {nll:.2f}, gap {energy - nll:.2f} nats")

# %% [markdown]
# The posterior of one image is a distribution like any other.

# %%
model = trained[10]
posterior = model.posterior(test[0])
z, log_q = posterior.sample_and_log_prob(jax.random.key(5), (2000,))
log_weights = jax.vmap(model.log_joint, (None, 0))(test[0], z) - log_q
weights = jax.nn.softmax(log_weights)
print(f"{z.shape} draws, effective {1 / float((weights**2).sum()):.0f}")

# %%
figure, axes = plt.subplots(2, 8, figsize=(8, 2.2), layout="constrained")
for index in range(8):
    drawn = jax.nn.sigmoid(model.decoder(model.posterior(test[index]).sample(jax.random.key(6))).logits)
    axes[0, index].imshow(test[index].reshape(8, 8), cmap="gray_r")
    axes[1, index].imshow(drawn.reshape(8, 8), cmap="gray_r")
for axis in axes.flat:
    axis.axis("off")

# %% [markdown]
# Images above, and what a draw of their posterior is decoded to. `pushforward train dlgm-digits` trains such a model
# with checkpoints and a page, `dlgm-mnist` the one of the paper, and `pushforward evaluate RUN --estimator ais` judges it by
# annealed importance sampling from both sides: [deep latent Gaussian models](../deep-latent-gaussian-models.md).
