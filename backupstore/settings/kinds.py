"""The kinds of values an option can have: how text becomes a value, and what is allowed.

Each kind parses as stock Medusa does, with one difference: what stock finds out in the middle of a backup (or never)
is a ``ValueError`` here. Its text says what is wrong and never quotes the value, which may be a password.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import logging
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar
from urllib.parse import urlsplit

from backupstore.core import names
from backupstore.settings.schedules import Schedule, read_schedule

T = TypeVar("T")

_FALSE = frozenset({"0", "false", "no", "off"})
_TRUE = frozenset({"1", "true", "yes", "on"})
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)(PB|TB|GB|MB|KB|B)?(?:/s)?")
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)(%)?")
_PERCENT = 100
_UNITS = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4, "PB": 1024**5}
_SUBSCRIPTION = re.compile(r"projects/[^/\s]+/subscriptions/[^/\s]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SSE_C_BYTES = 32
_MONITORING = ("None", "local", "dog-statsd", "ffwd", "prometheus", "cloudwatch", "cloud-monitoring")
_LEVELS = ("CRITICAL", "FATAL", "ERROR", "WARNING", "WARN", "INFO", "DEBUG", "NOTSET")


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """How the text of an option becomes a value. ``allowed`` finishes the sentence "allowed: …"."""

    name: str
    allowed: str
    parse: Callable[[str], T]
    secret: bool = False
    multiline: bool = False


class ListenAddress(NamedTuple):
    """Where a server listens: a name or an IP address, and a port."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can come there. Of a name other than ``localhost`` nobody knows."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def optional(kind: Kind[T]) -> Kind[T | None]:
    """The same, and an empty value means "not set"."""
    parse = kind.parse
    return Kind(
        kind.name, f"{kind.allowed}, or empty", lambda text: parse(text) if text else None, kind.secret, kind.multiline
    )


def or_default(kind: Kind[T], default: str) -> Kind[T]:
    """The same, and an empty value means the default, as stock has it for some options and not for others."""
    parse = kind.parse
    return replace(kind, parse=lambda text: parse(text or default))


def _line(text: str) -> str:
    if not text:
        raise ValueError("is empty")
    if _CONTROL.search(text):
        raise ValueError("holds a control character")
    return text


def _passage(text: str) -> str:
    if not text:
        raise ValueError("is empty")
    return text


def _flag(text: str) -> bool:
    word = text.lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("is no yes or no")
    return word in _TRUE


def _nodetool_ssl(text: str) -> bool:
    # Stock takes only the exact text as a yes: "True" is a no there. Rather than guess which one was meant, ask.
    if text != "true" and text.lower() not in _FALSE | {""}:
        raise ValueError(
            "is a no for stock Medusa, which takes only the exact text 'true' as a yes, and may not be meant so"
        )
    return text == "true"


def whole(low: int = 0, high: int = 10**18) -> Kind[int]:
    """A whole number within bounds."""
    allowed = f"a whole number from {low} to {high}" if high < 10**18 else f"a whole number, at least {low}"

    def parse(text: str) -> int:
        if _WHOLE.fullmatch(text) is None:
            raise ValueError("is no whole number")
        number = int(text)
        if not low <= number <= high:
            raise ValueError("is too small" if number < low else "is too large")
        return number

    return Kind("whole number", allowed, parse)


def _size(text: str) -> int:
    match = _SIZE.fullmatch(text.replace(" ", ""))
    if match is None:
        raise ValueError("is no size")
    number, unit = match.groups()
    if unit is None and "." in number:
        raise ValueError("is a fraction of a byte")
    size = int(Decimal(number) * _UNITS[unit or "B"])
    if size < 1:
        raise ValueError("is too small")
    return size


def _share(text: str) -> float:
    match = _SHARE.fullmatch(text.replace(" ", ""))
    if match is None:
        raise ValueError("is no share")
    share = float(match[1]) / (_PERCENT if match[2] else 1)
    if share > 1:
        raise ValueError("is more than all")
    return share


def choice(*words: str) -> Kind[str]:
    """One of a few words; upper and lower case are the same."""
    known = {word.lower(): word for word in words}

    def parse(text: str) -> str:
        if text.lower() not in known:
            raise ValueError("is none of them")
        return known[text.lower()]

    return Kind("word", ", ".join(words), parse)


def _health_check(text: str) -> str:
    if text.lower() == "thrift":
        raise ValueError("there is no Thrift in Cassandra 4 and later")
    return choice("cql", "all").parse(text)


def _monitoring(text: str) -> str | None:
    word = choice(*_MONITORING).parse(text)
    return None if word == "None" else word


def _url(text: str) -> str | None:
    if text in {"", "None"}:
        return None
    parts = urlsplit(_line(text))
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("does not begin with http:// or https:// and a host")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("holds more than host, port and path")
    try:
        parts.port  # noqa: B018 -- only asking says whether it is one
    except ValueError:
        raise ValueError("has a port that is none") from None
    return text


def _queue(text: str) -> str:
    if _SUBSCRIPTION.fullmatch(_line(text)):
        return text
    if _url(text) is None or not urlsplit(text).path.strip("/"):
        raise ValueError("names no queue")
    return text


def _argv(text: str) -> tuple[str, ...]:
    try:
        argv = tuple(shlex.split(_line(text)))
    except ValueError as problem:
        raise ValueError(str(problem).rstrip(".").lower()) from None
    if not argv or not argv[0]:
        raise ValueError("is empty")
    return argv


def _absolute(text: str) -> Path:
    path = Path(_line(text))
    if not path.is_absolute():
        raise ValueError("depends on the directory the program is started in")
    return path


def _listen(text: str) -> ListenAddress:
    host, colon, port = _line(text).rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address stands in brackets")
    if not host or not colon:
        raise ValueError("names no address and port")
    return ListenAddress(host, PORT.parse(port))


def _segment(text: str) -> str:
    if not names.is_segment(_line(text)):
        raise ValueError("would not be one part of a path")
    return text


def _prefix(text: str) -> str:
    problems = names.prefix_problems(text)
    if problems:
        raise ValueError("; ".join(problems))
    return text


def _node_names(text: str) -> str:
    # Not names.node_name_problems: what stock could write, we can read under this name. A backup checks it again.
    if not all(names.is_segment(part.strip()) for part in _line(text).split(",")):
        raise ValueError("is no name of a node")
    return text


def _sse_c(text: str) -> str:
    try:
        length = len(base64.b64decode(text.encode("ascii"), validate=True))
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError("is no base64") from None
    if length != _SSE_C_BYTES:
        raise ValueError(f"is the base64 of {length} bytes")
    return text


def _log_format(text: str) -> str:
    record = logging.LogRecord("name", logging.INFO, "file", 1, "message", (), None)
    try:
        logging.Formatter(_line(text)).format(record)  # a part that no record has is found only by using it
    except (ValueError, TypeError):
        raise ValueError("is no format that Python's logging can use") from None
    return text


FLAG = Kind("yes or no", "1, true, yes, on, 0, false, no, off", _flag)
NODETOOL_SSL = Kind("yes or no", "true, false", _nodetool_ssl)
SIZE = Kind("size", "bytes, or a number with B, KB, MB, GB, TB or PB (in capitals, 1 KB = 1024 B)", _size)
SHARE = Kind("share", "a percentage such as 50%, or a number from 0 to 1", _share)
PORT = replace(whole(1, 65535), name="port")
TEXT = Kind("text", "text on one line", _line)
SECRET = Kind("secret", "text on one line", _line, secret=True)
QUERY = Kind("CQL", "a CQL query", _passage, multiline=True)
PATH: Kind[Path] = Kind("path", "a path", lambda text: Path(_line(text)))
ABSOLUTE = Kind("path", "a path that begins with /", _absolute)
ARGV = Kind("command", "a program and its arguments, quoted as in a shell", _argv)
FLAGS: Kind[tuple[str, ...]] = Kind("arguments", "arguments with spaces between them", lambda text: tuple(text.split()))
UPPER: Kind[str] = Kind("text", "text on one line", lambda text: _line(text).upper())
BUCKET = Kind("name", "a name without '/'", _segment)
PREFIX = Kind("name", "one path segment such as cluster-a", _prefix)
NODES = Kind("name", "the name of a node, or several with commas between them", _node_names)
HEALTH = Kind("word", "cql, all", _health_check)
MONITORING = Kind("word", ", ".join(_MONITORING), _monitoring)
LISTEN = Kind("address", "an address and a port, such as 127.0.0.1:8900 or [::1]:8900", _listen)
URL = Kind("URL", "a URL, None, or empty", _url)
QUEUE = Kind("queue", "the URL of an SQS queue, or projects/PROJECT/subscriptions/NAME of Pub/Sub", _queue)
SSE_C = Kind("secret", "the base64 of exactly 32 bytes", _sse_c, secret=True)
LEVEL = choice(*_LEVELS)
SCHEDULE: Kind[Schedule] = Kind(
    "schedule", "minute, hour, day of month, month and day of week as in a crontab, such as 15 3 * * *", read_schedule
)
LOG_FORMAT = Kind("text", "a format with parts such as %(asctime)s", _log_format)
