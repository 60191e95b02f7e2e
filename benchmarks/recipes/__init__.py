"""HOW a trial trains, by name: one file, one recipe: settings, most of which have a flag that overrides them.

A file has ABOUT (a line for `list`), SETTINGS (of common/core/settings.py) and NOTES (what every page of such a run says).
"""
