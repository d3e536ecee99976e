#include "slm/lexical.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "slm/words.h"

enum { WORDS_MAX = 400, FEATURES_MAX = 8192, VALUE_WORDS_MAX = 12, NAME_LEN_MIN = 4 };

struct bag {
    struct arena *arena;
    struct feature *items;
    size_t count;
};

static void add(struct bag *bag, float weight, const char *name)
{
    if (bag->count == FEATURES_MAX)
        return;
    struct str text = str_of(name);
    bag->items[bag->count++] = (struct feature){ str_hash(text, 0), weight, text };
}

#define ADD(bag, weight, ...) add((bag), (weight), arena_printf((bag)->arena, __VA_ARGS__))

/* Words, runs of two and three, and the words again marked with where they stand. */
static void add_text(struct bag *bag, struct str text, char place, float weight)
{
    struct word_list w = words_of(bag->arena, text, WORDS_MAX, true);
    for (size_t i = 0; i < w.count; i++) {
        ADD(bag, weight, STR_FMT, STR_ARG(w.items[i]));
        ADD(bag, weight * 0.4f, "%c:" STR_FMT, place, STR_ARG(w.items[i]));
        if (i + 1 < w.count)
            ADD(bag, weight * 0.7f, STR_FMT "_" STR_FMT, STR_ARG(w.items[i]), STR_ARG(w.items[i + 1]));
        if (i + 2 < w.count)
            ADD(bag, weight * 0.4f, STR_FMT "_" STR_FMT "_" STR_FMT, STR_ARG(w.items[i]),
                STR_ARG(w.items[i + 1]), STR_ARG(w.items[i + 2]));
    }
}

/* Labels whose values say what kind of thing it is; of all others the values are names of things. */
static bool is_telling(struct str label)
{
    static const char *const telling[] = { "job",    "severity", "container", "service", "source",
                                           "rule",   "priority", "reason",    "phase",   "condition",
                                           "state",  "resource", "mode",      "type",    "component",
                                           "device", "fstype",   "mountpoint" };
    for (size_t i = 0; i < ARRAY_LEN(telling); i++)
        if (str_eq(label, str_of(telling[i])))
            return true;
    return false;
}

static void add_label(struct bag *bag, const struct label *label)
{
    if (str_eq(label->name, STR("alertname")))
        return;
    ADD(bag, 1.0f, "k:" STR_FMT, STR_ARG(str_slice(label->name, 0, 64)));
    bool telling = is_telling(label->name);
    struct word_list w = words_of(bag->arena, label->value, VALUE_WORDS_MAX, false);
    for (size_t i = 0; i < w.count; i++) {
        if (telling) {
            ADD(bag, 0.7f, "l:" STR_FMT ":" STR_FMT, STR_ARG(label->name), STR_ARG(w.items[i]));
            ADD(bag, 0.4f, STR_FMT, STR_ARG(w.items[i]));
        } else if (w.items[i].len >= NAME_LEN_MIN) {
            ADD(bag, 0.3f, "v:" STR_FMT, STR_ARG(w.items[i]));
        }
    }
}

static int by_key(const void *a, const void *b)
{
    uint64_t left = ((const struct feature *)a)->key, right = ((const struct feature *)b)->key;
    return (left > right) - (left < right);
}

/* Equal keys become one, dampened by a logarithm; then the vector is brought to length 1. */
static struct feature_list finish(struct bag *bag)
{
    qsort(bag->items, bag->count, sizeof *bag->items, by_key);
    size_t count = 0;
    for (size_t i = 0; i < bag->count; i++) {
        if (count && bag->items[count - 1].key == bag->items[i].key)
            bag->items[count - 1].value += bag->items[i].value;
        else
            bag->items[count++] = bag->items[i];
    }
    double square = 0;
    for (size_t i = 0; i < count; i++) {
        bag->items[i].value = log1pf(bag->items[i].value);
        square += (double)bag->items[i].value * bag->items[i].value;
    }
    for (size_t i = 0; i < count; i++)
        bag->items[i].value /= (float)sqrt(square);
    return (struct feature_list){ bag->items, count };
}

struct feature_list features_of_alert(struct arena *arena, const struct alert *alert)
{
    struct bag bag = { arena, ARENA_ARRAY(arena, struct feature, FEATURES_MAX), 0 };
    add_text(&bag, label_get(&alert->labels, STR("alertname")), 'n', 1.5f);
    add_text(&bag, text_without_echo(label_get(&alert->annotations, STR("summary"))), 's', 1.0f);
    add_text(&bag, text_without_echo(label_get(&alert->annotations, STR("description"))), 'd', 1.0f);
    add_text(&bag, text_without_echo(label_get(&alert->annotations, STR("message"))), 'd', 1.0f);
    for (size_t i = 0; i < alert->labels.count; i++)
        add_label(&bag, &alert->labels.items[i]);
    return finish(&bag);
}
