"""From settings to a finished run folder: jobs, weight files, plans, one process for each trial. Runs in the parent.

Not here: what happens inside a trial (trial/), and what the numbers mean (analysis/).
"""
