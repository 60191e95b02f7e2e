"""The tests: one folder for each package of the code, and helpers/."""
