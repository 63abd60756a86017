"""Roles and policies say what the tables of writers and readers say, in the words of both clouds."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from backupstore.core.keys import DataKey
from backupstore.core.layout import Layout
from backupstore.core.patterns import lies_below
from backupstore.core.readers import Look, may_look
from backupstore.core.writers import Principal, Verb, may_write
from infra.roles import made
from infra.roles_aws import statements
from infra.roles_gcp import MOST_OPERATORS, Binding, bindings, operators
from infra.roles_table import roles
from tests.infra.policies import aws_allows, gcp_allows
from tests.test_security import everything

ROLES = roles()
OF = {name: Principal.SHIPPER if name in {"node", "nodes"} else Principal(name) for name in ROLES}
NAMES = {"node": ("n1",), "nodes": ("n1", "n10")}
LENT = {"purge": ("backup_index/", "catalog/", "latest_backup/"), "verify": ("catalog/",)}
LAYOUTS = [Layout("prod"), Layout()]
HOME = "projects/_/buckets/cassandra-backups"
ACTIONS = {Verb.CREATE: "s3:PutObject", Verb.OVERWRITE: "s3:PutObject", Verb.DELETE: "s3:DeleteObject"}
NODE_MOST, ROLE_MOST = 6_144, 10_240
"""Characters, without white space: of a managed policy, and of all policies that stand in a role itself."""


def filled(text: str, layout: Layout, node: str = "n1") -> str:
    """In the words of one node, as Terraform fills them in."""
    words = {"{ARN}": "arn:aws:s3:::b", "{BUCKET}": "cassandra-backups", "{P}": layout.root, "{F}": node}
    for word, by in {**words, "{-}": layout.prefix or "-"}.items():
        text = text.replace(word, by)
    return text


def aws(role: str, layout: Layout) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(filled(json.dumps(statements(role, ROLES[role])), layout))
    return found


def gcp(role: str, layout: Layout) -> list[Binding]:
    return [Binding(each.permission, filled(each.expression, layout)) for each in bindings(ROLES[role])]


def keys_of(layout: Layout) -> Iterator[str]:
    """A key of each kind of two nodes, one of which has the other's name as its beginning; and of other clusters."""
    for here in (layout, Layout("prod2"), Layout("other")):
        for node in ("n1", "n10"):
            yield from everything(here, node).values()
            yield here.data(DataKey(node, "ks", "t-1", "nb-1-big-Data.db", backup="b"))
            yield here.latest(node, "tokenmap.json")
            yield here.round_plan("r")
            yield here.purge_answer("run", node)
            yield here.node_probe(node)


def allowed(role: str, verb: Verb, key: str, layout: Layout) -> bool:
    """By the table."""
    return any(may_write(OF[role], verb, key, layout=layout, node=node) for node in NAMES.get(role, ("",))) or (
        lent(role, key, layout) and may_write(Principal.INDEXER, verb, key, layout=layout)
    )


def seen(role: str, look: Look, key: str, layout: Layout) -> bool:
    """By the table."""
    return any(may_look(OF[role], look, key, layout=layout, node=node) for node in NAMES.get(role, ("",))) or (
        lent(role, key, layout) and may_look(Principal.INDEXER, look, key, layout=layout)
    )


def lent(role: str, key: str, layout: Layout) -> bool:
    """Whether the role does the indexer's work there."""
    return any(key.startswith(f"{layout.root}index/{area}") for area in LENT.get(role, ()))


def of_others(key: str, layout: Layout) -> bool:
    """Of a cluster without prefix all that lies in the bucket is its own: the folder of another is a node to it."""
    return not layout.prefix and key.startswith(
        ("prod2/", "other/", "index/announced/prod2/", "index/announced/other/")
    )


def test_what_is_in_the_tree_is_what_the_tables_make() -> None:
    assert {str(path): path.read_text(encoding="utf-8") for path in made()} == {
        str(path): text for path, text in made().items()
    }, "run python -m infra.roles"


@pytest.mark.parametrize("layout", LAYOUTS, ids=["prefix", "no prefix"])
@pytest.mark.parametrize("role", ROLES)
def test_a_policy_for_amazon_allows_what_the_tables_allow(role: str, layout: Layout) -> None:
    policy, creates = aws(role, layout), {"s3:ObjectCreationOperation": "true"}
    for key in keys_of(layout):
        if of_others(key, layout):
            continue
        arn = f"arn:aws:s3:::b/{key}"
        create = {**creates, "s3:if-none-match": "*"}
        assert aws_allows(policy, "s3:PutObject", arn, create) == (
            allowed(role, Verb.CREATE, key, layout) or allowed(role, Verb.OVERWRITE, key, layout)
        ), key
        assert aws_allows(policy, "s3:PutObject", arn, creates) == allowed(role, Verb.OVERWRITE, key, layout), key
        assert aws_allows(policy, "s3:DeleteObject", arn) == allowed(role, Verb.DELETE, key, layout), key
        more = role == "nodes" and key.startswith(f"{layout.root}index/")  # `*` is any node, and `index` as well
        assert aws_allows(policy, "s3:GetObject", arn) == (more or seen(role, Look.READ, key, layout)), key
        folder = key.rpartition("/")[0] + "/"
        listing = aws_allows(policy, "s3:ListBucket", "arn:aws:s3:::b", {"s3:prefix": folder})
        assert listing == (more or seen(role, Look.LIST, folder, layout)), folder
        for other in (
            "s3:PutObjectAcl",
            "s3:BypassGovernanceRetention",
            "s3:DeleteObjectVersion",
            "s3:PutObjectTagging",
        ):
            assert not aws_allows(policy, other, arn)
        for other in ("s3:PutBucketPolicy", "s3:PutLifecycleConfiguration", "s3:PutBucketVersioning"):
            assert not aws_allows(policy, other, "arn:aws:s3:::b")


@pytest.mark.parametrize("layout", LAYOUTS, ids=["prefix", "no prefix"])
@pytest.mark.parametrize("role", ROLES)
def test_conditions_for_google_allow_what_the_tables_allow(role: str, layout: Layout) -> None:
    """But for this: who overwrites may delete, since on Google one takes the right to the other."""
    given = gcp(role, layout)
    for key in keys_of(layout):
        if of_others(key, layout):
            continue
        name = f"{HOME}/objects/{key}"
        creates, overwrites = (allowed(role, verb, key, layout) for verb in (Verb.CREATE, Verb.OVERWRITE))
        deletes = allowed(role, Verb.DELETE, key, layout)
        assert gcp_allows(given, "storage.objects.create", name) == (creates or overwrites), key
        assert gcp_allows(given, "storage.objects.delete", name) == (deletes or overwrites), key
        assert gcp_allows(given, "storage.objects.get", name) == seen(role, Look.READ, key, layout), key
        folder = key.rpartition("/")[0] + "/"
        listing = gcp_allows(given, "storage.objects.list", HOME, folder)
        assert listing == seen(role, Look.LIST, folder, layout), folder


def test_what_a_node_writes_has_the_condition_or_is_refused() -> None:
    """Amazon asks for it with each request that makes an object; parts of an upload, and its beginning, make none."""
    policy, own = aws("node", LAYOUTS[0]), "arn:aws:s3:::b/prod/n1/data/ks/t-1/nb-1-big-Data.db"
    makes = {"s3:ObjectCreationOperation": "true"}
    assert aws_allows(policy, "s3:PutObject", own, {**makes, "s3:if-none-match": "*"})
    assert aws_allows(policy, "s3:PutObject", own, {"s3:ObjectCreationOperation": "false"})
    assert not aws_allows(policy, "s3:PutObject", own, makes)
    assert not aws_allows(policy, "s3:PutObject", own, {**makes, "s3:if-match": "an-etag"})
    assert not aws_allows(policy, "s3:PutObject", own.replace("n1", "n10"), {**makes, "s3:if-none-match": "*"})
    assert aws_allows(policy, "s3:AbortMultipartUpload", own)
    assert not aws_allows(policy, "s3:AbortMultipartUpload", own.replace("n1", "n10"))


def test_a_node_that_asks_for_an_object_that_is_not_there_learns_so_and_lists_no_other_node() -> None:
    policy = aws("node", LAYOUTS[0])
    assert aws_allows(policy, "s3:ListBucket", "arn:aws:s3:::b"), "what Amazon asks when an object is not there"
    for prefix, may in {"prod/n1/": True, "prod/n10/": False, "prod/": False, "": False, "prod/index/": False}.items():
        assert aws_allows(policy, "s3:ListBucket", "arn:aws:s3:::b", {"s3:prefix": prefix}) == may, prefix


@pytest.mark.parametrize("role", ROLES)
def test_what_a_role_is_made_of_fits_into_what_the_clouds_take(role: str) -> None:
    """With names as long as they may be: of a bucket 63 characters, of a prefix or a node 100."""
    layout, name = Layout("p" * 100), "n" * 100
    text = filled(json.dumps(statements(role, ROLES[role]), separators=(",", ":")), layout, name)
    assert len(text.replace("arn:aws:s3:::b", f"arn:aws:s3:::{'b' * 63}")) < (
        NODE_MOST if role == "node" else ROLE_MOST
    )
    assert all(operators(each.expression) <= MOST_OPERATORS for each in bindings(ROLES[role]))


def test_a_condition_that_would_be_too_long_becomes_several() -> None:
    many = tuple(f"{{P}}{number}/" for number in range(30))
    given = bindings(
        type(ROLES["node"])(list=(), read=many, create=(), overwrite=(), delete=(), create_denied=(), delete_denied=())
    )
    assert [operators(each.expression) for each in given] == [12, 12, 3]
    for number in range(30):
        assert gcp_allows(
            [Binding(each.permission, filled(each.expression, Layout("p"))) for each in given],
            "storage.objects.get",
            f"{HOME}/objects/p/{number}/x",
        )


def test_what_purge_may_not_delete_is_all_that_its_broad_right_includes_and_it_was_not_given() -> None:
    role = ROLES["purge"]
    for layout in LAYOUTS:
        for key in everything(layout, "n1").values():
            denied = any(lies_below(pattern, key, layout) for pattern in role.delete_denied)
            below_index = key.startswith(f"{layout.root}index/")
            may = allowed("purge", Verb.DELETE, key, layout)
            assert denied == (below_index and not may and not key.startswith("index/announced/")), key
    assert not any(each.delete_denied for name, each in ROLES.items() if name != "purge")
