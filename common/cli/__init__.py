"""The command line: flags, parser, commands, JSON output, the page of a data set. Runs in the parent.

Not here: how a run is prepared or carried out (run/), and how tables are made (report/).
"""
