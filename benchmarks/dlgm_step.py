"""One training step of a deep latent Gaussian model: beside its matrix products alone, and beside PyTorch.

784 binary pixels, 40 latents, encoder and decoder of two hidden layers of 400 maxout units with 4 pieces, batch 100,
Adam; the encoder emits the parameters of K planar layers for every image. The model in PyTorch is written with care:
everything but the K updates of `z` is done for all layers at once, Adam is fused, and every choice between equivalent
operations (the maximum of maxout, the layout of the layers) is the fastest of those tried on CPU. It takes over the
parameters, the images and the noise of a step of pushforward, and stops if loss and gradients are not the same: all of
them in float64, since rounding in float32 may turn a maximum over to another piece, and as timed, in float32, the loss
and the gradient of the last layer.

"Matrix products" are those of the step and nothing else: forwards, of the weights' gradients, and of the inputs'
gradients but that of the images. Each contender has a process of its own on the same cores, warms up, and then they
take turns. Ratios are taken within a round; their median is reported.
"""

import os
import shutil
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import tyro

from common import Row, at_least, at_most, installed, report, spread, worker
from density_speed import TrainingLoop, Turn, repeated

Contender = Literal["pushforward", "rank", "products", "torch", "torch-compile", "torch-products"]

PIXELS, LATENTS, HIDDEN, PIECES, BATCH = 784, 40, 400, 4, 100
IMAGES = 10_000
LEARNING_RATE = 3e-4
SAME = 1e-4
RANK = 32  # of the weights that emit the layers
UNROLLED = 16  # products of this many steps for each call from Python

CONTENDERS: tuple[Contender, ...] = get_args(Contender)
NAMES: dict[Contender, str] = {
    "pushforward": "pushforward, training.fit",
    "rank": f"pushforward, emission of rank {RANK}",
    "products": "matrix products alone, JAX",
    "torch": "PyTorch, eager",
    "torch-compile": "PyTorch, torch.compile",
    "torch-products": "matrix products alone, PyTorch",
}
PRODUCTS: dict[Contender, Contender] = {
    "pushforward": "products",
    "torch": "torch-products",
    "torch-compile": "torch-products",
}
TORCH: tuple[Contender, ...] = ("torch", "torch-compile")

REQUIRED_OF_PRODUCTS = {0: 2.2, 80: 1.55}
REQUIRED_OF_TORCH = {0: 1.2, 80: 1.6}


class Reference(NamedTuple):
    """A step of pushforward in float64; layers are `(weight, bias)`, from the encoder's first to the decoder's last."""

    layers: list[tuple[np.ndarray, np.ndarray]]
    x: np.ndarray
    noise: np.ndarray
    loss: float
    gradients: list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Case:
    """What a process times."""

    contender: Contender
    length: int

    @property
    def package(self) -> str:
        """What its process imports."""
        return "torch" if self.contender.startswith("torch") else "pushforward"

    def __str__(self) -> str:
        return f"K = {self.length}, {NAMES[self.contender]}"


def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (IMAGES, PIXELS), np.uint8)


def shapes(length: int) -> list[tuple[int, int]]:
    """The matrices of the model, `(fan_out, fan_in)`; the affine map and the flow have one each."""
    heads = [2 * LATENTS, length * (2 * LATENTS + 1)] if length else [2 * LATENTS]
    maxout = PIECES * HIDDEN
    return [
        (maxout, PIXELS),
        (maxout, HIDDEN),
        *((out, HIDDEN) for out in heads),
        (maxout, LATENTS),
        (maxout, HIDDEN),
        (PIXELS, HIDDEN),
    ]


def flops(length: int) -> int:
    """Of the matrix products of a step."""
    first, *rest = (out * fan_in for out, fan_in in shapes(length))
    return 2 * BATCH * (2 * first + 3 * sum(rest))


def make_model(length: int, key: Any, rank: int | None = None) -> Any:
    import jax

    from pushforward import flows
    from pushforward.models import DLGM

    key_flow, key_model = jax.random.split(key)
    flow = flows.planar(key_flow, LATENTS, length).bijection if length else None
    return DLGM.init(key_model, PIXELS, (LATENTS,), flow=flow, hidden=(HIDDEN, HIDDEN), pieces=PIECES, rank=rank)


def make_loss() -> Any:
    import jax.numpy as jnp

    from pushforward.data.observe import Observation
    from pushforward.models import NegativeBound

    return NegativeBound(jnp.asarray(images()), Observation("static", 2), BATCH)


def reference(length: int) -> Reference:
    """A step from parameters of which none is 0, so that every gradient counts."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    loss, key = make_loss(), jax.random.key(1)
    leaves, structure = jax.tree.flatten(make_model(length, jax.random.key(0)))
    keys = jax.random.split(key, len(leaves))
    moved = [leaf + 0.02 * jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves)]
    model = jax.tree.unflatten(structure, moved)
    value, gradients = eqx.filter_jit(eqx.filter_value_and_grad(loss))(model, key, jnp.zeros((), int))

    # As the loss itself draws them.
    key_rows, _, key_draws = jax.random.split(key, 3)
    rows = jax.random.randint(key_rows, (BATCH,), 0, IMAGES)
    noise = jax.vmap(lambda key: model.prior.sample(key, (1,))[0])(jax.random.split(key_draws, BATCH))
    return Reference(
        dense_layers(model, shifted=True), images()[rows], np.asarray(noise), float(value), dense_layers(gradients)
    )


def dense_layers(model: Any, *, shifted: bool = False) -> list[tuple[np.ndarray, np.ndarray]]:
    """Those of a model, or of its gradient, with one head for the affine map and the flow.

    The heads shift parameters of the flow itself; with `shifted` their biases take those over.
    """
    import jax.numpy as jnp
    from jax.flatten_util import ravel_pytree

    posterior = model.posterior
    heads = [head for head in (posterior.affine, posterior.flow) if head is not None]
    weight = jnp.concatenate([head.network.weights[-1] for head in heads])
    biases = [head.network.biases[-1] + shifted * ravel_pytree(head.flow)[0] for head in heads]
    (decoder,) = model.decoder.networks
    layers = [
        *((layer.weight, layer.bias) for layer in posterior.encoder.layers),
        (weight, jnp.concatenate(biases)),
        *((layer.weight, layer.bias) for layer in decoder.layers),
    ]
    return [(np.asarray(weight), np.asarray(bias)) for weight, bias in layers]


def pushforward_turn(length: int, rank: int | None = None) -> Turn:
    import jax

    from pushforward import training

    loop = TrainingLoop(
        lambda **arguments: training.fit(
            training.ensemble(lambda key: make_model(length, key, rank), jax.random.key(0), 1),
            make_loss(),
            key=jax.random.key(1),
            optimizer=training.adam(LEARNING_RATE, 1, schedule="constant", flat=False),
            **arguments,
        )
    )
    loop(0.0)  # compiles
    return loop


def products_turn(length: int) -> Turn:
    import jax
    import jax.numpy as jnp
    from jax import lax

    factors = [tuple(jnp.asarray(array) for array in arrays) for arrays in zip(inputs(length), outputs(length))]

    def step(weights: list[Any], factors: list[Any], shift: Any) -> tuple[list[Any], list[Any]]:
        """The gradients are the weights of the next step, and `x` and `y` move: nothing is the same in every step."""
        forwards_and_backwards, gradients = [], []
        for index, (weight, (x, y)) in enumerate(zip(weights, factors)):
            x, y = x + shift, y + shift
            forwards_and_backwards += [x @ weight.T, *([y @ weight] if index else [])]
            gradients.append(y.T @ x)
        return gradients, forwards_and_backwards

    def run(carry: tuple[list[Any], list[Any]], factors: list[Any]) -> tuple[list[Any], list[Any]]:
        def body(index: Any, carry: tuple[list[Any], list[Any]]) -> tuple[list[Any], list[Any]]:
            return step(carry[0], factors, 1e-6 * index)

        return lax.fori_loop(0, UNROLLED, body, carry)

    program = jax.jit(run, donate_argnums=0)
    carry = jax.jit(step)([jnp.asarray(array) for array in random_arrays(shapes(length))], factors, 0.0)

    def call() -> None:
        nonlocal carry
        carry = jax.block_until_ready(program(carry, factors))

    turn = repeated(call)
    turn(0.0)  # compiles
    return lambda seconds: turn(seconds) / UNROLLED


def inputs(length: int) -> list[np.ndarray]:
    return random_arrays([(BATCH, fan_in) for _, fan_in in shapes(length)])


def outputs(length: int) -> list[np.ndarray]:
    return random_arrays([(BATCH, out) for out, _ in shapes(length)])


def random_arrays(shapes: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


def torch_products_turn(length: int) -> Turn:
    import torch

    factors = [
        tuple(torch.from_numpy(array) for array in arrays)
        for arrays in zip(random_arrays(shapes(length)), inputs(length), outputs(length))
    ]
    results: list[torch.Tensor] = []

    def call() -> None:
        nonlocal results
        results = []
        for index, (weight, x, y) in enumerate(factors):
            results += [x @ weight.t(), y.t() @ x, *([y @ weight] if index else [])]

    turn = repeated(call)
    turn(0.0)
    return turn


def torch_model(length: int) -> Any:
    """Its `forward` is the loss of a batch of images with its noise."""
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F

    class Maxout(nn.Module):
        def __init__(self, fan_in: int, out: int) -> None:
            super().__init__()
            self.linear = nn.Linear(fan_in, PIECES * out)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x).unflatten(-1, (PIECES, -1)).max(-2).values

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.sizes = [LATENTS, LATENTS, length * LATENTS, length * LATENTS, length]
            self.encoder = nn.Sequential(Maxout(PIXELS, HIDDEN), Maxout(HIDDEN, HIDDEN))
            self.head = nn.Linear(HIDDEN, sum(self.sizes))
            self.decoder = nn.Sequential(Maxout(LATENTS, HIDDEN), Maxout(HIDDEN, HIDDEN), nn.Linear(HIDDEN, PIXELS))

        def forward(self, x: Tensor, noise: Tensor) -> Tensor:
            loc, log_scale, w, u, b = self.head(self.encoder(x)).split(self.sizes, dim=-1)
            z = loc + log_scale.exp() * noise
            log_det = log_scale.sum(-1)
            if length:
                z, flow_log_det = self.flow(z, w.unflatten(-1, (length, -1)), u.unflatten(-1, (length, -1)), b)
                log_det = log_det + flow_log_det
            nll = F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum") / len(x)
            # The normalising constants of q and of the prior cancel.
            return nll + (0.5 * z.square().sum(-1) - 0.5 * noise.square().sum(-1) - log_det).mean()

        def flow(self, z: Tensor, w: Tensor, u: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
            w_dot_u = (w * u).sum(-1)
            slope = F.softplus(w_dot_u)
            u_hat = u + ((slope - 1 - w_dot_u) / w.square().sum(-1)).unsqueeze(-1) * w
            activations = []
            # Not w[:, k]: the gradient of each would fill an array of all layers with zeros.
            for w_k, u_k, b_k in zip(w.unbind(1), u_hat.unbind(1), b.unbind(1)):
                activations.append(torch.tanh((w_k * z).sum(-1) + b_k))
                z = z + u_k * activations[-1].unsqueeze(-1)
            squared = torch.stack(activations, 1).square()
            return z, torch.log(squared + (1 - squared) * slope).sum(1)

    return Model()


def torch_turn(length: int, compiled: bool, step: Reference) -> Turn:
    import torch

    # As XLA does: numbers too small to be normal are slow.
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    model = torch_model(length)
    # All shapes are known, and one process compiles one model.
    loss = torch.compile(model, dynamic=False) if compiled else model
    check(model, loss, step)
    optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE, fused=True)
    data = torch.from_numpy(images())

    def call() -> None:
        x = data[torch.randint(len(data), (BATCH,))].float()
        value = loss(x, torch.randn(BATCH, LATENTS))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()

    turn = repeated(call)
    turn(0.5)
    return turn


def check(model: Any, loss: Callable[..., Any], step: Reference) -> None:
    """Take over the parameters of pushforward; the same images and noise must give the same loss and gradients.

    Raises:
        AssertionError: they do not.
    """
    import torch

    linears = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]

    def differences(function: Callable[..., Any], dtype: torch.dtype) -> dict[str, float]:
        model.to(dtype).zero_grad()
        value = function(torch.tensor(step.x, dtype=dtype), torch.tensor(step.noise, dtype=dtype))
        value.backward()
        found = {"loss": abs(value.item() - step.loss) / abs(step.loss)}
        for index, (linear, gradients) in enumerate(zip(linears, step.gradients)):
            for name, expected in zip(("weight", "bias"), gradients):
                difference = getattr(linear, name).grad.numpy() - expected
                found[f"{name} {index}"] = float(np.linalg.norm(difference) / np.linalg.norm(expected))
        return found

    model.double()
    with torch.no_grad():
        for linear, (weight, bias) in zip(linears, step.layers, strict=True):
            linear.weight.copy_(torch.tensor(weight))
            linear.bias.copy_(torch.tensor(bias))
    double, single = differences(model, torch.float64), differences(loss, torch.float32)
    single = {name: single[name] for name in ("loss", f"weight {len(linears) - 1}", f"bias {len(linears) - 1}")}
    print(
        f"loss {step.loss:.6f}; largest relative difference of PyTorch in loss and gradients: "
        f"{max(double.values()):.1e} in float64, {max(single.values()):.1e} in float32",
        flush=True,
    )
    assert max(*double.values(), *single.values()) < SAME, (double, single)


_turn: Turn


def prepare(case: Case, cores: int, step: Reference | None) -> None:
    """Builds, checks and compiles what the turns run, in the process of the case."""
    global _turn
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    if case.contender == "pushforward":
        _turn = pushforward_turn(case.length)
        return
    if case.contender == "rank":
        _turn = pushforward_turn(case.length, RANK)
        return
    if case.contender == "products":
        _turn = products_turn(case.length)
        return
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # no processes that stay
    import torch

    torch.set_num_threads(cores)
    if case.contender == "torch-products":
        _turn = torch_products_turn(case.length)
    else:
        assert step is not None
        _turn = torch_turn(case.length, case.contender == "torch-compile", step)


def take_turn(seconds: float) -> float:
    """Seconds a step."""
    return _turn(seconds)


def main(
    lengths: tuple[int, ...] = (0, 80),
    contenders: tuple[Contender, ...] = CONTENDERS,
    rounds: int = 9,
    seconds: float = 2.0,
    cores: int = 2,
) -> None:
    """Time a training step of a deep latent Gaussian model.

    Args:
        lengths: planar layers K.
        contenders: what is compared.
        rounds: turns of each, after one to warm up.
        seconds: how long a turn lasts at least.
        cores: that each may use, and threads of PyTorch.
    """
    cores = min(cores, len(os.sched_getaffinity(0)))
    compared = [each for each in contenders if available(each)]
    cases = [Case(each, length) for length, each in product(lengths, compared) if length or each != "rank"]
    times: dict[Case, list[float]] = {case: [] for case in cases}
    with ExitStack() as stack:
        steps: dict[int, Reference] = {}
        if set(compared) & set(TORCH):
            with worker() as call:
                steps = {length: call(reference, length) for length in lengths}
        calls = {case: stack.enter_context(worker(package=case.package)) for case in cases}
        pool = stack.enter_context(ThreadPoolExecutor(len(cases)))
        waiting = [pool.submit(calls[case], prepare, case, cores, steps.get(case.length)) for case in cases]
        for each in waiting:
            each.result()
        for round_number in range(rounds + 1):
            for case in cases:
                taken = calls[case](take_turn, seconds)
                print(f"round {round_number}: {case}: {1e3 * taken:.2f} ms", flush=True)
                if round_number:
                    times[case].append(taken)

    def ratio(first: Case, second: Case) -> float | None:
        """How many times longer the first takes."""
        if first not in times or second not in times:
            return None
        return statistics.median(a / b for a, b in zip(times[first], times[second]))

    rows: list[Row] = []
    for case in cases:
        low, middle, high = spread([1e3 * taken for taken in times[case]])
        of_products = PRODUCTS.get(case.contender)
        rows.append(
            {
                "K": case.length,
                "what": NAMES[case.contender],
                "ms a step, median": middle,
                "lowest": low,
                "highest": high,
                "GFLOP/s of products": flops(case.length) / middle / 1e6,
                "against its products": ratio(case, Case(of_products, case.length)) if of_products else None,
                "pushforward is faster by": ratio(case, Case("pushforward", case.length))
                if case.contender not in PRODUCTS.values()
                else None,
            }
        )

    requirements = [
        at_most(
            f"pushforward, K = {length}, against its matrix products, at most {required}",
            ratio(Case("pushforward", length), Case("products", length)),
            required,
        )
        for length, required in REQUIRED_OF_PRODUCTS.items()
    ]
    for length, required in REQUIRED_OF_TORCH.items():
        ratios = [ratio(Case(peer, length), Case("pushforward", length)) for peer in TORCH]
        least = min((each for each in ratios if each is not None), default=None)
        text = f"pushforward against the faster PyTorch, K = {length}, at least {required}"
        requirements.append(at_least(text, least, required))

    times_more = flops(80) / flops(0)
    notes = [
        f"Matrix products take {flops(0) / 1e9:.3g} GFLOP a step with K = 0 and {flops(80) / 1e9:.3g} with K = 80, "
        f"{times_more:.3g} times as many, since the encoder emits 80 x 81 numbers more for each image."
    ]
    growths = {contender: ratio(Case(contender, 80), Case(contender, 0)) for contender in compared}
    measured = [f"{growth:.3g} ({NAMES[contender]})" for contender, growth in growths.items() if growth is not None]
    if measured:
        notes.append(f"Time with K = 80 over time with K = 0: {', '.join(measured)}.")
    if set(compared) & set(TORCH):
        notes.append(
            f"Loss and gradients of PyTorch and pushforward agree to {SAME:g} of their size, for the same parameters, "
            "images and noise. The rows of products tell how much of the ratio comes from the library that multiplies: "
            "XLA's own on one side, on the other MKL, which is at its best on Intel's processors."
        )
    report(
        "dlgm_step",
        f"One training step: deep latent Gaussian model, {PIXELS} pixels, {LATENTS} latents, batch {BATCH}, "
        f"{cores} core{'s' if cores > 1 else ''}",
        rows,
        requirements,
        " ".join(notes),
    )


def available(contender: Contender) -> bool:
    missing = None
    if contender.startswith("torch") and not installed("torch"):
        missing = "torch is not installed"
    elif contender == "torch-compile" and shutil.which("g++") is None:
        missing = "there is no g++"
    if missing is not None:
        print(f"skipped {NAMES[contender]}: {missing}")
    return missing is None


if __name__ == "__main__":
    tyro.cli(main)
