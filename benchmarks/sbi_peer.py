"""sbi's side of `simulation.py`: train its NPE on pairs, and draw given each observation. It needs sbi alone."""

import sys
import time
from importlib.metadata import version

import numpy as np
import torch
from sbi.inference import NPE
from sbi.utils import BoxUniform


def main(pairs: str, out: str, estimator: str, seed: int, draws: int) -> None:
    torch.manual_seed(seed)
    with np.load(pairs) as saved:
        names = "theta", "x", "fresh_theta", "fresh_x", "observed", "low", "high"
        theta, x, fresh_theta, fresh_x, observed, low, high = (
            torch.as_tensor(saved[name], dtype=torch.float32) for name in names
        )
    began = time.perf_counter()
    inference = NPE(BoxUniform(low, high), density_estimator=estimator, show_progress_bars=False)
    trained = inference.append_simulations(theta, x).train()
    posterior = inference.build_posterior()
    training = time.perf_counter() - began
    found, seconds = [], []
    for each in observed:
        began = time.perf_counter()
        found.append(posterior.sample((draws,), x=each, show_progress_bars=False).numpy())
        seconds.append(time.perf_counter() - began)
    with torch.no_grad():
        log_q = trained.log_prob(fresh_theta[None], condition=fresh_x)[0].numpy()
    np.savez(
        out,
        draws=np.stack(found),
        training=training,
        sampling=np.array(seconds),
        log_q=log_q,
        version=version("sbi"),
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
