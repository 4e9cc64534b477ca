"""What figures and pages share: flows, data, training and densities of states in pictures; the style; the page."""
