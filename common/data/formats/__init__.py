"""One file a format: recognises(path), where an InputError counts as true, and read(path); LOOKS_LIKE, its form for `list`."""
