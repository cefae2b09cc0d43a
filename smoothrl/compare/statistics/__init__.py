"""From scores to figures: estimates, intervals and tests, on arrays alone."""
