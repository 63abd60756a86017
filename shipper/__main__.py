"""The program. The one place where an error ends: said once, with what to do next, and turned into an exit code."""

from __future__ import annotations

import sys
import traceback

import click

from backupstore.errors import BackupError
from shipper.cli.app import app
from shipper.cli.console import complain


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 130 interrupted."""
    sys.exit(run())


def run() -> int:
    """The exit code."""
    try:
        return int(app(standalone_mode=False) or 0)
    except BackupError as error:
        complain(error.message, error.hint)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        complain("interrupted", "Nothing is lost: run the same command again to go on where it was.")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception:  # noqa: BLE001  the entry: whatever gets here is a defect, and is told as one
        traceback.print_exc()
        complain(
            "this is a defect in medusa-shipper",
            "Please report it with the lines above; nothing in the bucket was harmed.",
        )
        return 1


if __name__ == "__main__":
    main()
