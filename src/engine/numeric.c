#include "engine/numeric.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static const double ln2_high = 0x1.62e42fefa38p-1, ln2_low = 0x1.ef35793c7673p-45;

static double power_of_two(int n) /* n in -1022..1023 */
{
    uint64_t bits = (uint64_t)(n + 1023) << 52;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

double numeric_exp(double x)
{
    if (!(x > -700))
        return x != x ? x : 0;
    if (x > 700)
        return INFINITY;
    double n = rint(x * 0x1.71547652b82fep+0), r = x - n * ln2_high - n * ln2_low, sum = 1;
    for (int k = 17; k >= 1; k--) /* |r| <= 0.35: r^18 / 18! is under 1e-24 */
        sum = 1 + sum * r / k;
    return sum * power_of_two((int)n);
}

/* x = 2^n m, m in [0.7, 1.41]; ln m = 2 artanh((m - 1) / (m + 1)), whose argument is under 0.172. */
double numeric_log(double x)
{
    if (!(x > 0))
        return x == 0 ? -INFINITY : NAN;
    if (isinf(x))
        return x;
    int n;
    double m = frexp(x, &n);
    if (m < 0.70710678118654752) {
        m *= 2;
        n--;
    }
    double z = (m - 1) / (m + 1), z2 = z * z, sum = 0;
    for (int k = 23; k >= 1; k -= 2)
        sum = sum * z2 + 1.0 / k;
    return n * ln2_high + (2 * z * sum + n * ln2_low);
}

/* x = k pi/2 + r, pi/2 in three parts of which the first two have 33 bits, so that their products with k are exact. */
void numeric_sincos(double x, double *sine, double *cosine)
{
    double k = rint(x * 0x1.45f306dc9c883p-1);
    double r = x - k * 0x1.921fb544p+0;
    r = r - k * 0x1.0b4611a6p-34;
    r = r - k * 0x1.3198a2e037073p-69;
    double r2 = r * r, s = 1, c = 1;
    for (int i = 18; i >= 2; i -= 2) { /* |r| <= 0.79 */
        s = 1 - s * r2 / (i * (i + 1));
        c = 1 - c * r2 / (i * (i - 1));
    }
    s *= r;
    switch ((int64_t)k & 3) {
    case 0:
        *sine = s;
        *cosine = c;
        break;
    case 1:
        *sine = c;
        *cosine = -s;
        break;
    case 2:
        *sine = -s;
        *cosine = -c;
        break;
    default:
        *sine = -c;
        *cosine = s;
        break;
    }
}
