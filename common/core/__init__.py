"""What every package may use: specs, results, errors, events, files, locks, hashing, the machine, the registry of plug-ins.

Not here: anything that only one other package needs.
"""
