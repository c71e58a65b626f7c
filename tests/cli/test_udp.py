"""`vqcodec send` and `receive`: real datagrams, through a relay that loses some, between networks.

No test depends on how fast anything is: receivers say where they listen before anything is sent,
and the relay holds all datagrams until the sender is done.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.synthetic import payloads, vqc
from vqcodec import channel, fec
from vqcodec.bitstream import container
from vqcodec.bitstream.layout import MAGIC
from vqcodec.bitstream.packets import Header
from vqcodec.bitstream.salvage import salvage

N_PACKETS = 20
WHOLE = vqc(N_PACKETS)
PACKETS = channel.split(WHOLE)
PROGRAM = [sys.executable, "-m", "vqcodec"]


class Receiver:
    """`vqcodec receive` in a process of its own, once it listens."""

    def __init__(self, *arguments: str, inside: tuple[str, ...] = ()) -> None:
        self.process = subprocess.Popen(
            [*inside, *PROGRAM, "receive", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A suite that was started in the background ignores Ctrl-C, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        assert self.process.stderr is not None
        line = self.process.stderr.readline().decode()
        match = re.fullmatch(r"listening at (.*):(\d+)\n", line)
        assert match, line
        self.host, self.port = match[1], int(match[2])

    def end(self) -> tuple[int, bytes, str]:
        """Wait for it; return exit code, stdout, stderr after the first line."""
        stdout, stderr = self.process.communicate(timeout=60)
        return self.process.returncode, stdout, stderr.decode()


@pytest.fixture
def receiving(folder: Path) -> Iterator[Callable[..., Receiver]]:
    """Start receivers; none outlives the test."""
    (folder / "many.vqc").write_bytes(WHOLE)
    started: list[Receiver] = []

    def start(*arguments: str, inside: tuple[str, ...] = ()) -> Receiver:
        started.append(Receiver(*arguments, inside=inside))
        return started[-1]

    yield start
    for receiver in started:
        with receiver.process as process:
            if process.poll() is None:
                process.kill()


@contextmanager
def udp() -> Iterator[socket.socket]:
    """A socket of the loopback that fails rather than waits for ever."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.settimeout(60)
        yield one


def relay(
    spawn: Callable, port: int, lost: set[int], *, extra: tuple[bytes, ...] = ()
) -> list[bytes]:
    """Send many.vqc to a relay that then lets through what is not lost; return what it let."""
    with udp() as between:
        own_port = between.getsockname()[1]
        done = spawn("send", "many.vqc", "--to", f"127.0.0.1:{own_port}", "--pace", "0")
        assert done.returncode == 0
        assert done.stderr == (
            f"many.vqc -> 127.0.0.1:{own_port}: 20 packets, 1,000 bytes sent\n".encode()
        )
        came = [between.recv(2**16) for _ in range(N_PACKETS)]
        assert came == [PACKETS[place] for place in channel.sending_order(N_PACKETS)]
        let = [packet for packet in came if packet[8] not in lost]
        for datagram in (*extra, *let):
            between.sendto(datagram, ("127.0.0.1", port))
    return let


@pytest.mark.parametrize("model", channel.MODELS)
@pytest.mark.parametrize("seed", [0, 2])
def test_what_is_let_through_is_the_file_that_arrives(
    receiving: Callable, spawn: Callable, folder: Path, model: str, seed: int
) -> None:
    lost = channel.lost(N_PACKETS, 0.2, model, seed=seed)
    assert lost
    receiver = receiving("-o", "new.vqc", "--idle", "1", "--json")
    let = relay(spawn, receiver.port, lost)
    code, stdout, stderr = receiver.end()
    assert code == 0, stderr
    received = (folder / "new.vqc").read_bytes()
    assert received == channel.impair(WHOLE, loss=0.2, model=model, seed=seed)
    found = salvage(received)
    assert sorted(packet.index for packet in found.packets) == sorted(p[8] for p in let)
    record = json.loads(stdout)
    assert record["received"] == sorted(set(range(N_PACKETS)) - lost)
    assert (record["n_packets"], record["size_bytes"]) == (N_PACKETS, len(received))
    n_left = N_PACKETS - len(lost)
    assert f"-> new.vqc: {n_left} of 20 packets, {len(received):,} bytes\n" in stderr


def test_nothing_lost_ends_at_once_with_the_file_itself(
    receiving: Callable, spawn: Callable, folder: Path
) -> None:
    # With a day of patience, only the last packet can end it.
    receiver = receiving("-o", "new.vqc", "--wait", "86400", "--idle", "86400")
    other = tuple(channel.split(vqc(4, seed=2)))
    noise = (b"", b"noise", bytes(3000), PACKETS[0][:-1], MAGIC + PACKETS[0])
    relay(spawn, receiver.port, set(), extra=(*noise, PACKETS[7], *other, PACKETS[7]))
    code, _, stderr = receiver.end()
    assert code == 0
    assert (folder / "new.vqc").read_bytes() == WHOLE
    counts = "left out: 4 of another file, 5 damaged, "
    assert f"20 of 20 packets, {len(WHOLE):,} bytes; {counts}" in stderr


def test_parity_arrives_too(receiving: Callable, folder: Path) -> None:
    header = Header.parse(PACKETS[0][:8], 0)
    data = payloads(header)
    packets = channel.split(container.write(header, data, fec.protect(data, 4)))
    receiver = receiving("-o", "new.vqc", "--idle", "1")
    with udp() as speaker:
        for packet in packets[2:]:
            speaker.sendto(packet, ("127.0.0.1", receiver.port))
    code, _, stderr = receiver.end()
    assert code == 0
    assert "18 of 20 packets and 4 of parity" in stderr
    assert (folder / "new.vqc").read_bytes() == MAGIC + b"".join(packets[2:])


def test_out_to_stdout_over_ipv6(receiving: Callable, spawn: Callable) -> None:
    if not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists():
        pytest.skip("no IPv6 here")
    receiver = receiving("-o", "-", "--listen", "[::1]:0", "--idle", "86400")
    done = spawn("send", "-", "--to", f"[::1]:{receiver.port}", "--json", input=WHOLE)
    assert done.returncode == 0
    assert json.loads(done.stdout)["n_packets"] == N_PACKETS
    code, stdout, stderr = receiver.end()
    assert (code, stdout) == (0, WHOLE)
    assert stderr.startswith(f"[::1]:{receiver.port} -> stdout: 20 of 20 packets")


def test_silence_is_a_failure_that_writes_nothing(receiving: Callable, folder: Path) -> None:
    receiver = receiving("-o", "new.vqc", "--wait", "0.1")
    code, stdout, stderr = receiver.end()
    assert (code, stdout) == (3, b"")
    wanted = f"vqcodec: error: 127.0.0.1:{receiver.port}: no packet arrived within 0.1 s. Check"
    assert stderr.startswith(wanted)
    assert len(stderr.splitlines()) == 1
    assert not (folder / "new.vqc").exists()


def test_ctrl_c_leaves_nothing_behind(receiving: Callable, folder: Path) -> None:
    receiver = receiving("-o", "new.vqc", "--idle", "86400")
    before = sorted(folder.rglob("*"))
    with udp() as speaker:
        speaker.sendto(PACKETS[0], ("127.0.0.1", receiver.port))
    receiver.process.send_signal(signal.SIGINT)
    code, stdout, stderr = receiver.end()
    assert (code, stdout, stderr.strip()) == (130, b"", "vqcodec: interrupted")
    assert sorted(folder.rglob("*")) == before


def test_a_port_that_is_taken_is_told(spawn: Callable, unchanged: Callable) -> None:
    with udp() as other:
        place = f"127.0.0.1:{other.getsockname()[1]}"
        done = spawn("receive", "-o", "new.vqc", "--listen", place)
    assert done.returncode == 6
    assert done.stderr.decode() == (
        f"vqcodec: error: {place}: cannot listen: address already in use. "
        "Give another port, or stop the program that has it.\n"
    )
    assert unchanged()


def test_a_packet_too_large_for_a_datagram_is_refused(spawn: Callable, folder: Path) -> None:
    for n_bytes, code in ((65507, 0), (65508, 3)):
        header = Header(8, "table", 1, 1, 64, 64)
        (folder / "large.vqc").write_bytes(container.write(header, [bytes(n_bytes - 12)]))
        with udp() as other:
            done = spawn("send", "large.vqc", "--to", f"127.0.0.1:{other.getsockname()[1]}")
            assert done.returncode == code
        assert "travel in pieces" in done.stderr.decode()
    assert done.stderr.decode().endswith("encode again with --mtu, so that packets are smaller\n")


def ip(*arguments: str) -> None:
    """Run `ip`, or skip with what it says."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no network namespaces here: ip {' '.join(arguments)}: {done.stderr.strip()}")


@pytest.fixture
def two_networks() -> Iterator[tuple[str, str]]:
    """Two network namespaces, 192.0.2.1 and 192.0.2.2, joined by a cable."""
    if shutil.which("ip") is None or shutil.which("tc") is None:
        pytest.skip("no ip or tc here (package iproute2)")
    names = [f"vqcodec-{os.getpid()}-{end}" for end in "ab"]
    cables = [f"vqc{os.getpid()}{end}" for end in "ab"]
    try:
        for name in names:
            ip("netns", "add", name)
        ip("-n", names[0], "link", "add", cables[0], "type", "veth", "peer", "name", cables[1])
        ip("-n", names[0], "link", "set", cables[1], "netns", names[1])
        for number, (name, cable) in enumerate(zip(names, cables, strict=True), 1):
            ip("-n", name, "link", "set", cable, "name", "cable")
            # Packets of ours alone are to pass the queue, so that those it drops can be counted.
            ip("-n", name, "link", "set", "cable", "address", f"02:00:00:00:00:0{number}")
            ip("-n", name, "link", "set", "cable", "addrgenmode", "none")
            ip("-n", name, "address", "add", f"192.0.2.{number}/24", "dev", "cable")
            ip("-n", name, "link", "set", "cable", "up")
        for number, name in enumerate(names, 1):
            other = 3 - number
            ip("-n", name, "neighbour", "replace", f"192.0.2.{other}", "lladdr",
               f"02:00:00:00:00:0{other}", "dev", "cable")  # fmt: skip
        yield names[0], names[1]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


@pytest.mark.parametrize(
    "queue", ["netem loss 20%", "tbf rate 16kbit burst 400 limit 800"], ids=["netem", "bottleneck"]
)
def test_between_two_networks_what_the_kernel_dropped_is_missing(
    receiving: Callable, folder: Path, two_networks: tuple[str, str], queue: str
) -> None:
    near, far = two_networks
    tc = ["ip", "netns", "exec", near, "tc"]
    added = subprocess.run(
        [*tc, "qdisc", "add", "dev", "cable", "root", *queue.split()],
        capture_output=True,
        text=True,
        check=False,
    )
    if added.returncode:
        pytest.skip(f"this kernel has no '{queue.split()[0]}': {added.stderr.strip()}")
    inside = ("ip", "netns", "exec", far)
    receiver = receiving("-o", "new.vqc", "--listen", "192.0.2.2:0", "--json", inside=inside)
    sent = subprocess.run(
        ["ip", "netns", "exec", near, *PROGRAM, "send", "many.vqc", "--pace", "0",
         "--to", f"192.0.2.2:{receiver.port}"],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert sent.returncode == 0, sent.stderr
    code, stdout, stderr = receiver.end()
    assert code == 0, stderr
    shown = subprocess.run(
        [*tc, "-s", "qdisc", "show", "dev", "cable"], capture_output=True, text=True
    )
    n_dropped = int(re.search(r"dropped (\d+)", shown.stdout)[1])
    received = json.loads(stdout)["received"]
    assert len(received) == N_PACKETS - n_dropped
    assert (folder / "new.vqc").read_bytes() == MAGIC + b"".join(PACKETS[i] for i in received)
