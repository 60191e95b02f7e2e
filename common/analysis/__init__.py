"""From a run folder to results, and from results to verdicts: scores, statistics, comparisons, checks. Pure except for reading files.

Not here: how a result is shown (report/).
"""
