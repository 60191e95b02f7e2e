"""One file a format: recognises(path) -> bool and read(path) -> Dataset; LOOKS_LIKE, its form in words for `list`."""
