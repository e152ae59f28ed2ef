"""Models in float64 NumPy, written from their equations and not from our code."""

import numpy as np

from autoregressive.cells import CELLS


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


def lstm_by_loops(cell, params, xs):
    """xs: (T, n, inputs); the outputs (T, n, hidden)."""
    h = c = np.zeros((xs.shape[1], cell.hidden))
    outputs = []
    for x in xs:
        i, f, g, o = np.split(x @ params["w_ih"].T + params["b"] + h @ params["w_hh"].T, 4, 1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.array(outputs)


def gru_by_loops(cell, params, xs):
    """xs: (T, n, inputs); the outputs (T, n, hidden)."""
    h = np.zeros((xs.shape[1], cell.hidden))
    outputs = []
    for x in xs:
        r_x, z_x, n_x = np.split(x @ params["w_ih"].T + params["b"], 3, 1)
        r_h, z_h, n_h = np.split(h @ params["w_hh"].T, 3, 1)
        z = sigmoid(z_x + z_h)
        n = np.tanh(n_x + sigmoid(r_x + r_h) * (n_h + params["b_hn"]))
        h = (1 - z) * n + z * h
        outputs.append(h)
    return np.array(outputs)


BY_LOOPS = {
    CELLS["lstm"]: lstm_by_loops,
    CELLS["gru"]: gru_by_loops,
    CELLS["transformer"]: transformer_by_loops,
}
