"""matplotlib for figures in files: the same on every machine, whatever a notebook or the user's own settings ask of it."""

import os

# Jupyter and Colab set a backend that only a notebook can import, for every command that is started from one.
os.environ["MPLBACKEND"] = "Agg"

import matplotlib
import matplotlib.pyplot as plt

matplotlib.rcdefaults()  # a matplotlibrc of the user's, or in the current folder, would change or break the figures

__all__ = ["plt"]
