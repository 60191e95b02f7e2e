"""Where else a run's records may go: one file each with ABOUT, check(dataset), before anything is
computed, and send(results, folder), which returns where they lie."""
