"""One file a format: recognises(path) -> bool and read(path) -> Dataset."""
