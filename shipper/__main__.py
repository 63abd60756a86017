"""The program. The one place where an error ends: said once, with what to do next, and turned into an exit code."""

from __future__ import annotations

import sys

from backupstore.errors import BackupError
from shipper.cli import logs
from shipper.cli.app import app
from shipper.cli.console import accept_all_names, discard_output


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 130 interrupted."""
    sys.exit(run())


def run() -> int:
    """The exit code."""
    logs.stop_on_signals()
    accept_all_names()
    try:
        app()
    except SystemExit as end:  # how the command line ends when all went well, and how it says that it was used wrongly
        return end.code if isinstance(end.code, int) else 0
    except BackupError as error:
        return logs.tell(error)
    except logs.Stopped as stopped:
        return logs.tell_interrupted(stopped.hint)
    except BrokenPipeError:
        discard_output()
        return 1
    except Exception as error:  # noqa: BLE001  the entry: whatever gets here is a defect, and is told as one
        return logs.tell_defect(error)
    return 0


if __name__ == "__main__":
    main()
