/* Alerts that try to instruct us. Labels and annotations are written by anybody: a log line, a branch's name, a user
 * agent. What reads like an order to whoever decides is taken out before anything reads the alert. */
#ifndef SLM_INJECTION_H
#define SLM_INJECTION_H

#include <stdbool.h>
#include <stddef.h>

#include "alert/alert.h"
#include "base/arena.h"
#include "base/str.h"

enum { INJECTION_VALUE_MAX = 8 * 1024 }; /* bytes of a value that are looked at; the rest of it is left out */

/* Look at every label and annotation of `in`. True if something tried to instruct: `cleaned` is then the alert without
 * it, and `removed` has one line for each piece taken out, "name: text", sanitised. A label's value is replaced by "x"
 * here and where annotations repeat it; of an annotation the bracket, quotation or sentence goes. False: `cleaned` is
 * the alert as it was, long values cut. Fingerprint and times are `in`'s; name, description and target are made anew of
 * what is left, so act on the target of `in`. All lives as long as the arena and `in`. `removed` may hold text before. */
bool injection_scan(struct arena *arena, const struct alert *in, struct alert *cleaned,
                    struct strbuf *removed);

#endif
