"""Deep latent Gaussian models with flow posteriors."""

from pushforward.studies.dlgm.config import DlgmStudyConfig
from pushforward.studies.registry import StudyKind

FIGURE_4 = StudyKind(
    config=DlgmStudyConfig("rezende-mohamed-figure-4"),
    summary="F, KL(q || p(z|x)) and -log p(x) of MNIST against K, planar and NICE (Rezende & Mohamed, 2015, Figure 4).",
    cells="pushforward.studies.dlgm.cells:run_figure_4",
    page="pushforward.studies.dlgm.page:described",
)
TABLE_3 = StudyKind(
    config=DlgmStudyConfig("rezende-mohamed-table-3"),
    summary="-log p(x) of CIFAR-10 patches against K (Rezende & Mohamed, 2015, Table 3).",
    cells="pushforward.studies.dlgm.cells:run_table_3",
    page="pushforward.studies.dlgm.page:described",
)
AMORTISED = StudyKind(
    config=DlgmStudyConfig("amortised-or-static"),
    summary="Flow parameters emitted for each image, or shared by all and started well or not, on MNIST.",
    cells="pushforward.studies.dlgm.cells:run_amortised_or_static",
    page="pushforward.studies.dlgm.page:described",
)
POSTERIORS = StudyKind(
    config=DlgmStudyConfig("posterior-families"),
    summary="F, KL(q || p(z|x)) and -log p(x) of MNIST: planar, NICE, Sylvester, IAF, spline, continuous posteriors.",
    cells="pushforward.studies.dlgm.cells:run_posterior_families",
    page="pushforward.studies.dlgm.page:described_families",
)
