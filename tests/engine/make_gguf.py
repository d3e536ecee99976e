#!/usr/bin/env python3
"""Make a GGUF model file with random weights: any engine can load it and be tested or timed on it; what it says is
noise. Python's standard library only, and the same arguments give the same bytes everywhere.

  make_gguf.py --preset tiny-llama --type f32 -o tiny.gguf
  make_gguf.py --preset granite-2b --type f16 -o 2b.gguf            (K-quants: llama-quantize makes them of f16)
  make_gguf.py --preset tiny-llama --vocab-from smollm2-135m.gguf --pre qwen2 -o t.gguf
  make_gguf.py --preset tiny-llama --vocab-from smollm2-135m.gguf --tokenizer spm -o t.gguf

Weights: a pool of Gaussian numbers is drawn once from the seed; each row of a tensor is a stretch of it that begins at
a random multiple of 32, scaled by 1/sqrt(columns). So activations stay finite at any depth, gigabytes take seconds,
and the type only rounds.
"""
import argparse
import array
import random
import struct
import sys

POOL, ALIGN = 1 << 20, 32
U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64 = range(11)
TYPES = {"f32": (0, 1, 4, 0), "f16": (1, 1, 2, 1), "q4_0": (2, 32, 18, 2), "q4_1": (3, 32, 20, 3), "q8_0": (8, 32, 34, 7)}

TINY = dict(arch="llama", layers=2, dim=64, heads=4, kv_heads=2, ffn=96, vocab=320, context=1024, rope_base=1e4, experts=0,
            experts_used=0, scales={}, pre="smollm", head_dim=0, untied=False)
GRANITE = {"embedding_scale": 12.0, "residual_scale": 0.22, "logit_scale": 8.0}
PRESETS = {
    "tiny-llama": {},
    "tiny-granite": dict(arch="granite", pre="refact", scales=dict(GRANITE, **{"attention.scale": 0.0625})),
    "tiny-granitemoe": dict(arch="granitemoe", pre="refact", ffn=64, experts=6, experts_used=3,
                            scales=dict(GRANITE, **{"attention.scale": 0.0625})),
    "small-llama": dict(dim=256, heads=4, kv_heads=2, ffn=512),
    "small-granite": dict(arch="granite", pre="refact", dim=256, heads=4, kv_heads=2, ffn=512,
                          scales=dict(GRANITE, **{"attention.scale": 0.015625})),
    "small-granitemoe": dict(arch="granitemoe", pre="refact", dim=256, heads=4, kv_heads=2, ffn=256, experts=8,
                             experts_used=3, scales=dict(GRANITE, **{"attention.scale": 0.015625})),
    "smollm2-135m": dict(layers=30, dim=576, heads=9, kv_heads=3, ffn=1536, vocab=49152, context=8192, rope_base=1e5),
    "granite-2b": dict(arch="granite", pre="refact", layers=40, dim=2048, heads=32, kv_heads=8, ffn=8192, vocab=49155,
                       context=131072, rope_base=5e6, scales=dict(GRANITE, **{"attention.scale": 0.015625})),
    "granite-moe-1b": dict(arch="granitemoe", pre="refact", layers=24, dim=1024, heads=16, kv_heads=8, ffn=512,
                           vocab=49155, context=131072, rope_base=1.5e6, experts=32, experts_used=8,
                           scales=dict(GRANITE, **{"attention.scale": 0.015625, "logit_scale": 6.0})),
}
CHATML = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' "
          "+ '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


# ---- metadata

def packed(kind, value):
    if kind == STRING:
        raw = value if isinstance(value, bytes) else value.encode()
        return struct.pack("<Q", len(raw)) + raw
    if kind == ARRAY:
        element, items = value
        head = struct.pack("<IQ", element, len(items))
        if element == STRING:
            return head + b"".join(packed(STRING, item) for item in items)
        return head + struct.pack("<%d%s" % (len(items), {I32: "i", F32: "f", U8: "B", U32: "I"}[element]), *items)
    return struct.pack({U32: "<I", I32: "<i", F32: "<f", BOOL: "<?", U64: "<Q"}[kind], value)


def entry(key, kind, value):
    return packed(STRING, key) + struct.pack("<I", kind) + packed(kind, value)


class Reader:
    """The metadata of a GGUF file, for its vocabulary."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.raw, self.at = file.read(64 << 20), 24
        self.values = {}
        for _ in range(struct.unpack_from("<Q", self.raw, 16)[0]):
            key = self.string().decode()
            self.values[key] = self.value(self.number("<I"))

    def number(self, form):
        value, = struct.unpack_from(form, self.raw, self.at)
        self.at += struct.calcsize(form)
        return value

    def string(self):
        size = self.number("<Q")
        self.at += size
        return self.raw[self.at - size:self.at]

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            element, count = self.number("<I"), self.number("<Q")
            return [self.value(element) for _ in range(count)]
        return self.number(dict(enumerate(("<B", "<b", "<H", "<h", "<I", "<i", "<f", "<?")))
                           .get(kind) or {U64: "<Q", 11: "<q", 12: "<d"}[kind])


# ---- vocabularies

def byte_chars():
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return {b: chr(b) if b in plain else chr(256 + others.index(b)) for b in range(256)}


def invented_bpe(size, rng):
    """Special tokens, the bytes, then merges of random tokens, with letters before all else."""
    chars = byte_chars()
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|end_of_text|>", "<|start_of_role|>", "<|end_of_role|>"]
    kinds = [3] * len(tokens) + [1] * 256
    tokens += [chars[b] for b in range(256)]
    if size < len(tokens):
        sys.exit("make_gguf: a vocabulary needs at least %d tokens" % len(tokens))
    have, merges, parts = set(tokens), [], [chars[b] for b in b"etaoinshrdlu ETAOINSHRDLU0123456789.-_/\n"]
    while len(tokens) < size:
        left, right = rng.choice(parts), rng.choice(parts)
        if left + right not in have and len(left + right) <= 12:
            have.add(left + right)
            tokens.append(left + right)
            merges.append(left + " " + right)
            parts.append(left + right)
            kinds.append(1)
    return tokens, kinds, merges


def pieces_of(tokens, kinds, with_bytes):
    """A byte-level vocabulary said again as SentencePiece pieces: what is not UTF-8 by itself is left out."""
    back = {c: b for b, c in byte_chars().items()}
    pieces, types = ["<unk>", "<s>", "</s>"], [2, 3, 3]
    if with_bytes:
        pieces, types = pieces + ["<0x%02X>" % b for b in range(256)], types + [6] * 256
    have = set(pieces)
    for token, kind in zip(tokens, kinds):
        try:
            text = bytes(back[c] for c in token).decode() if kind == 1 else token
        except (KeyError, UnicodeDecodeError):
            continue
        text = text.replace(" ", "\u2581") if kind == 1 else text
        if text and text not in have:
            have.add(text)
            pieces.append(text)
            types.append(kind)
    return pieces, types


def vocabulary(c, rng):
    """The tokenizer's metadata; sets c.vocab to its size."""
    if c.vocab_from:
        values = Reader(c.vocab_from).values
        tokens = [t.decode() for t in values["tokenizer.ggml.tokens"]]
        kinds, merges = values["tokenizer.ggml.token_type"], [m.decode() for m in values["tokenizer.ggml.merges"]]
    else:
        tokens, kinds, merges = invented_bpe(c.vocab, rng)
    t = "tokenizer.ggml."
    if c.tokenizer == "bpe":
        c.vocab = len(tokens)
        ids = [("bos", 1), ("eos", 2), ("unknown", 0), ("padding", 2)]
        out = [entry(t + "model", STRING, "gpt2"), entry(t + "pre", STRING, c.pre),
               entry(t + "merges", ARRAY, (STRING, merges)), entry(t + "add_bos_token", BOOL, False),
               entry("tokenizer.chat_template", STRING, CHATML)]
    else:
        tokens, kinds = pieces_of(tokens, kinds, c.tokenizer == "spm")
        c.vocab = len(tokens)
        ids = [("bos", 1), ("eos", 2), ("unknown", 0)]
        scores = [-float(i) / (1 if c.tokenizer == "spm" else 4000) for i in range(len(tokens))]
        out = [entry(t + "model", STRING, "llama" if c.tokenizer == "spm" else "t5"),
               entry(t + "scores", ARRAY, (F32, scores))]
        if c.tokenizer == "unigram":
            out += [entry(t + "remove_extra_whitespaces", BOOL, True), entry(t + "add_bos_token", BOOL, False),
                    entry(t + "add_eos_token", BOOL, True)]
    out += [entry(t + "tokens", ARRAY, (STRING, tokens)), entry(t + "token_type", ARRAY, (I32, kinds))]
    return out + [entry("%s%s_token_id" % (t, name), U32, id) for name, id in ids]


# ---- tensors

def tensors(c):
    """(name, dimensions with the row length first, kind)"""
    q, kv = c.heads * c.head_dim, c.kv_heads * c.head_dim
    yield "token_embd.weight", (c.dim, c.vocab), "embedding"
    yield "output_norm.weight", (c.dim,), "norm"
    if c.untied:
        yield "output.weight", (c.dim, c.vocab), "embedding"
    for i in range(c.layers):
        yield "blk.%d.attn_norm.weight" % i, (c.dim,), "norm"
        for name, dims in (("attn_q", (c.dim, q)), ("attn_k", (c.dim, kv)), ("attn_v", (c.dim, kv)),
                           ("attn_output", (q, c.dim))):
            yield "blk.%d.%s.weight" % (i, name), dims, "weight"
        yield "blk.%d.ffn_norm.weight" % i, (c.dim,), "norm"
        experts = (c.experts,) if c.experts else ()
        suffix = "_exps" if c.experts else ""
        if c.experts:
            yield "blk.%d.ffn_gate_inp.weight" % i, (c.dim, c.experts), "f32"
        for name, dims in (("ffn_gate", (c.dim, c.ffn)), ("ffn_down", (c.ffn, c.dim)), ("ffn_up", (c.dim, c.ffn))):
            yield "blk.%d.%s%s.weight" % (i, name, suffix), dims + experts, "weight"


def encode(values, name):
    if name in ("f32", "f16"):
        return struct.pack("<%d%s" % (len(values), "f" if name == "f32" else "e"), *values)
    out = bytearray()
    for at in range(0, len(values), 32):
        block = values[at:at + 32]
        if name == "q8_0":
            scale = max(map(abs, block)) / 127 or 1.0
            out += struct.pack("<e32b", scale, *(round(v / scale) for v in block))
            continue
        low, high = min(block), max(block)
        if name == "q4_1":
            scale = (high - low) / 15 or 1.0
            nibbles = [min(15, int((v - low) / scale + 0.5)) for v in block]
            out += struct.pack("<ee", scale, low)
        else:
            scale = (low if -low > high else high) / -8 or 1.0
            nibbles = [min(15, int(v / scale + 8.5)) for v in block]
            out += struct.pack("<e", scale)
        out += bytes(nibbles[i] | nibbles[i + 16] << 4 for i in range(16))
    return bytes(out)


class Pool:
    def __init__(self, rng, size):
        self.rng, self.size = rng, size
        self.base = array.array("d", (rng.gauss(0, 1) for _ in range(size)))
        self.encoded = {}

    def rows(self, name, columns, count):
        if (name, columns) not in self.encoded:
            scale = columns ** -0.5
            self.encoded[name, columns] = encode([v * scale for v in self.base], name)
        raw, (_, block, size, _) = self.encoded[name, columns], TYPES[name]
        length, starts = columns // block * size, (self.size - columns) // 32
        for _ in range(count):
            at = int(self.rng.random() * starts) * 32 // block * size
            yield raw[at:at + length]


def write(c):
    rng = random.Random(c.seed)
    meta = vocabulary(c, rng)
    names = {"norm": "f32", "f32": "f32", "weight": c.type,
             "embedding": c.embedding_type or ("q8_0" if c.type.startswith("q") else c.type)}
    infos, offset = [], 0
    for name, dims, kind in tensors(c):
        code, block, size, _ = TYPES[names[kind]]
        if dims[0] % block:
            sys.exit("make_gguf: %s: %d columns are no multiple of %d" % (name, dims[0], block))
        rows = 1
        for n in dims[1:]:
            rows *= n
        infos.append((name, dims, kind, code, offset, rows))
        offset += -(-rows * dims[0] // block * size // ALIGN) * ALIGN
    a = c.arch + "."
    general = [entry("general.architecture", STRING, c.arch), entry("general.name", STRING, "random " + c.preset),
               entry("general.file_type", U32, TYPES[c.type][3])]
    general += [entry(a + key, U32, value) for key, value in (
        ("block_count", c.layers), ("context_length", c.context), ("embedding_length", c.dim),
        ("feed_forward_length", c.ffn), ("attention.head_count", c.heads), ("attention.head_count_kv", c.kv_heads),
        ("rope.dimension_count", c.head_dim), ("vocab_size", c.vocab))]
    if c.head_dim * c.heads != c.dim:
        general += [entry(a + "attention.key_length", U32, c.head_dim), entry(a + "attention.value_length", U32, c.head_dim)]
    if c.experts:
        general += [entry(a + "expert_count", U32, c.experts), entry(a + "expert_used_count", U32, c.experts_used)]
    general += [entry(a + "rope.freq_base", F32, c.rope_base), entry(a + "attention.layer_norm_rms_epsilon", F32, 1e-5)]
    general += [entry(a + key, F32, value) for key, value in c.scales.items()]
    meta = general + meta
    head = [b"GGUF", struct.pack("<IQQ", 3, len(infos), len(meta)), *meta]
    for name, dims, _, code, at, _ in infos:
        head.append(packed(STRING, name) + struct.pack("<I%dQIQ" % len(dims), len(dims), *dims, code, at))
    head = b"".join(head)
    pool = Pool(rng, POOL if c.dim >= 256 else POOL >> 4)
    with open(c.out, "wb", buffering=1 << 22) as file:
        file.write(head + bytes(-len(head) % ALIGN))
        for name, dims, kind, _, _, rows in infos:
            size = 0
            if kind == "norm":
                size = file.write(encode([1 + 0.1 * pool.base[int(rng.random() * pool.size)] for _ in range(dims[0])], "f32"))
            else:
                for row in pool.rows(names[kind], dims[0], rows):
                    size += file.write(row)
            file.write(bytes(-size % ALIGN))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", required=True)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="tiny-llama")
    parser.add_argument("--type", choices=sorted(TYPES), default="f16", help="of the weight matrices")
    parser.add_argument("--embedding-type", choices=sorted(TYPES), help="of token_embd and output (q8_0 where --type is q…)")
    parser.add_argument("--tokenizer", choices=("bpe", "spm", "unigram"), default="bpe")
    parser.add_argument("--vocab-from", metavar="GGUF", help="take vocabulary and merges of this file")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pre", help="tokenizer.ggml.pre")
    parser.add_argument("--untied", action="store_true", default=None, help="an output matrix of its own")
    for name in ("layers", "dim", "heads", "kv-heads", "head-dim", "ffn", "vocab", "context", "experts", "experts-used"):
        parser.add_argument("--" + name, type=int)
    parser.add_argument("--rope-base", type=float)
    c = parser.parse_args()
    for key, value in dict(TINY, **PRESETS[c.preset]).items():
        if getattr(c, key, None) is None:
            setattr(c, key, value)
    c.head_dim = c.head_dim or c.dim // c.heads
    write(c)


if __name__ == "__main__":
    main()
