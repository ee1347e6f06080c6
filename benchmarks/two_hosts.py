"""Two hosts on one machine: network namespaces with addresses of their own, and a cable between them.

Only root may make them. `with two_hosts() as hosts:` gives the launcher's command, and takes all away again.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pycaffe_lite.distributed.launcher import launch_command

# Each "ssh" is a shell in the namespace of an address, under a host name of its own. Options are left out.
SSH = """#!/bin/bash
while [ "${{1#-}}" != "$1" ]; do shift; done
case $1 in {first}) name={a} ;; *) name={b} ;; esac
shift
exec ip netns exec $name unshare --uts bash -c "hostname $name; $*"
"""


class NotAllowedError(Exception):
    """This process may not make network namespaces, or there is no `ip`; the text says which."""


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise NotAllowedError(f"ip {' '.join(words)}: {done.stderr.strip()}")


@contextmanager
def two_hosts(folder: Path | str, rate: str | None = None) -> Iterator[tuple[list[str], list[str]]]:
    """Two hosts; gives their names and the command that starts ranks on them in turn.

    Args:
        folder: for a script. rate: of the cable, as `tc` writes it, "1gbit"; None: as fast as it goes.
    """
    if shutil.which("ip") is None or (rate and shutil.which("tc") is None):
        raise NotAllowedError("there is no command ip, or no tc, of the package iproute2")
    mark = uuid.uuid4().hex[:6]
    names = [f"pcl{mark}a", f"pcl{mark}b"]
    network = f"10.{231 + int(mark[0], 16)}.{int(mark[1:3], 16)}"
    addresses = [f"{network}.1", f"{network}.2"]
    try:
        for name in names:
            _ip("netns", "add", name)
        _ip("link", "add", names[0], "type", "veth", "peer", "name", names[1])
        for name, address in zip(names, addresses, strict=True):
            _ip("link", "set", name, "netns", name)
            _ip("-n", name, "addr", "add", f"{address}/24", "dev", name)
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "link", "set", name, "up")
            if rate:
                limit = f"dev {name} root tbf rate {rate} burst 256k latency 50ms".split()
                subprocess.run(["ip", "netns", "exec", name, "tc", "qdisc", "add", *limit], check=True)
        script = Path(folder) / "ssh.sh"
        script.write_text(SSH.format(first=addresses[0], a=names[0], b=names[1]))
        script.chmod(0o755)
        mpiexec = launch_command(2, "")[0]
        yield (
            names,
            [
                *["ip", "netns", "exec", names[0], "env", "UCX_TLS=tcp,self", mpiexec],
                *["-hosts", ",".join(addresses), "-launcher", "ssh", "-launcher-exec", str(script)],
            ],
        )
    finally:
        for name in names:
            # A launcher's own processes may wait for a host that is not there any more.
            found = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True)
            for process in found.stdout.split():
                with suppress(OSError):
                    os.kill(int(process), signal.SIGKILL)
            with suppress(NotAllowedError):
                _ip("netns", "delete", name)


def cut(name: str) -> None:
    """Takes the cable of a host away."""
    subprocess.run(["ip", "-n", name, "link", "set", name, "down"], check=True)


def may_make_hosts() -> str:
    """Why no hosts can be made here; empty if they can."""
    try:
        with two_hosts(os.environ.get("TMPDIR", "/tmp")):
            return ""
    except (NotAllowedError, OSError) as error:
        return str(error)
