"""Cutting what is sent into requests of a size that a queue takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def batches(texts: Sequence[str], *, most: int, most_bytes: int) -> Iterator[list[str]]:
    """In their order, as many at once as one request takes, by number and by bytes; a larger one goes alone."""
    batch: list[str] = []
    size = 0
    for text in texts:
        length = len(text.encode())
        if batch and (len(batch) == most or size + length > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += length
    if batch:
        yield batch
