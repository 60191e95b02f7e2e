"""Where trials run: one file each with ABOUT, run_trials(folder, specs, console, resume, address), and NO_WAIT.

NO_WAIT: why --wait-for-quiet is refused; "" where the launcher holds each trial for it.
"""
