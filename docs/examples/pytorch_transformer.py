"""A small transformer in PyTorch, trained on Mess3, predicts a file of all histories.

    meta-learn streams --all-histories --process mess3 --draws 10 --out all.npz
    python pytorch_transformer.py all.npz answers.npz
    meta-learn compare --predictions answers.npz --streams-file all.npz

Needs PyTorch and NumPy only: nothing is imported from meta-learn.
"""

import argparse
import json

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, log_softmax, one_hot, scaled_dot_product_attention

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("histories", help="what meta-learn streams --all-histories wrote")
parser.add_argument("predictions", help="file to write")
parser.add_argument("--iterations", type=int, default=3000)
parser.add_argument("--batch", type=int, default=64)
parser.add_argument("--length", type=int, default=32, help="of training streams")
options = parser.parse_args()

file = np.load(options.histories)
settings = json.loads(str(file["settings"]))
process, K = settings["process"], settings["num_symbols"]
if process["name"] != "mess3" or process["T"] is not None:
    parser.error("this example draws its own training streams of mess3 without RESET")
torch.manual_seed(0)
torch.set_num_threads(1)  # a network this small only waits for more

# A state moves on with probability x to each other one, then shows its own symbol with probability a.
a, x = process["a"], process["x"]
moves = torch.full((3, 3), x) + (1 - 3 * x) * torch.eye(3)
shows = torch.full((3, 3), (1 - a) / 2) + (a - (1 - a) / 2) * torch.eye(3)


def draw(streams: int) -> torch.Tensor:
    """New training streams, (streams, length)."""
    state, symbols = torch.randint(3, (streams,)), []
    for _ in range(options.length):
        state = torch.multinomial(moves[state], 1)[:, 0]
        symbols.append(torch.multinomial(shows[state], 1)[:, 0])
    return torch.stack(symbols, 1)


class Block(nn.Module):
    """Causal attention over all places before, and a layer four times as wide."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        rows, places, width = h.shape
        parts = self.qkv(self.before(h)).reshape(rows, places, 3, self.heads, -1)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(q, k, v, is_causal=True)
        h = h + self.out(mixed.transpose(1, 2).reshape(rows, places, width))
        return h + self.wide(self.between(h))


class Network(nn.Module):
    """Row t of its output is given x_<t: the inputs are RESET, x_1, .., x_{L-1}."""

    def __init__(self, width: int = 32, heads: int = 4, layers: int = 2):
        super().__init__()
        self.symbols = nn.Linear(K + 1, width)
        self.places = nn.Parameter(
            0.1 * torch.randn(max(options.length, settings["length"]), width)
        )
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.last = nn.LayerNorm(width)
        self.readout = nn.Linear(width, K + 1)

    def forward(self, symbols: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits, and the states that they are read out of."""
        before = nn.functional.pad(symbols[:, :-1], (1, 0), value=K)
        h = self.symbols(one_hot(before, K + 1).float()) + self.places[: symbols.shape[1]]
        h = self.last(self.blocks(h))
        return self.readout(h), h


network = Network()
optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.iterations)
for _ in range(options.iterations):
    streams = draw(options.batch)
    loss = cross_entropy(network(streams)[0].movedim(-1, 1), streams)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    schedule.step()

network.eval()
symbols = torch.from_numpy(file["symbols"].astype(np.int64))
rows, states = [], []
with torch.no_grad():
    for part in symbols.split(1000):
        logits, h = network(part)
        rows.append(log_softmax(logits.double(), -1).float())
        states.append(h)
np.savez(
    options.predictions,
    symbols=file["symbols"],
    log_probabilities=torch.cat(rows).numpy(),
    states=torch.cat(states).numpy(),
)
print(f"{options.predictions}: {len(symbols)} histories, last training loss {loss:.4f} nats")
