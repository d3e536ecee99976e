"""The texts that the tokenizer is compared on: every byte, every kind of blank, 20 scripts, emoji, code, alerts, and
what random generators with a fixed seed make of them."""
import json
import os
import random
import re

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# A sentence each, so that words, digits, marks and joiners of the script occur.
SCRIPTS = [
    "Der Knoten gke-prod-3 ist seit 15 Minuten nicht bereit; größere Ausfälle drohen.",
    "Le pod « web-7d9f » a redémarré 42 fois : l'été n'est pas fini, n'est-ce pas ?",
    "El volumen está lleno al 97,5 %. ¿Qué acción conviene? ¡Ampliar el disco!",
    "Узел не отвечает уже 10 минут, память занята на 98 процентов.",
    "Ο κόμβος δεν ανταποκρίνεται· η μνήμη είναι γεμάτη κατά 95%.",
    "הצומת אינו מגיב כבר 12 דקות, והזיכרון כמעט מלא.",
    "العقدة لا تستجيب منذ ١٥ دقيقة، والذاكرة ممتلئة.",
    "नोड १० मिनट से उत्तर नहीं दे रहा है। मेमोरी भर चुकी है।",
    "নোডটি ১৫ মিনিট ধরে সাড়া দিচ্ছে না।",
    "முனை பத்து நிமிடங்களாக பதிலளிக்கவில்லை.",
    "నోడ్ పది నిమిషాలుగా స్పందించడం లేదు.",
    "โหนดไม่ตอบสนองมาเป็นเวลา ๑๕ นาทีแล้ว",
    "节点已经十五分钟没有响应,内存使用率为98%。",
    "ノードが15分間応答していません。メモリ使用率は98%です。",
    "노드가 15분 동안 응답하지 않습니다. 메모리가 가득 찼습니다.",
    "Հանգույցը չի պատասխանում 15 րոպե։",
    "კვანძი 15 წუთია არ პასუხობს.",
    "መስቀለኛው ለ፲፭ ደቂቃዎች ምላሽ አልሰጠም።",
    "ថ្នាំងមិនឆ្លើយតបអស់ ១៥ នាទីហើយ។",
    "Uzol neodpovedá už 15 minút; žltý kôň úpel ďábelské ódy.",
    "Düğüm 15 dakikadır yanıt vermiyor; İstanbul'daki ışık ığdır.",
    "Nút không phản hồi trong 15 phút; bộ nhớ đã đầy 98%.",
    "མདུད་མཚམས་ལན་མི་འདེབས།",
    "ꯅꯣꯗ ᎣᏏᏲ ᐃᓄᒃᑎᑐᑦ ⵜⴰⵎⴰⵣⵉⵖⵜ 𐌰𐌱𐌲 𝒜𝒷𝒸 𝟘𝟙𝟚 Ⅻ ½ ² ㊄ ٣",
]
EMOJI = ["👍🏽", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪🇫🇷", "1️⃣", "❤️‍🔥", "🧑🏿‍💻", "☠️", "©®™", "e\u0301 e\u0308\u0323", "\u200d\u200c\ufeff"]
BLANKS = [" ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", " \n", "\n ", "\u00a0", "\u2003", "\u3000", "\u2028", "\x0b", "\x85",
          "\u200b", "\u1680"]
WORDS = ["pod", "Node", "CrashLoopBackOff", "it's", "IT'S", "we'll", "don't", "I'd", "'ve", "x'", "''s", "10.24.164.76:8080",
         "1234567", "3.14", "v1.2.3", "kube-system", "a_b", "camelCase", "UPPER", "<|im_start|>", "<|im_end|>", "<|endoftext|>",
         "<fim_prefix>", "<|start_of_role|>", "{}", "[[", "!=", "->", "...", "\u2026", "\u2014", "#", "@", "\\n", "%", "&&"]
CODE = '''int main(void)\n{\n\tfor (size_t i = 0; i < n; i++)\n\t\tsum += a[i] * b[i];   /* fused */\n\treturn 0;\n}\n
def f(x: int) -> str:\n    """Doc."""\n    return f"{x:08.3f}" if x != 0 else 'zero'\n
apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: 3\n
SELECT id, count(*) FROM alerts WHERE starts_at > '2026-01-01' GROUP BY 1 HAVING count(*) >= 10;\n
{"alerts":[{"labels":{"alertname":"X","severity":"critical"},"startsAt":"2026-09-11T21:28:42.390Z"}]}\n
sum(rate(http_requests_total{code=~"5..",job!="x"}[5m])) by (le) / on() group_left 1e-9 > 0.05\n'''


def alert_texts():
    """Every string in the training rules and examples that lie in the repository."""
    folder = os.path.join(TOP, "models", "training")
    for root, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            if name.endswith((".yaml", ".yml", ".jsonl", ".md", ".py", ".json")):
                with open(os.path.join(root, name), encoding="utf-8") as file:
                    yield from (line.rstrip("\n") for line in file if len(line) < 4000)


def sources():
    for folder in ("src", "tests", "docs", "models"):
        for root, _, names in sorted(os.walk(os.path.join(TOP, folder))):
            for name in sorted(names):
                if name.endswith((".c", ".h", ".py", ".sh", ".md", ".sql")):
                    with open(os.path.join(root, name), encoding="utf-8") as file:
                        yield file.read()


def mixtures(rng, n):
    """Words, blanks, scripts and symbols strung together without sense: where the splitting rules meet."""
    parts = WORDS + BLANKS + EMOJI + [word for line in SCRIPTS for word in line.split()] + list("0123456789'\"()/-_=+~")
    for _ in range(n):
        yield "".join(rng.choice(parts) + rng.choice(["", " ", "", rng.choice(BLANKS)])
                      for _ in range(rng.randrange(1, 24)))


def code_points(rng, n):
    for _ in range(n):
        points = []
        while len(points) < rng.randrange(1, 30):
            point = rng.choice([rng.randrange(0x20, 0x3000), rng.randrange(0x10000), rng.randrange(0x20000)])
            if not 0xd800 <= point < 0xe000 and point != 0:
                points.append(chr(point))
        yield "".join(points)


def lines(seed=1, limit=6000):
    """At least 5,000 texts of valid UTF-8, the same ones every time."""
    rng = random.Random(seed)
    texts = SCRIPTS + EMOJI + BLANKS + WORDS + CODE.split("\n") + [CODE]
    texts += [chr(c) for c in range(1, 256)] + ["a%sb" % chr(c) for c in range(1, 256)]
    texts += [a + b for a in BLANKS for b in BLANKS] + [a + " 1 x" for a in BLANKS] + ["x" + a + "9" for a in BLANKS]
    texts += ["a" * n for n in (31, 32, 33, 34, 100, 3000)] + ["ab " * 700, " " * 200 + "x", "\n" * 99, "1" * 77]
    texts += list(mixtures(rng, 1200))
    texts += list(code_points(rng, 600))
    rest = list(alert_texts()) + [part for text in sources() for part in re.split(r"(?<=\n)(?=\S)", text)]
    rng.shuffle(rest)
    texts += rest[:max(0, limit - len(texts))]
    return [text for text in texts if text]


def broken(seed=2, n=200):
    """Bytes that are not UTF-8: alone, cut characters, overlong forms, surrogates, and noise."""
    rng = random.Random(seed)
    yield from (bytes([c]) for c in range(0x80, 0x100))
    yield from (b"x" + bytes([c]) + b"y" for c in range(0x80, 0x100))
    for line in SCRIPTS:
        raw = line.encode()
        yield from (raw[:rng.randrange(1, len(raw))] for _ in range(3))
    yield from (b"\xc0\x80", b"\xc0\xafa", b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xed\xb0\x80x", b"\xf0\x80\x80\xaf", b"\xf4\x90\x80\x80", b"\xf7\xbf\xbf\xbf", b"a\xff\xfe b")
    for _ in range(n):
        noise = bytes(rng.choice([rng.randrange(1, 0x100), rng.randrange(0x20, 0x7f)]) for _ in range(rng.randrange(1, 40)))
        yield noise


if __name__ == "__main__":
    print(json.dumps({"lines": len(lines()), "broken": len(list(broken()))}))
