/* exp, ln, sine and cosine in double from additions and multiplications alone: libm's differ from machine to machine
 * in the last bit, and what the engine computes must not. */
#ifndef ENGINE_NUMERIC_H
#define ENGINE_NUMERIC_H

double numeric_exp(double x);
double numeric_log(double x);                                /* x > 0; -infinity for 0 */
void numeric_sincos(double x, double *sine, double *cosine); /* |x| < 1e8 */

#endif
