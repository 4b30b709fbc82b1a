"""`python -m easyseg`."""

from easyseg.cli import main

if __name__ == "__main__":
    main()
