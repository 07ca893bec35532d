"""`python -m gon_server` is `gond`."""

from gon_server.cli import main

if __name__ == "__main__":
    main()
