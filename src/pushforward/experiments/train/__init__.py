"""A flow trained on data by maximum likelihood."""

from pushforward.experiments.registry import Kind, Measure
from pushforward.experiments.train.config import TrainConfig
from pushforward.experiments.train.presets import PRESETS, SUMMARIES

LIKELIHOODS = (
    Measure("test log-likelihood", "test_log_likelihood", "test_log_likelihood_std_error", "highest"),
    Measure("gain over a Gaussian", "gain_over_gaussian", "gain_over_gaussian_std_error", "highest"),
    Measure("KL(p‖q)", "kl_to_truth", "kl_to_truth_std_error", "lowest"),
)

KIND = Kind(
    config=TrainConfig,
    run="pushforward.experiments.train.run:TrainRun",
    train="pushforward.experiments.train.training:run_train",
    report="pushforward.experiments.train.report:write_report",
    show="pushforward.experiments.train.terminal:print_train",
    presets=PRESETS,
    summaries=SUMMARIES,
    measures=LIKELIHOODS,
)
