"""C2ST of neural posterior estimation in sbi 0.23, as the authors of the benchmark have measured it again.

Means over the ten observations of the column C2ST_Z, the one that the benchmark reports, of rows whose algorithm is
NPE in `benchmarking_sbi_023/results/re-sbibm_sbi_023.csv` of github.com/sbi-benchmark/results. Of the two runs of
Bernoulli GLM there the later one. It has no rows of SIR and Lotka-Volterra.
"""

NPE = {
    "two-moons": {1_000: 0.724, 10_000: 0.611, 100_000: 0.542},
    "gaussian-linear": {1_000: 0.723, 10_000: 0.550},
    "gaussian-linear-uniform": {1_000: 0.710, 10_000: 0.546},
    "gaussian-mixture": {1_000: 0.711, 10_000: 0.628, 100_000: 0.551},
    "slcp": {1_000: 0.976, 10_000: 0.899, 100_000: 0.834},
    "slcp-distractors": {1_000: 0.985, 10_000: 0.973},
    "bernoulli-glm": {1_000: 0.862, 10_000: 0.660},
    "bernoulli-glm-raw": {1_000: 0.899, 10_000: 0.764},
}
"""By task and number of simulations."""
