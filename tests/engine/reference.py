"""The reference: llama, granite and granitemoe in float64, over the dequantised weights of a GGUF file. Slow, short and
written straight from the papers and from ggml's description of its block formats; shares nothing with src/engine."""
import numpy as np

import make_gguf

# ---- weights

NAMES = {0: "f32", 1: "f16", 2: "q4_0", 3: "q4_1", 6: "q5_0", 7: "q5_1", 8: "q8_0", 12: "q4_k", 13: "q5_k", 14: "q6_k", 30: "bf16"}


def halves(raw, at, count=1):
    return raw[:, at:at + 2 * count].copy().view("<f2").astype(np.float64)


def nibbles(raw):
    """Low halves first, then high ones: 16 bytes hold 32 numbers."""
    return np.concatenate([raw & 15, raw >> 4], axis=1).astype(np.float64)


def fifth_bits(raw):
    return np.unpackbits(raw, axis=1, bitorder="little").astype(np.float64) * 16


def six_bit_pairs(raw):
    """The scales and minima of a K block: eight of each, six bits each, in twelve bytes."""
    s = raw.astype(np.uint8)
    scales = np.concatenate([s[:, :4] & 63, (s[:, 8:12] & 15) | (s[:, :4] >> 6) << 4], axis=1)
    minima = np.concatenate([s[:, 4:8] & 63, (s[:, 8:12] >> 4) | (s[:, 4:8] >> 6) << 4], axis=1)
    return scales.astype(np.float64), minima.astype(np.float64)


def q4_k(raw, fifth=None):
    scales, minima = six_bit_pairs(raw[:, 4:16])
    quants = raw[:, 16:].reshape(len(raw), 4, 32) if fifth is None else raw[:, 48:].reshape(len(raw), 4, 32)
    values = np.stack([quants & 15, quants >> 4], axis=2).reshape(len(raw), 8, 32).astype(np.float64)
    if fifth is not None:
        values += 16 * fifth
    out = halves(raw, 0)[:, :, None] * scales[:, :, None] * values - halves(raw, 2)[:, :, None] * minima[:, :, None]
    return out.reshape(len(raw), 256)


def q5_k(raw):
    high = raw[:, 16:48]
    return q4_k(raw, np.stack([high >> bit & 1 for bit in range(8)], axis=1).astype(np.float64))


def q6_k(raw):
    low, high, scales = raw[:, :128], raw[:, 128:192], raw[:, 192:208].view(np.int8).astype(np.float64)
    out = np.empty((len(raw), 256))
    for half in range(2):
        l, h = low[:, 64 * half:64 * half + 64], high[:, 32 * half:32 * half + 32]
        parts = [(l[:, :32] & 15) | (h & 3) << 4, (l[:, 32:] & 15) | (h >> 2 & 3) << 4,
                 (l[:, :32] >> 4) | (h >> 4 & 3) << 4, (l[:, 32:] >> 4) | (h >> 6 & 3) << 4]
        out[:, 128 * half:128 * half + 128] = np.concatenate(parts, axis=1).astype(np.float64) - 32
    return out * np.repeat(scales, 16, axis=1) * halves(raw, 208)


BLOCKS = {                                # name: (weights in a block, bytes, function)
    "f32": (1, 4, lambda r: r.view("<f4").astype(np.float64)), "f16": (1, 2, lambda r: r.view("<f2").astype(np.float64)),
    "bf16": (1, 2, lambda r: (r.view("<u2").astype(np.uint32) << 16).view(np.float32).astype(np.float64)),
    "q8_0": (32, 34, lambda r: halves(r, 0) * r[:, 2:].view(np.int8)),
    "q4_0": (32, 18, lambda r: halves(r, 0) * (nibbles(r[:, 2:]) - 8)),
    "q4_1": (32, 20, lambda r: halves(r, 0) * nibbles(r[:, 4:]) + halves(r, 2)),
    "q5_0": (32, 22, lambda r: halves(r, 0) * (nibbles(r[:, 6:]) + fifth_bits(r[:, 2:6]) - 16)),
    "q5_1": (32, 24, lambda r: halves(r, 0) * (nibbles(r[:, 8:]) + fifth_bits(r[:, 4:8])) + halves(r, 2)),
    "q4_k": (256, 144, q4_k), "q5_k": (256, 176, q5_k), "q6_k": (256, 210, q6_k),
}


class Model:
    def __init__(self, path):
        reader = make_gguf.Reader(path)
        self.values, self.infos = reader.values, {}
        count = int.from_bytes(reader.raw[8:16], "little")
        for _ in range(count):
            name = reader.string().decode()
            dims = [reader.number("<Q") for _ in range(reader.number("<I"))]
            self.infos[name] = (dims, NAMES[reader.number("<I")], reader.number("<Q"))
        alignment = self.values.get("general.alignment", 32)
        self.begin = -(-reader.at // alignment) * alignment
        self.data = np.memmap(path, dtype=np.uint8, mode="r")
        self.arch = self.values["general.architecture"].decode()

    def get(self, key, otherwise=None):
        return self.values.get(self.arch + "." + key, otherwise)

    def tensor(self, name):
        """Rows last-but-one, as in ggml's own order read backwards: [..., rows, columns]."""
        dims, kind, offset = self.infos[name]
        block, size, decode = BLOCKS[kind]
        total = int(np.prod(dims)) // block * size
        raw = np.array(self.data[self.begin + offset:self.begin + offset + total]).reshape(-1, size)
        return np.asarray(decode(raw), dtype=np.float64).reshape(dims[::-1])


# ---- the forward pass

def rmsnorm(x, weight, eps):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps) * weight


def rope(x, base, dims):
    """Neighbours are a pair, as in Llama's own layout: x [positions, heads, head_dim]."""
    angles = np.arange(len(x))[:, None] * base ** (-np.arange(0, dims, 2) / dims)
    sine, cosine = np.sin(angles)[:, None, :], np.cos(angles)[:, None, :]
    out, a, b = x.copy(), x[..., 0:dims:2], x[..., 1:dims:2]
    out[..., 0:dims:2], out[..., 1:dims:2] = a * cosine - b * sine, a * sine + b * cosine
    return out


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def silu(x):
    return x / (1 + np.exp(-x))


def attention(m, i, x):
    heads, kv_heads = m.get("attention.head_count"), m.get("attention.head_count_kv")
    t = "blk.%d.attn_" % i
    q, k, v = (x @ m.tensor(t + name + ".weight").T for name in ("q", "k", "v"))
    q, k, v = q.reshape(len(x), heads, -1), k.reshape(len(x), kv_heads, -1), v.reshape(len(x), kv_heads, -1)
    size = q.shape[-1]
    base, dims = m.get("rope.freq_base", 10000.0), m.get("rope.dimension_count", size)
    q, k = rope(q, base, dims), rope(k, base, dims)
    k, v = (np.repeat(one, heads // kv_heads, axis=1) for one in (k, v))
    scores = np.einsum("qhd,khd->hqk", q, k) * (m.get("attention.scale") or size ** -0.5)
    scores = np.where(np.tri(len(x), dtype=bool), scores, -np.inf)
    mixed = np.einsum("hqk,khd->qhd", softmax(scores), v).reshape(len(x), -1)
    return mixed @ m.tensor(t + "output.weight").T


def feed_forward(m, i, x):
    t = "blk.%d.ffn_" % i
    if not m.get("expert_count"):
        gate, up, down = (m.tensor(t + name + ".weight") for name in ("gate", "up", "down"))
        return (silu(x @ gate.T) * (x @ up.T)) @ down.T
    gate, up, down = (m.tensor(t + name + "_exps.weight") for name in ("gate", "up", "down"))
    router, used = x @ m.tensor(t + "gate_inp.weight").T, m.get("expert_used_count")
    out = np.zeros_like(x)
    for row, scores in enumerate(router):
        chosen = np.argsort(-scores, kind="stable")[:used]
        for expert, weight in zip(chosen, softmax(scores[chosen])):
            one = x[row]
            out[row] += weight * (down[expert] @ (silu(gate[expert] @ one) * (up[expert] @ one)))
    return out


def logits(path_or_model, tokens, first=0):
    """[len(tokens) - first, vocabulary]"""
    m = path_or_model if isinstance(path_or_model, Model) else Model(path_or_model)
    eps, residual = m.get("attention.layer_norm_rms_epsilon"), m.get("residual_scale") or 1.0
    embedding = m.tensor("token_embd.weight")
    x = embedding[np.asarray(tokens)] * (m.get("embedding_scale") or 1.0)
    for i in range(m.get("block_count")):
        x = x + residual * attention(m, i, rmsnorm(x, m.tensor("blk.%d.attn_norm.weight" % i), eps))
        x = x + residual * feed_forward(m, i, rmsnorm(x, m.tensor("blk.%d.ffn_norm.weight" % i), eps))
    x = rmsnorm(x[first:], m.tensor("output_norm.weight"), eps)
    head = m.tensor("output.weight") if "output.weight" in m.infos else embedding
    return x @ head.T / (m.get("logit_scale") or 1.0)


def log_softmax(x):
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))
