"""A photo sent as real datagrams over a lossy link, and the picture that arrives."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vqcodec
from tests.golden.make_pack import photo
from vqcodec import channel

pytestmark = pytest.mark.real

PROGRAM = [sys.executable, "-m", "vqcodec"]


def psnr_db(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(one.astype(float) - other).mean()))


def test_a_photo_survives_the_loss_of_a_fifth_of_its_datagrams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VQCODEC_MODELS", raising=False)
    data = vqcodec.encode(photo(), tier=8, n_packets=20, device="cpu")
    sent, arrived, shown = (tmp_path / name for name in ("sent.vqc", "arrived.vqc", "shown.png"))
    sent.write_bytes(data)
    lost = channel.lost(20, 0.2, seed=5)
    assert lost
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.bind(("127.0.0.1", 0))
        link.settimeout(60)
        receiver = subprocess.Popen(
            [*PROGRAM, "receive", "-o", arrived, "--idle", "1"],
            stderr=subprocess.PIPE,
            text=True,
        )
        with receiver:
            assert receiver.stderr is not None
            port = int(re.search(r":(\d+)\n", receiver.stderr.readline())[1])
            to = f"127.0.0.1:{link.getsockname()[1]}"
            subprocess.run([*PROGRAM, "send", "-q", sent, "--to", to], check=True)
            for datagram in [link.recv(2**16) for _ in range(20)]:
                if datagram[8] not in lost:  # the packet's number
                    link.sendto(datagram, ("127.0.0.1", port))
            _, said = receiver.communicate(timeout=60)
    assert receiver.returncode == 0, said
    done = subprocess.run(
        [*PROGRAM, "decode", arrived, "-o", shown, "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    record = json.loads(done.stdout)
    assert record["restorer"] == "transformer"
    assert record["losses"]["missing"] == sorted(lost)
    assert f"{len(lost)} of 20 packets lost" in done.stderr
    picture = np.asarray(Image.open(shown))
    undamaged = vqcodec.decode(data, device="cpu")
    without = vqcodec.decode_with_losses(arrived.read_bytes(), restorer="none", device="cpu")
    assert psnr_db(picture, undamaged) > psnr_db(without.pixels, undamaged) + 3
