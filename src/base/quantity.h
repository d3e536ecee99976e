/* Kubernetes quantities: "500m", "1Gi", "0.5", "2e3", "100k". Source: k8s.io/apimachinery api/resource documentation. */
#ifndef BASE_QUANTITY_H
#define BASE_QUANTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* In thousandths of the unit ("500m" is 500, "1Gi" is 1024^3 * 1000), rounded up as Kubernetes does below that.
 * False if it is not a quantity or does not fit (about 9.2e15 units either way). */
bool quantity_parse(struct str text, int64_t *milli);

enum { QUANTITY_TEXT_MAX = 32 };
enum quantity_style { QUANTITY_CPU, QUANTITY_BYTES };
/* The canonical text: CPU in cores or millicores, bytes with the largest binary suffix that divides it. */
const char *quantity_format(int64_t milli, enum quantity_style style, char text[QUANTITY_TEXT_MAX]);

#endif
