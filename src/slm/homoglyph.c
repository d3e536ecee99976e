/* Chosen by how common fonts draw them, from Cyrillic, Greek, Armenian, Coptic, Cherokee, Lisu and the letters of Latin
 * that have no compatibility decomposition. Sorted by code. */
#include "slm/homoglyph.h"

#include <stddef.h>

#include "base/mem.h"

struct look_alike {
    uint16_t code;
    char ascii;
};

/* clang-format off */
static const struct look_alike letters[] = {
    { 0x00D8, 'O' }, { 0x00F8, 'o' }, { 0x0110, 'D' }, { 0x0111, 'd' }, { 0x0126, 'H' }, { 0x0127, 'h' },
    { 0x0131, 'i' }, { 0x0141, 'L' }, { 0x0142, 'l' }, { 0x014B, 'n' }, { 0x0166, 'T' }, { 0x0167, 't' },
    { 0x0185, 'b' }, { 0x0192, 'f' }, { 0x0199, 'k' }, { 0x01B4, 'y' }, { 0x01B6, 'z' }, { 0x0247, 'e' },
    { 0x024D, 'r' }, { 0x024F, 'y' }, { 0x0251, 'a' }, { 0x0253, 'b' }, { 0x0254, 'c' }, { 0x0256, 'd' },
    { 0x0257, 'd' }, { 0x025B, 'e' }, { 0x0261, 'g' }, { 0x0262, 'g' }, { 0x0268, 'i' }, { 0x0269, 'i' },
    { 0x026A, 'i' }, { 0x0271, 'm' }, { 0x0272, 'n' }, { 0x0274, 'n' }, { 0x027E, 'r' }, { 0x0280, 'r' },
    { 0x0282, 's' }, { 0x0288, 't' }, { 0x0289, 'u' }, { 0x028B, 'v' }, { 0x028F, 'y' }, { 0x0290, 'z' },
    { 0x0299, 'b' }, { 0x029C, 'h' }, { 0x029F, 'l' }, { 0x037F, 'J' }, { 0x0391, 'A' }, { 0x0392, 'B' },
    { 0x0395, 'E' }, { 0x0396, 'Z' }, { 0x0397, 'H' }, { 0x0399, 'I' }, { 0x039A, 'K' }, { 0x039C, 'M' },
    { 0x039D, 'N' }, { 0x039F, 'O' }, { 0x03A1, 'P' }, { 0x03A4, 'T' }, { 0x03A5, 'Y' }, { 0x03A7, 'X' },
    { 0x03B1, 'a' }, { 0x03B2, 'b' }, { 0x03B3, 'y' }, { 0x03B5, 'e' }, { 0x03B7, 'n' }, { 0x03B9, 'i' },
    { 0x03BA, 'k' }, { 0x03BD, 'v' }, { 0x03BF, 'o' }, { 0x03C1, 'p' }, { 0x03C3, 'o' }, { 0x03C4, 't' },
    { 0x03C5, 'u' }, { 0x03C7, 'x' }, { 0x03C9, 'w' }, { 0x03F3, 'j' }, { 0x0405, 'S' }, { 0x0406, 'I' },
    { 0x0408, 'J' }, { 0x0410, 'A' }, { 0x0412, 'B' }, { 0x0415, 'E' }, { 0x041A, 'K' }, { 0x041C, 'M' },
    { 0x041D, 'H' }, { 0x041E, 'O' }, { 0x0420, 'P' }, { 0x0421, 'C' }, { 0x0422, 'T' }, { 0x0423, 'Y' },
    { 0x0425, 'X' }, { 0x042C, 'B' }, { 0x0430, 'a' }, { 0x0432, 'b' }, { 0x0433, 'r' }, { 0x0435, 'e' },
    { 0x043A, 'k' }, { 0x043C, 'm' }, { 0x043D, 'h' }, { 0x043E, 'o' }, { 0x0440, 'p' }, { 0x0441, 'c' },
    { 0x0442, 't' }, { 0x0443, 'y' }, { 0x0445, 'x' }, { 0x044C, 'b' }, { 0x0455, 's' }, { 0x0456, 'i' },
    { 0x0458, 'j' }, { 0x0474, 'V' }, { 0x0475, 'v' }, { 0x0491, 'r' }, { 0x0492, 'F' }, { 0x04AE, 'Y' },
    { 0x04BA, 'H' }, { 0x04BB, 'h' }, { 0x04BD, 'e' }, { 0x04C0, 'I' }, { 0x04CF, 'l' }, { 0x04D5, 'a' },
    { 0x0500, 'D' }, { 0x0501, 'd' }, { 0x050C, 'G' }, { 0x050D, 'g' }, { 0x051A, 'Q' }, { 0x051B, 'q' },
    { 0x051C, 'W' }, { 0x051D, 'w' }, { 0x053C, 'L' }, { 0x054D, 'U' }, { 0x054F, 'S' }, { 0x0555, 'O' },
    { 0x0561, 'w' }, { 0x0566, 'q' }, { 0x056A, 'd' }, { 0x056C, 'l' }, { 0x0570, 'h' }, { 0x0575, 'j' },
    { 0x0578, 'n' }, { 0x057D, 'u' }, { 0x0581, 'g' }, { 0x0585, 'o' }, { 0x13A0, 'D' }, { 0x13A1, 'R' },
    { 0x13A2, 'T' }, { 0x13A5, 'I' }, { 0x13A9, 'Y' }, { 0x13AA, 'A' }, { 0x13AB, 'J' }, { 0x13AC, 'E' },
    { 0x13B3, 'W' }, { 0x13B7, 'M' }, { 0x13BB, 'H' }, { 0x13C0, 'G' }, { 0x13C3, 'Z' }, { 0x13CF, 'B' },
    { 0x13D2, 'R' }, { 0x13D4, 'W' }, { 0x13D5, 'S' }, { 0x13D9, 'V' }, { 0x13DA, 'S' }, { 0x13DE, 'L' },
    { 0x13DF, 'C' }, { 0x13E2, 'P' }, { 0x13E6, 'K' }, { 0x13E7, 'D' }, { 0x13F4, 'B' }, { 0x1D00, 'a' },
    { 0x1D04, 'c' }, { 0x1D05, 'd' }, { 0x1D07, 'e' }, { 0x1D0A, 'j' }, { 0x1D0B, 'k' }, { 0x1D0D, 'm' },
    { 0x1D0F, 'o' }, { 0x1D18, 'p' }, { 0x1D1B, 't' }, { 0x1D1C, 'u' }, { 0x1D20, 'v' }, { 0x1D21, 'w' },
    { 0x1D22, 'z' }, { 0x1D74, 's' }, { 0x1D7D, 'p' }, { 0x1D83, 'g' }, { 0x2C68, 'h' }, { 0x2C6A, 'k' },
    { 0x2C6C, 'z' }, { 0x2C81, 'a' }, { 0x2C88, 'E' }, { 0x2C8E, 'H' }, { 0x2C8F, 'n' }, { 0x2C92, 'I' },
    { 0x2C93, 'i' }, { 0x2C94, 'K' }, { 0x2C95, 'k' }, { 0x2C98, 'M' }, { 0x2C9A, 'N' }, { 0x2C9E, 'O' },
    { 0x2C9F, 'o' }, { 0x2CA2, 'P' }, { 0x2CA3, 'p' }, { 0x2CA4, 'C' }, { 0x2CA5, 'c' }, { 0x2CA6, 'T' },
    { 0x2CAC, 'X' }, { 0x2CAD, 'x' }, { 0xA4D0, 'B' }, { 0xA4D1, 'P' }, { 0xA4D2, 'd' }, { 0xA4D3, 'D' },
    { 0xA4D4, 'T' }, { 0xA4D6, 'G' }, { 0xA4D7, 'K' }, { 0xA4D9, 'J' }, { 0xA4DA, 'C' }, { 0xA4DC, 'Z' },
    { 0xA4DD, 'F' }, { 0xA4DF, 'M' }, { 0xA4E0, 'N' }, { 0xA4E1, 'L' }, { 0xA4E2, 'S' }, { 0xA4E3, 'R' },
    { 0xA4E6, 'V' }, { 0xA4E7, 'H' }, { 0xA4EA, 'W' }, { 0xA4EB, 'X' }, { 0xA4EC, 'Y' }, { 0xA4EE, 'A' },
    { 0xA4F0, 'E' }, { 0xA4F2, 'I' }, { 0xA4F3, 'O' }, { 0xA4F4, 'U' }, { 0xA730, 'f' }, { 0xA731, 's' },
    { 0xA77A, 'd' }, { 0xA783, 'r' }, { 0xA785, 's' }, { 0xA787, 't' }, { 0xA793, 'c' },
};

static const struct look_alike marks[] = {
    { 0x00AB, '"' }, { 0x00B7, '.' }, { 0x00BB, '"' }, { 0x01C0, '|' }, { 0x01C3, '!' }, { 0x02B9, '\'' },
    { 0x02BB, '\'' }, { 0x02BC, '\'' }, { 0x02C2, '<' }, { 0x02C3, '>' }, { 0x02CB, '`' }, { 0x02CD, '_' },
    { 0x02D0, ':' }, { 0x02D7, '-' }, { 0x0589, ':' }, { 0x05C0, '|' }, { 0x05C3, ':' }, { 0x061B, ';' },
    { 0x066D, '*' }, { 0x1433, '>' }, { 0x1438, '<' }, { 0x2010, '-' }, { 0x2012, '-' }, { 0x2013, '-' },
    { 0x2014, '-' }, { 0x2015, '-' }, { 0x2018, '\'' }, { 0x2019, '\'' }, { 0x201A, '\'' },
    { 0x201B, '\'' }, { 0x201C, '"' }, { 0x201D, '"' }, { 0x201E, '"' }, { 0x201F, '"' }, { 0x2022, '*' },
    { 0x2032, '\'' }, { 0x2035, '`' }, { 0x2039, '<' }, { 0x203A, '>' }, { 0x2043, '-' }, { 0x2044, '/' },
    { 0x2045, '[' }, { 0x2046, ']' }, { 0x204E, '*' }, { 0x204F, ';' }, { 0x2053, '~' }, { 0x2212, '-' },
    { 0x2215, '/' }, { 0x2216, '\\' }, { 0x2217, '*' }, { 0x2223, '|' }, { 0x2236, ':' }, { 0x223C, '~' },
    { 0x227A, '<' }, { 0x227B, '>' }, { 0x2317, '#' }, { 0x23AF, '-' }, { 0x23D0, '|' }, { 0x2502, '|' },
    { 0x2503, '|' }, { 0x2550, '=' }, { 0x2571, '/' }, { 0x2581, '_' }, { 0x258F, '|' }, { 0x266F, '#' },
    { 0x2758, '|' }, { 0x276E, '<' }, { 0x276F, '>' }, { 0x2770, '<' }, { 0x2771, '>' }, { 0x2772, '[' },
    { 0x2773, ']' }, { 0x2774, '{' }, { 0x2775, '}' }, { 0x27E6, '[' }, { 0x27E7, ']' }, { 0x27E8, '<' },
    { 0x27E9, '>' }, { 0x2983, '{' }, { 0x2984, '}' }, { 0x29F8, '/' }, { 0x29F9, '\\' }, { 0x2E17, '=' },
    { 0x2E40, '=' }, { 0x3008, '<' }, { 0x3009, '>' }, { 0x300C, '[' }, { 0x300D, ']' }, { 0x3010, '[' },
    { 0x3011, ']' }, { 0x3014, '[' }, { 0x3015, ']' }, { 0xA789, ':' }, { 0xA78A, '=' }, { 0xA78B, '\'' },
    { 0xA78C, '\'' },
};
/* clang-format on */

/* Letters in negative circles and squares and the regional indicators: runs of A to Z. */
static const uint32_t alphabets[] = { 0x1F150, 0x1F170, 0x1F1E6 };

static uint32_t find(const struct look_alike *table, size_t count, uint32_t code)
{
    size_t from = 0, to = count;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (table[middle].code < code)
            from = middle + 1;
        else
            to = middle;
    }
    return from < count && table[from].code == code ? (uint32_t)table[from].ascii : 0;
}

uint32_t homoglyph_letter(uint32_t code)
{
    for (size_t i = 0; i < ARRAY_LEN(alphabets); i++)
        if (code >= alphabets[i] && code < alphabets[i] + 26)
            return 'A' + (code - alphabets[i]);
    return find(letters, ARRAY_LEN(letters), code);
}

uint32_t homoglyph_mark(uint32_t code)
{
    return find(marks, ARRAY_LEN(marks), code);
}
