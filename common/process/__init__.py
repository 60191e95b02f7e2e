"""Processes of the machine: starting children, their memory, their ranks, and what other processes use.

Not here: what a child does (trial/).
"""
