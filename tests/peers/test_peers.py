"""With the same parameters, log-densities of pushforward and of the libraries beside it are the same."""

import numpy as np
import pytest

from tests.peers.agreement import CASES, TOLERANCE


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}, {case.peer}")
def test_log_densities_equal_those_of_the_peer(case):
    pytest.importorskip(case.peer, reason=f"{case.peer} is not installed: pip install -e '.[bench]'")
    agreement = case.run()
    assert agreement.ours.dtype == agreement.theirs.dtype == np.float32
    assert np.ptp(agreement.theirs) > 1
    assert agreement.difference <= TOLERANCE
