"""Numbers that hold: estimates with intervals, comparisons of runs, and how many tasks a comparison needs."""
