"""The program: command line, the chain from capture to label, figures."""

__version__ = "0.1.0"
