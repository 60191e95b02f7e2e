"""Where else a run's records may go: one file each with ABOUT and send(results, folder), which returns where they lie."""
