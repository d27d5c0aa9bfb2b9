"""The command line as `python -m lakehouse`."""

from lakehouse.cli import main

if __name__ == "__main__":
    main()
