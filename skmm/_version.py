"""The version of skmm."""

__version__ = "0.1.0.dev0"
