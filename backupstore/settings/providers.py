"""The storage providers stock Medusa knows, the regions behind its old ``s3_*`` names, and those of apache-libcloud.

Dispatch is by exact name. Only the old region names are open-ended, as in stock: any ``s3…`` is S3 at Amazon, but a
name without a known region needs ``region``, so that a misspelled ``s3_compatible`` does not talk to Amazon.
"""

from __future__ import annotations

import re
from typing import Literal

from backupstore.settings.kinds import Kind

Provider = Literal["local", "google_storage", "azure_blobs", "s3", "s3_rgw", "s3_compatible", "ibm_storage", "libcloud"]

EXACT: tuple[Provider, ...] = ("local", "google_storage", "azure_blobs", "s3", "s3_rgw", "s3_compatible", "ibm_storage")
OWN_ENDPOINT = frozenset({"s3_rgw", "s3_compatible", "ibm_storage"})
DEFAULT_REGION = "us-east-1"

_BY_LIBCLOUD = re.compile(r"libcloud_[a-z][a-z0-9_]*")

REGIONS = {
    "s3_us_east": "us-east-1",
    "s3_us_east1": "us-east-1",
    "s3_us_east2": "us-east-2",
    "s3_us_west": "us-west-1",
    "s3_us_west2": "us-west-2",
    "s3_us_west_oregon": "us-west-2",
    "s3_us_gov_east": "us-gov-east-1",
    "s3_us_gov_west": "us-gov-west-1",
    "s3_eu_west": "eu-west-1",
    "s3_eu_west2": "eu-west-2",
    "s3_eu_central": "eu-central-1",
    "s3_eu_north1": "eu-north-1",
    "s3_ap_south": "ap-south-1",
    "s3_ap_southeast": "ap-southeast-1",
    "s3_ap_southeast2": "ap-southeast-2",
    "s3_ap_northeast": "ap-northeast-1",
    "s3_ap_northeast1": "ap-northeast-1",
    "s3_ap_northeast2": "ap-northeast-2",
    "s3_sa_east": "sa-east-1",
    "s3_sa_east2": "sa-east-2",
    "s3_ca_central": "ca-central-1",
    "s3_cn_north": "cn-north-1",
    "s3_cn_northwest": "cn-northwest-1",
    "s3_af_south": "af-south-1",
    "s3_me_south": "me-south-1",
}


def provider_of(name: str) -> Provider:
    """Which store a configured name stands for. ValueError when it stands for none."""
    if name in EXACT:
        return name
    if _BY_LIBCLOUD.fullmatch(name):
        return "libcloud"
    if name.startswith("s3"):
        return "s3"
    raise ValueError("is no storage provider" if name else "is empty")


def region_of(name: str, region: str) -> str | None:
    """The region for an S3 store; None when the name is an old alias of no known region and none is set."""
    if region != "default":
        return region
    return DEFAULT_REGION if name in EXACT else REGIONS.get(name)


def _parse(text: str) -> str:
    name = text.lower()
    provider_of(name)
    return name


PROVIDER = Kind(
    "word",
    f"{', '.join(EXACT)}, an old name of a region such as s3_us_west_oregon, or libcloud_ and the name of a provider of"
    " apache-libcloud, such as libcloud_openstack_swift",
    _parse,
)
