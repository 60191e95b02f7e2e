"""WHAT is measured: one file, one suite, frozen values without logic."""
