"""The roles of both clouds, made from the tables of who may write and read what: ``python -m infra.roles`` writes them.

``infra/terraform/*/roles.json`` have each role as lists of patterns, and in the words of the cloud: from them Terraform makes
roles and service accounts. A test fails when something in the tree differs from the tables.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from infra import roles_aws, roles_gcp
from infra.roles_table import roles, table

ROOT = Path(__file__).resolve().parents[1]


def made() -> dict[Path, str]:
    """Each file that is made from the tables, with what belongs into it."""
    lists, words = table(), roles()
    aws = {name: {**lists[name], "statements": roles_aws.statements(name, role)} for name, role in words.items()}
    gcp = {
        name: {**lists[name], "bindings": [asdict(binding) for binding in roles_gcp.bindings(role)]}
        for name, role in words.items()
    }
    terraform = ROOT / "infra" / "terraform"
    return {
        terraform / "aws" / "roles.json": json.dumps(aws, indent=2) + "\n",
        terraform / "gcp" / "roles.json": json.dumps(gcp, indent=2) + "\n",
    }


if __name__ == "__main__":
    for path, text in made().items():
        path.write_text(text, encoding="utf-8")
