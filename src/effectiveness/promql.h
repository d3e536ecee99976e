/* As much of PromQL as it takes to find an alert's threshold: the comparison at the root of its rule's expression. */
#ifndef EFFECTIVENESS_PROMQL_H
#define EFFECTIVENESS_PROMQL_H

#include <stdbool.h>

#include "base/base.h"

enum promql_comparison {
    PROMQL_GREATER,
    PROMQL_GREATER_EQUAL,
    PROMQL_LESS,
    PROMQL_LESS_EQUAL,
    PROMQL_EQUAL,
    PROMQL_UNEQUAL
};
struct promql_root {
    struct str metric; /* what is compared, borrowed from the expression */
    enum promql_comparison comparison;
    double threshold;
};

/* `expression OPERATOR number`, or `number OPERATOR expression` turned round; outer parentheses are taken off. False if
 * the root is something else: then nothing can be said about the metric. */
bool promql_find_root(struct str expression, struct promql_root *root);

/* Is it (still) true of a value, and how far has it moved away from being so: 1 it no longer is, 0 no nearer. */
bool promql_holds(const struct promql_root *root, double value);
double promql_improvement(const struct promql_root *root, double before,
                          double after); /* NAN: cannot be said */

#endif
