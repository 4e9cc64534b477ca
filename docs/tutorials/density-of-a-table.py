# %% [markdown]
# # The density of a table
#
# Rows in a file, or an array; a flow that gives their log-density and draws new ones, judged on rows it has not seen.
# Here they are 178 wines of three growers, with 13 measurements each, from scikit-learn.

# %%
import jax
import numpy as np
import pandas as pd
from sklearn.datasets import load_wine

import pushforward

table = load_wine(as_frame=True).data[["alcohol", "malic_acid", "flavanoids", "color_intensity", "proline"]]
table.to_csv("wine.csv", index=False)

# %% [markdown]
# With no flag, everything is chosen by the training rows: the family, the base, the start, the learning rate, how much
# noise to add to few rows. The log says what was chosen and why.

# %% language="sh"
# pushforward train wine.csv --out runs/wine

# %% [markdown]
# The number that says "no" is the gain over the Gaussian with the means and covariances of the rows: a flow that does not
# beat that by more than its standard error has learned nothing beyond them.

# %%
run = pushforward.open_run("runs/wine")
for name in (
    "test_log_likelihood",
    "test_log_likelihood_std_error",
    "gain_over_gaussian",
    "gain_over_gaussian_std_error",
):
    print(f"{name:32} {run.result[name]:.3f}")

# %%
flow = pushforward.load("runs/wine")
drawn = pd.DataFrame(flow.sample(jax.random.key(0), (1000,)), columns=table.columns)
pd.DataFrame({"rows": table.mean(), "draws": drawn.mean(), "rows, sd": table.std(), "draws, sd": drawn.std()}).round(2)

# %%
odd = table.iloc[:1] * [1, 1, 1, 3, 1]  # three times as intense in colour
for name, row in (("first row", table.iloc[:1]), ("changed", odd)):
    print(f"{name:10} log p = {float(flow.log_prob(np.asarray(row, np.float32))[0]):.1f}")

# %% [markdown]
# `pushforward density runs/wine points.csv` writes the log-densities of a file's rows beside them, `pushforward sample
# runs/wine -n 1000` draws; `runs/wine/report.html` is the page of the run. [Training on data](../density-estimation.md)
# has all of it; [data](../data.md) says what tables are read and what is refused.
