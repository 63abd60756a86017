"""The parts of the S3 engine that need no server: checksums, XML, sizes of parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backupstore.errors import Corrupt
from backupstore.stores.s3 import documents
from backupstore.stores.s3.integrity import Body, Expected, crc64, crc_text
from backupstore.stores.s3.options import Encryption, Storing

MIB = 1 << 20


class TestChecksums:
    def test_crc64nvme_is_the_one_of_the_standard(self) -> None:
        assert crc64(b"123456789") == 0xAE8B14860A799888
        assert crc_text(crc64(b"")) == "AAAAAAAAAAA="

    @given(pieces=st.lists(st.binary(max_size=50), max_size=8))
    def test_pieces_make_no_difference(self, pieces: list[bytes]) -> None:
        whole = b"".join(pieces)
        assert Body(pieces).crc == Body([whole]).crc
        assert Body(pieces).md5 == Body([whole]).md5
        assert Body(pieces).sha256 == Body([whole]).sha256
        assert Body(pieces).size == len(whole)

    @pytest.mark.parametrize(
        ("name", "value"),
        [("crc64nvme", "rosUhgp5mIg="), ("crc32", "y/Q5Jg=="), ("crc32c", "4waSgw==")],
    )
    def test_what_comes_is_compared_with_what_the_store_says(self, name: str, value: str) -> None:
        for body, right in ((b"123456789", True), (b"123456780", False)):
            expected = Expected({f"x-amz-checksum-{name}": value})
            expected.take([body[:4], body[4:]])
            assert expected.is_met() is right

    def test_a_checksum_of_parts_says_nothing_of_the_whole(self) -> None:
        for headers in ({"x-amz-checksum-crc32": "y/Q5Jg==-3"}, {"x-amz-checksum-type": "COMPOSITE"}, {}):
            expected = Expected(headers)
            expected.take([b"anything"])
            assert expected.is_met()


class TestDocuments:
    def test_times(self) -> None:
        assert documents.iso_time("2026-03-01T12:00:00Z") == 1772366400
        assert documents.iso_time("2026-03-01T12:00:00.123456789Z") == pytest.approx(1772366400.123, abs=0.001)
        with pytest.raises(Corrupt):
            documents.iso_time("yesterday")

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"not xml",
            b"<a>",
            b"<a><b></a>",
            b'<!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>',
            b"\xff\xfe<\x00a\x00/\x00>\x00",
            b"<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
            b"<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>",
            b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        ],
    )
    def test_a_listing_that_is_none_is_corrupt(self, body: bytes) -> None:
        with pytest.raises(Corrupt) as caught:
            documents.page_of(body)
        assert caught.value.hint

    @given(keys=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10), max_size=4))
    def test_keys_survive_the_request_that_deletes_them(self, keys: list[str]) -> None:
        writable = [key for key in keys if documents.is_writable(key)]
        found = [element.text for element in documents.parse(documents.deletion(writable)).iter("Key")]
        assert found == writable


class TestOptions:
    @given(size=st.integers(1, 5 << 40), chunk=st.sampled_from([1, 5 * MIB, 16 * MIB, 50 * MIB]))
    def test_parts_are_as_s3_takes_them(self, size: int, chunk: int) -> None:
        part = Storing(part_size=chunk).part_size_for(size)
        assert part >= 5 * MIB
        assert -(-size // part) <= 10_000

    def test_headers_of_encryption(self) -> None:
        assert Encryption().creating == {}
        assert Encryption(by_store=True).creating == {"x-amz-server-side-encryption": "AES256"}
        assert Encryption(kms_id="key").using == {}
        assert Encryption(kms_id="key").creating["x-amz-server-side-encryption-aws-kms-key-id"] == "key"
        customer = Encryption(customer_key="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
        assert customer.creating == customer.using
        assert customer.using["x-amz-server-side-encryption-customer-key-md5"] == "cLyPS3KoaSFGi/joRB3OUQ=="
