"""The roofline plot (Williams, Waterman & Patterson 2009) of bench-engine as an SVG: how much arithmetic is done for a byte
that is read, against how much is done in a second. The roof is what the machine can do, measured in the same run."""
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 520, 80, 250, 40, 60
COLOURS = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b"]
SHAPES = {"decode": "circle", "batch": "square", "prefill": "triangle"}


class Axes:
    def __init__(self, xs, ys):
        self.x0, self.x1 = math.floor(math.log10(min(xs))), math.ceil(math.log10(max(xs)))
        self.y0, self.y1 = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)))

    def x(self, value):
        return LEFT + (math.log10(value) - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT)

    def y(self, value):
        return HEIGHT - BOTTOM - (math.log10(value) - self.y0) / (self.y1 - self.y0) * (HEIGHT - TOP - BOTTOM)


def text(x, y, words, size=12, anchor="start", extra=""):
    return '<text x="%.1f" y="%.1f" font-size="%d" text-anchor="%s" %s>%s</text>' % (x, y, size, anchor, extra, escape(words))


def mark(x, y, shape, colour, filled):
    style = 'fill="%s" stroke="%s" stroke-width="1.5"' % (colour if filled else "#fff", colour)
    if shape == "circle":
        return '<circle cx="%.1f" cy="%.1f" r="5" %s/>' % (x, y, style)
    if shape == "square":
        return '<rect x="%.1f" y="%.1f" width="9" height="9" %s/>' % (x - 4.5, y - 4.5, style)
    return '<path d="M%.1f %.1fl-5.5 10h11z" %s/>' % (x, y - 6, style)


def grid(axes):
    out = []
    for power in range(axes.x0, axes.x1 + 1):
        x = axes.x(10 ** power)
        out += ['<path d="M%.1f %d V%d" stroke="#ddd"/>' % (x, TOP, HEIGHT - BOTTOM),
                text(x, HEIGHT - BOTTOM + 18, "%g" % 10 ** power, anchor="middle")]
    for power in range(axes.y0, axes.y1 + 1):
        y = axes.y(10 ** power)
        out += ['<path d="M%d %.1f H%d" stroke="#ddd"/>' % (LEFT, y, WIDTH - RIGHT), text(LEFT - 8, y + 4, "%g" % 10 ** power, anchor="end")]
    return out


def roof(axes, bandwidth, peak, colour):
    low, knee, high = 10 ** axes.x0, peak / bandwidth, 10 ** axes.x1
    knee = min(max(knee, low), high)
    return '<path d="M%.1f %.1f L%.1f %.1f H%.1f" fill="none" stroke="%s" stroke-width="1.5"/>' % (
        axes.x(low), max(axes.y(low * bandwidth), TOP), axes.x(knee), axes.y(min(peak, knee * bandwidth)), axes.x(high), colour)


def legend(models):
    x, out = WIDTH - RIGHT + 20, []
    for i, model in enumerate(models):
        out += [mark(x, TOP + 12 + 20 * i, "circle", COLOURS[i % len(COLOURS)], True), text(x + 12, TOP + 16 + 20 * i, model)]
    y = TOP + 40 + 20 * len(models)
    for i, (key, shape) in enumerate(SHAPES.items()):
        words = {"decode": "decode, one sequence", "batch": "decode, eight sequences", "prefill": "prefill, 512 tokens"}[key]
        out += [mark(x, y + 20 * i, shape, "#444", True), text(x + 12, y + 4 + 20 * i, words)]
    y += 20 * len(SHAPES) + 16
    out += [mark(x, y, "circle", "#444", True), text(x + 12, y + 4, "filled: ours"),
            mark(x, y + 20, "circle", "#444", False), text(x + 12, y + 24, "open: llama.cpp"),
            '<path d="M%d %d h14" stroke="#444" stroke-width="1.5"/>' % (x - 7, y + 40), text(x + 12, y + 44, "line: the machine")]
    return out


def draw(points, path):
    """points: (model, figure, whose, operations a byte, Gop/s, GB/s, peak Gop/s)"""
    models = list(dict.fromkeys(point[0] for point in points))
    axes = Axes([p[3] for p in points] + [1], [p[4] for p in points] + [p[6] for p in points])
    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif">' % (WIDTH, HEIGHT),
           '<rect width="100%" height="100%" fill="#fff"/>'] + grid(axes)
    for i, model in enumerate(models):
        bandwidth, peak = next((p[5], p[6]) for p in points if p[0] == model)
        out.append(roof(axes, bandwidth, peak, COLOURS[i % len(COLOURS)]))
    for model, key, whose, x, y, _, _ in points:
        out.append(mark(axes.x(x), axes.y(y), SHAPES[key], COLOURS[models.index(model) % len(COLOURS)], whose == "ours"))
    out += legend(models)
    out += [text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16, "operations for each byte of weights read", anchor="middle"),
            text(20, (TOP + HEIGHT - BOTTOM) / 2, "Gop/s", anchor="middle", extra='transform="rotate(-90 20 %d)"' % ((TOP + HEIGHT - BOTTOM) // 2)),
            text(LEFT, 24, "The engine under its roofline", 15), "</svg>"]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(out) + "\n")
