"""What the command line can do beside running trials: one file each with ABOUT and main(arguments) -> exit code."""
