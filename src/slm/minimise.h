/* Minimising a smooth function of many variables: L-BFGS. Source: Nocedal & Wright, "Numerical Optimization",
 * 2nd edition, algorithms 7.4 (two-loop recursion) and 3.1 (backtracking line search). */
#ifndef SLM_MINIMISE_H
#define SLM_MINIMISE_H

#include <stddef.h>

/* The function's value at x, its gradient into `gradient`; both [n]. */
typedef double minimise_function(const double *x, double *gradient, size_t n, void *context);

struct minimise_options {
    size_t iterations; /* at most; 0: 200 */
    double tolerance;  /* ends when the largest gradient entry is below; 0: 1e-5 */
};

/* Walk x [n] downhill from where it stands; returns the value reached. The same input gives the same bits. */
double minimise(double *x, size_t n, minimise_function *function, void *context,
                const struct minimise_options *options);

#endif
