from . import bijections as bijections
from . import distributions as distributions
from . import evaluation as evaluation
from . import flows as flows
from . import objectives as objectives
from . import targets as targets
from . import training as training
