/* Patterns and schemas from strangers: the first byte says which, what follows is it. Whatever is accepted must be able to
 * come to an end: a walk that takes the first way out of each state, or one that the input chooses. */
#include <stdlib.h>

#include "engine/automaton.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct automaton *automaton, const uint8_t *choices, size_t n)
{
    uint32_t state = AUTOMATON_START;
    for (size_t i = 0; i < 4 * n + 64; i++) {
        unsigned first = n ? choices[i % n] : 0, byte = 0;
        for (unsigned k = 0; k < 256; k++) {
            byte = (first + k) & 255;
            if (automaton_next(automaton, state, (unsigned char)byte) != AUTOMATON_DEAD)
                break;
        }
        uint32_t next = automaton_next(automaton, state, (unsigned char)byte);
        if (next == AUTOMATON_DEAD && !automaton->accepts[state])
            abort(); /* no way on and no end: a decoder would be stuck */
        if (next == AUTOMATON_DEAD)
            return;
        state = next;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 2048)
        return 0;
    struct str text = { (const char *)data + 1, size - 1 };
    AUTO(automaton)
    struct automaton *automaton =
        data[0] & 1 ? automaton_from_schema(text, NULL) : automaton_from_regex(text, NULL);
    if (!automaton)
        return 0;
    walk(automaton, data, size);
    AUTO(strbuf) struct strbuf forced = { 0 };
    automaton_forced(automaton, AUTOMATON_START, &forced);
    return 0;
}
