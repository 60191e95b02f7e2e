"""HOW it is measured: one folder a framework, the only place where one is imported."""
