"""The tasks of the benchmark of simulation-based inference, and how near flows come to their reference posteriors."""

from pushforward.studies.registry import StudyKind
from pushforward.studies.sbi_benchmark.config import SbiBenchmarkConfig

SBI_BENCHMARK = StudyKind(
    config=SbiBenchmarkConfig("sbi-benchmark"),
    summary="Ten tasks of simulation-based inference: C2ST against reference posteriors.",
    cells="pushforward.studies.sbi_benchmark.cells:run_sbi_benchmark",
    page="pushforward.studies.sbi_benchmark.page:described",
)
