"""Models in float64 NumPy, written from their equations and not from our code."""

from functools import partial

import numpy as np

from autoregressive.cells import CELLS
from autoregressive.model import cell_params


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def normed(h, scale):
    return h / np.sqrt((h**2).mean(-1, keepdims=True) + 1e-6) * scale


def turned(a, place):
    """Rotary positions as complex numbers: entries i and i + w are one, times exp(i place speed)."""
    half = a.shape[1] // 2
    pairs = a[:, :half] + 1j * a[:, half : 2 * half]
    pairs = pairs * np.exp(1j * place * 10_000.0 ** (-np.arange(half) / max(half, 1)))
    return np.concatenate([pairs.real, pairs.imag, a[:, 2 * half :]], axis=1)


def attention_score(name, own, head, q, k, t, s):
    """Of places t and s before the softmax, for vectors (n, width)."""
    if name == "transformer-rotary":
        q, k = turned(q, t), turned(k, s)
    score = (q * k).sum(1) / np.sqrt(q.shape[1])
    return score + own["distance"][head, t - s] if name == "transformer" else score


def transformer_by_loops(cell, params, xs, name="transformer"):
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
                        attention_score(name, own, head, q[t][:, part], k[s][:, part], t, s)
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


def mingru_by_loops(cell, params, xs):
    """Feng et al. 2024, section 3.1: h_t = (1 - z_t) h_{t-1} + z_t h~_t, layer on layer."""
    for layer in range(cell.layers):
        w, b = params[f"{layer}.w"], params[f"{layer}.b"]
        h, hs = np.zeros((xs.shape[1], cell.hidden)), []
        for x in xs:
            z = sigmoid(x @ w[: cell.hidden].T + b[: cell.hidden])
            h = (1 - z) * h + z * (x @ w[cell.hidden :].T + b[cell.hidden :])
            hs.append(h)
        xs = np.array(hs)
    return xs


def lru_by_loops(cell, params, xs):
    """Orvieto et al. 2023: x_k = Lambda x_{k-1} + exp(gamma) (B u_k), y_k = Re(C x_k) + D u_k, between a
    norm and a gated linear unit, with skips; complex matrices as such."""
    hs = xs @ params["in.w"].T + params["in.b"]
    for layer in range(cell.layers):
        p = {k[2:]: v for k, v in params.items() if k.startswith(f"{layer}.")}
        size = np.exp(-np.exp(p["log_decay"]))
        angle = np.exp(p["log_angle"])
        eigenvalues = np.diag(size * np.cos(angle) + 1j * size * np.sin(angle))
        into = np.diag(np.exp(p["log_gamma"])) @ (p["b_re"] + 1j * p["b_im"])
        out, state, after = p["c_re"] + 1j * p["c_im"], 0, []
        for h in hs:
            u = normed(h, p["norm"])
            state = eigenvalues @ state if len(after) else np.zeros((cell.hidden, len(h)))
            state = state + into @ u.T
            y = gelu((out @ state).real.T + u * p["d"])
            after.append(h + y * sigmoid(y @ p["gate.w"].T + p["gate.b"]))
        hs = np.array(after)
    return hs


def mamba_by_loops(cell, params, xs):
    """Gu and Dao 2023, algorithm 2 and figure 3: channel by channel and place by place."""
    p, (length, n) = params, xs.shape[:2]
    inner, states = p["log_a"].shape
    rank = p["step.w"].shape[1]
    out = []
    past = [np.zeros((n, inner))] * (p["conv.w"].shape[1] - 1)
    s = np.zeros((n, inner, states))
    for t in range(length):
        h = xs[t] @ p["in.w"].T + p["in.b"]
        scaled = h / np.sqrt((h**2).mean(-1, keepdims=True) + 1e-5) * p["norm"]
        u, gate = np.split(scaled @ p["branches.w"].T, 2, axis=1)
        past.append(u)
        u = p["conv.b"] + sum(
            p["conv.w"][:, -1 - back] * past[-1 - back] for back in range(cell.width)
        )
        u = u * sigmoid(u)
        chosen = u @ p["select.w"].T
        step = np.log1p(np.exp(chosen[:, :rank] @ p["step.w"].T + p["step.b"]))
        b, c = chosen[:, rank : rank + states], chosen[:, rank + states :]
        y = np.empty((n, inner))
        for channel in range(inner):
            for row in range(n):
                decay = np.exp(-np.exp(p["log_a"][channel]) * step[row, channel])
                s[row, channel] = (
                    decay * s[row, channel] + step[row, channel] * b[row] * u[row, channel]
                )
                y[row, channel] = s[row, channel] @ c[row] + p["d"][channel] * u[row, channel]
        h = h + (y * gate * sigmoid(gate)) @ p["out.w"].T
        out.append(h / np.sqrt((h**2).mean(-1, keepdims=True) + 1e-5) * p["norm_out"])
    return np.array(out)


LOOPS = {
    "mingru": mingru_by_loops,
    "lru": lru_by_loops,
    "mamba": mamba_by_loops,
    "transformer": transformer_by_loops,
    "transformer-rotary": partial(transformer_by_loops, name="transformer-rotary"),
    "transformer-unplaced": partial(transformer_by_loops, name="transformer-unplaced"),
}
STEPS = {"lstm": (lstm_step, 2), "gru": (gru_step, 1)}


def logits_by_loops(model, params, xs):
    """What a model with one layer of read-out says at each place. xs: (T, n, inputs)."""
    params = {k: np.asarray(v, np.float64) for k, v in params.items()}
    own = cell_params(params)
    name = next(name for name, kind in CELLS.items() if type(model.cell) is kind)
    if name in LOOPS:
        hs = LOOPS[name](model.cell, own, xs)
    else:
        (step, parts), hs = STEPS[name], []
        state = (np.zeros((xs.shape[1], model.cell.hidden)),) * parts
        for x in xs:
            state = step(own, state, x)
            hs.append(state[0])
        hs = np.array(hs)
    y = np.maximum(hs, 0) @ params["readout.0.w"].T + params["readout.0.b"]
    return np.maximum(y, 0) @ params["readout.1.w"].T + params["readout.1.b"]
