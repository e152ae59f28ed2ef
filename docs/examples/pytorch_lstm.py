"""An LSTM in PyTorch, trained on Dirichlet-categorical tasks, predicts a file of test streams.

    meta-learn streams --alpha 1,1,1 --T 20 --out streams.npz
    python pytorch_lstm.py streams.npz predictions.npz
    meta-learn compare --predictions predictions.npz --streams-file streams.npz

Needs PyTorch and NumPy only: nothing is imported from meta-learn.
"""

import argparse
import json

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, log_softmax, one_hot

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("streams", help="what meta-learn streams wrote")
parser.add_argument("predictions", help="file to write")
parser.add_argument("--iterations", type=int, default=3000)
parser.add_argument("--batch", type=int, default=64)
options = parser.parse_args()

file = np.load(options.streams)
settings = json.loads(str(file["settings"]))
alpha = torch.tensor(settings["process"]["alpha"])
T = settings["process"]["T"]  # None where there is no RESET
K = settings["num_symbols"]
length = settings["length"]
torch.manual_seed(0)
torch.set_num_threads(1)  # a network this small only waits for more


def draw(streams: int) -> torch.Tensor:
    """New training streams, (streams, length): tasks of T - 1 draws from one p, then RESET = K."""
    tasks = length // T if T else 1
    p = torch.distributions.Dirichlet(alpha).sample((streams, tasks))
    draws = torch.distributions.Categorical(p).sample((T - 1 if T else length,)).movedim(0, -1)
    if T:
        draws = nn.functional.pad(draws, (0, 1), value=K)
    return draws.reshape(streams, length)


class Network(nn.Module):
    """Row t of its output is given x_<t: the inputs are RESET, x_1, .., x_{L-1}."""

    def __init__(self, hidden: int = 32):
        super().__init__()
        self.lstm = nn.LSTM(K + 1, hidden, batch_first=True)
        self.readout = nn.Linear(hidden, K + 1)

    def forward(self, symbols: torch.Tensor) -> torch.Tensor:
        before = nn.functional.pad(symbols[:, :-1], (1, 0), value=K)
        return self.readout(self.lstm(one_hot(before, K + 1).float())[0])


network = Network()
optimizer = torch.optim.Adam(network.parameters(), 1e-2)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.iterations)
for _ in range(options.iterations):
    streams = draw(options.batch)
    loss = cross_entropy(network(streams).movedim(-1, 1), streams)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    schedule.step()

network.eval()
symbols = torch.from_numpy(file["symbols"].astype(np.int64))
with torch.no_grad():
    rows = [log_softmax(network(part).double(), -1) for part in symbols.split(1000)]
np.savez(
    options.predictions, symbols=file["symbols"], log_probabilities=torch.cat(rows).float().numpy()
)
print(f"{options.predictions}: {len(symbols)} streams, last training loss {loss:.4f} nats")
