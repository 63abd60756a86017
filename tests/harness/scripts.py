"""The executable scripts of a node, which any program may run: an operator's stop and start.

They are plain sh and know their node by heart, so that a product under test can be configured
with them and needs nothing of this package. All are idempotent. `start` returns as soon as the
JVM runs in a session of its own; `stop` returns when it is gone. `nodetool` speaks with its own
node; given `-h` and the address of another node of the cluster it finds that node's JMX port in
the cluster's `peers` file, since JMX is bound to 127.0.0.1 for all of them. The cluster's
`guard` reads from a pipe that the owning process holds: when that dies, even by SIGKILL, the
guard kills what still runs.
"""

from __future__ import annotations

import shlex
from pathlib import Path

_ALIVE = """#!/bin/sh
NODE={node}
alive() {{
    pid=$(cat "$NODE/pid" 2>/dev/null) || return 1
    [ -n "$pid" ] || return 1
    state=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null) || return 1
    case "$state" in ''|Z*|X*) return 1 ;; esac
    case "$(tr '\\0' ' ' <"/proc/$pid/cmdline")" in ''|*"$NODE/"*) return 0 ;; esac
    return 1
}}
"""

_START = (
    _ALIVE
    + """# Start the node, unless it runs; does not wait until it answers.
exec 9>"$NODE/start.lock"
flock 9
alive && exit 0
if [ -e "$NODE/../closed" ]; then
    echo "the cluster of $NODE was taken down" >&2
    exit 1
fi
cd "$NODE" || exit 1
setsid {java} "@$NODE/conf/jvm.args" org.apache.cassandra.service.CassandraDaemon \\
    </dev/null >>"$NODE/logs/stdout.log" 2>&1 9>&- &
echo $! >"$NODE/pid"
"""
)

_STOP = (
    _ALIVE
    + """# Stop the node, which flushes nothing but ends in order, and wait until it is gone.
alive || exit 0
kill -TERM "$pid"
tries=0
while alive; do
    tries=$((tries + 1))
    if [ $tries -gt 1200 ]; then
        echo "$NODE (pid $pid) did not stop within 60 seconds" >&2
        exit 1
    fi
    sleep 0.05
done
rm -f "$NODE/pid"
"""
)

_NODETOOL = """#!/bin/sh
NODE={node}
port={port}
flags=''
while :; do
    case "${{1-}}" in -D*) flags="$flags $1"; shift ;; *) break ;; esac
done
# Of the options before the command, -h and -p give way to the port of the node that is meant;
# 7199 is what everybody passes who thinks that a node has the default port.
left=$#
command=''
host=''
while [ "$left" -gt 0 ]; do
    word=$1; shift; left=$((left - 1))
    case "$command$word" in
        -h|--host) host=$1; shift; left=$((left - 1)) ;;
        --host=*) host=${{word#--host=}} ;;
        -p|--port) [ "$1" = 7199 ] || port=$1; shift; left=$((left - 1)) ;;
        --port=*) [ "${{word#*=}}" = 7199 ] || port=${{word#*=}} ;;
        -u|--username|-pw|--password|-pwf|--password-file)
            set -- "$@" "$word" "$1"; shift; left=$((left - 1)) ;;
        -*) set -- "$@" "$word" ;;
        *) command=.; set -- "$@" "$word" ;;
    esac
done
case "$host" in
    ''|localhost|127.0.0.1|::1) ;;
    *)
        port=$(sed -n "s/^$host //p" "$NODE/../peers")
        if [ -z "$port" ]; then
            echo "nodetool: Failed to connect to '$host:7199' - no node of this cluster" >&2
            exit 1
        fi ;;
esac
# shellcheck disable=SC2086
exec {java} {archive} "@$NODE/conf/tool.args" -Dcom.sun.jndi.rmiURLParsing=legacy $flags \\
    org.apache.cassandra.tools.NodeTool -h 127.0.0.1 -p "$port" "$@"
"""

_TOOL = """#!/bin/sh
exec {java} "@"{node}/conf/tool.args org.apache.cassandra.tools.{main} "$@"
"""

_GUARD = """#!/bin/sh
# Wait until the program that owns the cluster lets go of this pipe, by will or by death.
BASE={base}
cat >/dev/null
: >"$BASE/closed" 2>/dev/null
for file in "$BASE"/node*/pid; do
    node=${{file%/pid}}
    pid=$(cat "$file" 2>/dev/null) || continue
    case "$(tr '\\0' ' ' <"/proc/$pid/cmdline")" in *"$node/"*) kill -KILL "$pid" ;; esac
done 2>/dev/null
{after}
"""

TOOLS = {
    "sstableloader": "BulkLoader",
    "sstabledump": "SSTableExport",
    "sstablerepairedset": "SSTableRepairedAtSetter",
    "sstableutil": "StandaloneSSTableUtil",
    "sstableverify": "StandaloneVerifier",
    "sstablemetadata": "SSTableMetadataViewer",
}


def write_node_scripts(directory: Path, java: str, jmx_port: int, archive: Path) -> None:
    """Write `bin/` of one node; `archive` is the class data archive that speeds up nodetool."""
    words = {
        "node": shlex.quote(str(directory)),
        "java": shlex.quote(java),
        "port": str(jmx_port),
        "archive": shlex.quote(f"-XX:SharedArchiveFile={archive}") + " -Xshare:auto",
    }
    _write(directory / "bin/start", _START.format(**words))
    _write(directory / "bin/stop", _STOP.format(**words))
    _write(directory / "bin/nodetool", _NODETOOL.format(**words))
    for name, main in TOOLS.items():
        _write(directory / "bin" / name, _TOOL.format(**words, main=main))


def write_guard(base: Path, *, remove: bool) -> Path:
    """Write the cluster's guard, which also removes a directory that was made for a while."""
    quoted = shlex.quote(str(base))
    return _write(base / "guard", _GUARD.format(base=quoted, after=f"rm -rf {quoted}" if remove else ""))


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path
