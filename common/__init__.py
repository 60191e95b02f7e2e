"""Decides and measures; knows no framework by name."""
