"""What runs in the child: one adapter, its stopwatch, its events, its checkpoints, the optimized mode. Only here is a framework driven.

Not here: starting and watching the child (run/, process/).
"""
