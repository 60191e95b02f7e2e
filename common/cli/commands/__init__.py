"""What the command line can do beside running trials: one file each. common/cli/command.py says what a file has.

`run` imports what it needs: `--help` loads every file here.
"""
