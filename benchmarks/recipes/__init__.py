"""HOW a trial trains, by name: one file, one recipe, frozen values that flags of the same names override."""
