"""Pure: run folder -> Results -> Table -> text and figures."""
