"""Signatures, with botocore's signer as the oracle."""

from __future__ import annotations

from urllib.parse import quote

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from backupstore.stores.s3.endpoint import amazon, own
from backupstore.stores.s3.signing import Keys, Unsigned, query_string, signed

NOW = 1_800_000_000.0
STAMP = "20270115T080000Z"

text = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)
words = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12)
values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)


def by_botocore(request: Unsigned, keys: Keys, region: str) -> str:
    url = f"https://{request.headers['host']}{request.path}"
    theirs = AWSRequest(method=request.method, url=f"{url}?{request.query}" if request.query else url)
    for name, value in request.headers.items():
        theirs.headers[name] = value
    theirs.headers["x-amz-content-sha256"] = request.payload
    theirs.headers["x-amz-date"] = STAMP
    if keys.token:
        theirs.headers["x-amz-security-token"] = keys.token
    theirs.context["timestamp"] = STAMP
    theirs.context["payload_signing_enabled"] = True
    signer = S3SigV4Auth(Credentials(keys.access, keys.secret, keys.token or None), "s3", region)
    signature = signer.signature(signer.string_to_sign(theirs, signer.canonical_request(theirs)), theirs)
    names = signer.signed_headers(signer.headers_to_sign(theirs))
    scope = f"{keys.access}/{STAMP[:8]}/{region}/s3/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={signature}"


@given(
    key=text,
    query=st.dictionaries(words, text, max_size=4),
    headers=st.dictionaries(words.map(lambda word: f"x-amz-meta-{word}"), values, max_size=4),
    secret=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40),
    token=st.sampled_from(["", "a+token/=="]),
)
def test_signatures_are_those_of_botocore(
    key: str, query: dict[str, str], headers: dict[str, str], secret: str, token: str
) -> None:
    keys = Keys("AKIA", secret, token)
    endpoint = own("bucket", "eu-west-1", ("s3.test", 8000))
    sent = {"host": endpoint.authority, "if-none-match": "*", **headers}
    request = Unsigned("PUT", endpoint.path(key), query_string(query), sent, "UNSIGNED-PAYLOAD")
    ours = signed(request, keys, region="eu-west-1", now=NOW)
    assert ours["x-amz-date"] == STAMP
    assert ours["authorization"] == by_botocore(request, keys, "eu-west-1")


def test_a_new_day_or_another_secret_is_another_key() -> None:
    request = Unsigned("GET", "/", "", {"host": "s3.test"}, "UNSIGNED-PAYLOAD")
    seen = {
        signed(request, Keys("a", secret), region=region, now=now)["authorization"]
        for secret in ("one", "two")
        for region in ("eu-west-1", "us-east-1")
        for now in (NOW, NOW + 86_400)
    }
    assert len(seen) == 8


def test_secrets_do_not_show() -> None:
    assert "hidden" not in repr(Keys("access", "hidden", "hidden"))


@given(key=text)
def test_a_path_is_encoded_once(key: str) -> None:
    path = own("bucket", "eu-west-1", ("s3.test", None)).path(key)
    assert path == (f"/bucket/{quote(key, safe='/-_.~')}" if key else "/bucket")


def test_where_buckets_are() -> None:
    assert str(amazon("bucket", "eu-west-1")) == "https://bucket.s3.eu-west-1.amazonaws.com/"
    assert str(amazon("bucket", "cn-north-1")) == "https://bucket.s3.cn-north-1.amazonaws.com.cn/"
    assert str(amazon("dots.in.it", "eu-west-1")) == "https://s3.eu-west-1.amazonaws.com/dots.in.it"
    assert str(amazon("bucket", "eu-west-1", style="path")) == "https://s3.eu-west-1.amazonaws.com/bucket"
    assert str(own("bucket", "r", ("host", None))) == "https://host/bucket"
    assert str(own("bucket", "r", ("host", 443))) == "https://host/bucket"
    assert str(own("bucket", "r", ("host", 80), secure=False)) == "http://host/bucket"
    assert str(own("bucket", "r", ("host", 9000), secure=False, style="virtual")) == "http://bucket.host:9000/"
    assert str(own("bucket", "r", ("::1", 9000), secure=False)) == "http://[::1]:9000/bucket"
    assert own("bucket", "r", ("[::1]", 9000)).host == "::1"
