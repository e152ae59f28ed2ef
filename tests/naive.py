"""Models in float64 NumPy, written from their equations and not from our code."""

import numpy as np

from autoregressive.cells import CELLS
from autoregressive.model import cell_params


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def normed(h, scale):
    return h / np.sqrt((h**2).mean(-1, keepdims=True) + 1e-6) * scale


def transformer_by_loops(cell, params, xs):
    """Place by place and head by head, every layer anew over the whole streams. xs: (T, n, inputs)."""
    p = {name: np.asarray(value, np.float64) for name, value in params.items()}
    width = cell.hidden // cell.heads
    hs = [x @ p["in.w"].T + p["in.b"] for x in xs]
    for layer in range(cell.layers):
        own = {k[2:]: v for k, v in p.items() if k.startswith(f"{layer}.")}
        qkv = [normed(h, own["norm_attention"]) @ own["qkv.w"].T for h in hs]
        q, k, v = ([np.split(row, 3, axis=1)[part] for row in qkv] for part in range(3))
        after = []
        for t, h in enumerate(hs):
            mixed = np.zeros_like(h)
            for head in range(cell.heads):
                part = slice(head * width, (head + 1) * width)
                near = range(max(0, t - cell.window + 1), t + 1)
                scores = np.array(
                    [
                        (q[t][:, part] * k[s][:, part]).sum(1) / np.sqrt(width)
                        + own["distance"][head, t - s]
                        for s in near
                    ]
                )
                weights = np.exp(scores - scores.max(0))
                weights /= weights.sum(0)
                mixed[:, part] = sum(
                    w[:, None] * v[s][:, part] for w, s in zip(weights, near, strict=True)
                )
            h = h + mixed @ own["out.w"].T
            wide = gelu(normed(h, own["norm_wide"]) @ own["up.w"].T + own["up.b"])
            after.append(h + wide @ own["down.w"].T + own["down.b"])
        hs = after
    return np.array([normed(h, p["norm"]) for h in hs])


def lstm_step(params, state, x):
    """x: (..., inputs); the state after it, arrays (..., hidden)."""
    h, c = state
    from_x, from_h = x @ params["w_ih"].T + params["b"], h @ params["w_hh"].T
    i, f, g, o = np.split(from_x + from_h, 4, -1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_step(params, state, x):
    """As ``lstm_step``."""
    (h,) = state
    from_x, from_h = x @ params["w_ih"].T + params["b"], h @ params["w_hh"].T
    (r_x, z_x, n_x), (r_h, z_h, n_h) = np.split(from_x, 3, -1), np.split(from_h, 3, -1)
    z = sigmoid(z_x + z_h)
    return ((1 - z) * np.tanh(n_x + sigmoid(r_x + r_h) * (n_h + params["b_hn"])) + z * h,)


STEPS = {"lstm": (lstm_step, 2), "gru": (gru_step, 1)}


def logits_by_loops(model, params, xs):
    """What a model with one layer of read-out says at each place. xs: (T, n, inputs)."""
    params = {k: np.asarray(v, np.float64) for k, v in params.items()}
    own = cell_params(params)
    name = next(name for name, kind in CELLS.items() if type(model.cell) is kind)
    if name == "transformer":
        hs = transformer_by_loops(model.cell, own, xs)
    else:
        (step, parts), hs = STEPS[name], []
        state = (np.zeros((xs.shape[1], model.cell.hidden)),) * parts
        for x in xs:
            state = step(own, state, x)
            hs.append(state[0])
        hs = np.array(hs)
    y = np.maximum(hs, 0) @ params["readout.0.w"].T + params["readout.0.b"]
    return np.maximum(y, 0) @ params["readout.1.w"].T + params["readout.1.b"]
