"""The entry point of the command `gon`; the commands themselves are in gon_client.commands.

The thin client can be installed without what the command needs: then this says what to install.
"""

from __future__ import annotations

import sys

from gon.standard_files import standard_files

# Beside click's own 1 (abort) and 2 (usage).
EXIT_FAILED = 3


def main() -> None:
    """Run the command line."""
    with standard_files("gon", EXIT_FAILED):
        try:
            from gon_client.commands.root import gon
        except ModuleNotFoundError as error:
            if error.name not in ("click", "rich"):
                raise
            sys.exit(f"the command gon needs {error.name}: pip install 'gon[cli]'")
        except KeyboardInterrupt:
            sys.exit("\nAborted!")  # as click says it once it is there
        gon()
