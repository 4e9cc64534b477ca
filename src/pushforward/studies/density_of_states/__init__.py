"""What volume preservation costs on inflated manifolds."""

from pushforward.studies.density_of_states.config import StatesStudyConfig
from pushforward.studies.registry import StudyKind

GRID = StudyKind(
    config=StatesStudyConfig("density-of-states-grid"),
    summary="Segments x D x noise x NICE, Real VP, Real NVP: the grid of a thesis on densities of states.",
    cells="pushforward.studies.density_of_states.cells:run_grid",
    page="pushforward.studies.density_of_states.page:described",
)
DIMENSION = StudyKind(
    config=StatesStudyConfig("density-of-states-dimension"),
    summary="Manifolds of d = 1 to 35 dimensions in D = 36: up to which d/D volume preservation costs nothing.",
    cells="pushforward.studies.density_of_states.cells:run_dimension",
    page="pushforward.studies.density_of_states.page:described",
)
NOISE = StudyKind(
    config=StatesStudyConfig("density-of-states-noise"),
    summary="Noise that matches the base of the flow, and noise that does not.",
    cells="pushforward.studies.density_of_states.cells:run_noise",
    page="pushforward.studies.density_of_states.page:described",
)
DIAGONAL = StudyKind(
    config=StatesStudyConfig("density-of-states-diagonal"),
    summary="What a final diagonal scale is worth, trained, fixed or matched to the noise, and to Real NVP too.",
    cells="pushforward.studies.density_of_states.cells:run_diagonal",
    page="pushforward.studies.density_of_states.page:described",
)
BOUND = StudyKind(
    config=StatesStudyConfig("vp-bound"),
    summary="What six families lose on six manifolds in D = 4, beside the bound that no volume-preserving one passes.",
    cells="pushforward.studies.density_of_states.cells:run_bound",
    page="pushforward.studies.density_of_states.page:described",
)
