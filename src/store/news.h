/* News between the replicas on one PostgreSQL: that something was committed which another may work on, told by NOTIFY and
 * heard within a round trip. News are a hint: what is lost of them is found by the next look, so everybody looks now and
 * then all the same. A SQLite file has one server, which needs none. */
#ifndef STORE_NEWS_H
#define STORE_NEWS_H

#include "store/store.h"

enum store_news_kind { NEWS_INBOX = 1, NEWS_WORK = 2, NEWS_ALL = NEWS_INBOX | NEWS_WORK };

/* Called on the listener's thread with one kind or NEWS_ALL, which comes after a time in which nothing could be heard.
 * It must not wait. */
typedef void store_news_fn(void *context, unsigned kinds);

struct store_news; /* locks itself */

/* Listen, on a connection of its own that is made anew when it breaks. NULL on SQLite, which is no failure. */
struct store_news *store_news_start(struct store *store, store_news_fn *heard, void *context);
/* `heard` is not called any more once it returns. NULL is fine, here and below. */
void store_news_stop(struct store_news *news);
/* Tell the others, not ourselves. Any thread, after the commit; returns at once. */
void store_news_tell(struct store_news *news, unsigned kinds);

#endif
