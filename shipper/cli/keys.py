"""``generate-keys``: a new pair, and what to do with each half of it."""

from __future__ import annotations

from pathlib import Path

from backupstore.errors import Misconfigured
from backupstore.signing import write_pair
from shipper.cli.console import out


def run_generate_keys(directory: Path) -> None:
    """Make it there. Misconfigured when a file of it is there already, or cannot be written."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Misconfigured(
            (f"{directory} cannot be made: {error.strerror}",), hint="Name a directory that you may write to."
        ) from error
    private, public = write_pair(directory.resolve())
    for line in _told(private, public):
        out(line)


def _told(private: Path, public: Path) -> tuple[str, ...]:
    return (
        f"{private} signs commands. It belongs to the coordinator alone:",
        "  serve           copy it to its machine, readable for its user only (chmod 600), and set there",
        f"                  [shipper] signing_key_file = /etc/medusa/{private.name}",
        f"  AWS Lambda      aws secretsmanager create-secret --name medusa-signing-key --secret-string file://{private}",
        "                  and give the function coordinator its ARN in SIGNING_KEY_SECRET",
        f"  Google's cloud  gcloud secrets create medusa-signing-key --data-file={private}",
        "                  mount it into the function coordinator, and put the file's path into SIGNING_KEY_SECRET",
        "",
        f"{public} tells nodes which commands are genuine. It is no secret. Copy it to every node, owned by root",
        "and writable for nobody else (chmod 644), and set there",
        f"                  [shipper] command_keys_file = /etc/medusa/{public.name}",
        "",
        f"Then delete {private} here. Whoever has it can stop every node. To exchange it, see docs/security.md.",
    )
