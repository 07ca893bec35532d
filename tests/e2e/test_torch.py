"""`torch.device("gon")` on a leased unit: under `gon run` with no word about it; what waits."""
# PyTorch says of many of its functions what they take in part only.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import os
import subprocess
import sys

import torch
from torch import nn
from torch.nn import functional

import gon
import gon_shim.torch
from tests.e2e.gond_process import PATIENCE_S, Gond

GON = [sys.executable, "-c", "from gon_client.cli import main; main()"]
assert gon_shim.torch.BACKENDS
TRAIN = """
import torch
from torch import nn

losses = []
for where in ("cpu", "gon"):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1)).to(torch.device(where))
    x = torch.linspace(-1, 1, 256).reshape(32, 8).to(where)
    for _ in range(20):
        loss = nn.functional.mse_loss(net(x), x[:, :1] ** 2)
        # An optimiser would do so, after seconds of imports.
        found = torch.autograd.grad(loss, list(net.parameters()))
        with torch.no_grad():
            for parameter, slope in zip(net.parameters(), found):
                parameter.sub_(slope, alpha=0.1)
    losses.append(loss.item())
print(abs(losses[0] - losses[1]) < 1e-5, losses[1] < 0.2)
"""
WITHOUT = """
import torch
try:
    torch.device("gon")
except RuntimeError as error:
    print("none" if "gon" in str(error) else error)
import gon_shim.torch
try:
    torch.ones(2, device="gon")
except Exception as error:
    print(error.code.name, torch.gon.is_available())
"""

# A host is named, and there is none: what does not use it does not notice.
NAMED = """
import gon_shim.torch
import torch
x = torch.ones(2, requires_grad=True)
(x * x).sum().backward()
print(x.grad.tolist(), torch.device("gon"), gon_shim.torch.BACKENDS is not None)
"""


def test_a_script_trains_under_gon_run_as_it_does_here(soft_gond: Gond) -> None:
    command = [*GON, "run", "--host", soft_gond.tcp, "--stats"]
    done = subprocess.run(
        [*command, "--", sys.executable, "-c", TRAIN],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S * 4,
        check=False,
    )
    assert done.stdout == "True True\n", done.stderr
    assert "gon run: 1 devices" in done.stderr


def test_there_is_no_device_without_a_host() -> None:
    assert _printed(WITHOUT) == "none\nBAD_HANDLE False\n"


def test_pytorch_works_where_the_host_that_is_named_is_not_there() -> None:
    assert _printed(NAMED, GON_HOST="gon://127.0.0.1:1") == "[2.0, 2.0] gon True\n"


def _printed(program: str, **variables: str) -> str:
    kept = {key: value for key, value in os.environ.items() if key not in ("GON_HOST", "GON_LEASE")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**kept, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S * 4,
        check=False,
    )
    assert not done.returncode, done.stderr
    return done.stdout


def test_training_waits_for_nothing(soft_gond: Gond) -> None:
    with (
        gon.connect(soft_gond.tcp) as host,
        host.acquire() as device,
        gon.xp.use(device),
    ):
        words = torch.randint(0, 20, (4, 6)).to("gon")
        net = nn.Sequential(
            nn.Embedding(20, 8), nn.Dropout(0.1), nn.Flatten(), nn.Linear(48, 20)
        ).to("gon")
        optimiser = torch.optim.AdamW(net.parameters(), lr=0.1)
        losses: list[torch.Tensor] = []
        waits: list[int] = []
        for _ in range(12):
            waits.append(device.counts().waits)
            optimiser.zero_grad()
            loss = functional.cross_entropy(net(words), words[:, 0])
            loss.backward()
            optimiser.step()
            losses.append(loss.detach())
        # By then each program has been met: one that is new is loaded, a round trip.
        assert device.counts().waits == waits[6]
        assert losses[-1].item() < losses[0].item()
