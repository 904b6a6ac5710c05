"""`python -m bootstrap` is `pullkey`."""

from bootstrap.cli import main

if __name__ == "__main__":
    main()
