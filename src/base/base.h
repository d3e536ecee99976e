/* The ground floor: what every room may use, and which knows nothing of alerts. */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/quantity.h"
#include "base/queue.h"
#include "base/rand.h"
#include "base/sha256.h"
#include "base/str.h"
#include "base/utf8.h"

#endif
