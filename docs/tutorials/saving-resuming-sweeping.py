# %% [markdown]
# # Saving, resuming, sweeping
#
# A run of the command line is a folder that everything else reads; in Python a flow is saved as one file.

# %% language="sh"
# pushforward fit u1 --flow planar --length 8 --steps 2000 --restarts 2 --frames 0 --out runs/u1
# ls runs/u1

# %%
import jax

import pushforward

flow = pushforward.load("runs/u1")
run = pushforward.open_run("runs/u1")
print(f"KL {run.result['kl']:.4f} nats after {run.config.steps} steps")

# %% [markdown]
# ## One file
#
# `save` writes the parameters and the structure of any flow; `load` gives it back, bit for bit.

# %%
pushforward.save(flow, "u1.pf")
again = pushforward.load("u1.pf")
x = flow.sample(jax.random.key(0), (5,))
assert (again.log_prob(x) == flow.log_prob(x)).all()

# %% [markdown]
# ## Resuming
#
# Ctrl-C writes a checkpoint, and `--resume` goes on to the same bits as an uninterrupted run. Here another process stands
# for the impatient hand.

# %% language="sh"
# timeout --signal INT 15 pushforward fit u2 --length 8 --steps 30000 --restarts 2 --frames 0 --out runs/u2 | tail -n 1
# pushforward fit --resume runs/u2 | tail -n 3

# %% [markdown]
# ## Sweeping
#
# A grid over any setting of a run; every cell is such a folder. The same command again goes on with what is not finished;
# `--ray` sends the cells to a cluster.

# %% language="sh"
# pushforward sweep u1 --over flow.length=2,8 --steps 500 --restarts 1 --frames 0 --out runs/grid
# cat runs/grid/sweep.csv

# %% [markdown]
# `runs/grid/report.html` is the page: the runs from the best to the worst, the measure against what varies, the losses
# over each other. [Many runs, many devices, many machines](../scaling.md) goes on from here.
