"""Where trials run: one file each with ABOUT and run_trials(folder, specs, console, resume, address)."""
