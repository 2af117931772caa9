"""``python -m skmm``: versions and hardware, for bug reports."""

from skmm import show_versions

if __name__ == "__main__":
    show_versions()
