"""HOW a trial trains, by name: one file, one recipe: settings, most of which have a flag that overrides them."""
