/* The form of an export, for the file that writes it and the one that reads it. */
#ifndef HISTORY_EXPORT_H
#define HISTORY_EXPORT_H

#include "base/base.h"

#define EXPORT_FORMAT "prometheus-alerts-slm history"
#define CHAIN_BEGIN ",\"chain\":\""
enum { EXPORT_VERSION = 1, EXPORT_LINE_MAX = 64 * 1024 * 1024 };

void chain_next(char chain[SHA256_HEX_LEN + 1], struct str line);

#endif
