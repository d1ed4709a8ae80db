"""Speed and accuracy measurements: each prints a table and writes JSON below ``results``."""
