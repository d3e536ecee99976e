/* What the files of processor/ tell each other.
 *
 *   filter.c      which alerts are worked on
 *   episode.c     a delivery and the alert that is known: the same, changed, ended, begun anew
 *   correlate.c   which incident an alert belongs to
 *   intake.c      a payload from the inbox → alerts and incidents, in one transaction
 *   expire.c      alerts that went silent
 *   rest.c        what a truncated payload left out, asked of Alertmanager
 *   work.c        workers: incidents that need work → the steps
 *   processor.c   threads, start and stop */
#ifndef PROCESSOR_PROCESSOR_INTERNAL_H
#define PROCESSOR_PROCESSOR_INTERNAL_H

#include <pthread.h>

#include "processor/processor.h"
#include "store/inbox.h"
#include "store/jobs.h"
#include "store/news.h"

enum { OWNER_MAX = 96 };

struct bell { /* rung when there may be something to do */
    pthread_cond_t wake;
    uint64_t rings;
};

struct processor {
    struct store *store; /* these are set before the threads start, read-only since */
    struct config_live *config;
    struct processor_steps steps;
    char owner[OWNER_MAX];   /* of leases: host, process and start */
    struct store_news *news; /* of the other replicas; NULL where there are none */

    pthread_mutex_t lock; /* guards what follows; held to change it, not across work */
    struct bell intake_bell, rest_bell, work_bell, stop_bell;
    bool stopping;
    struct lease_list *leases; /* work.c's: what is being worked on */

    pthread_t intake_thread, rest_thread, tidy_thread;
    struct worker *workers;
    size_t worker_count;

    int64_t payloads, alerts, filtered, worked, failed; /* atomic counts */
    unsigned busy;                                      /* atomic */
};

/* Without threads: tests take one step at a time. */
struct processor *processor_new(struct store *store, struct config_live *live,
                                const struct processor_steps *steps);
void processor_free(struct processor *processor);

bool processor_is_stopping(struct processor *processor);
/* Sleep until the bell rings, the processor stops, or `ms` have passed. `seen` counts the rings that were answered. */
void bell_wait(struct processor *processor, struct bell *bell, uint64_t *seen, int64_t ms);
void bell_ring(struct processor *processor, struct bell *bell);
/* Wake two workers. Each that finds work wakes two more: soon all are awake, and few look in vain. */
void bell_ring_workers(struct processor *processor);

bool conditions_are_met(const struct config_texts_map *conditions, const struct alert *alert);

/* --- episode.c */

enum episode {
    EPISODE_SAME,     /* said again */
    EPISODE_NEW,      /* a new alert fires */
    EPISODE_ENDED,    /* it is resolved */
    EPISODE_REOPENED, /* it fires again, as the same alert */
    EPISODE_PAST,     /* an end of what was never seen to fire: kept, no work */
};

/* What a delivery means for what is known of its fingerprint, and the record as it is then. `known` may be NULL.
 * For EPISODE_NEW and EPISODE_PAST the record is a new one, without an id. */
struct delivery {
    const struct alert *alert;
    struct str receiver, group_key;
    const char *trace_id;
    int64_t now; /* UTC ms, our clock */
};
enum episode episode_of(const struct config_intake *config, const struct delivery *delivery,
                        const struct alert_record *known, struct alert_record *record);
bool episode_is_flapping(const struct config_intake *config, const struct alert_record *record, int64_t now);

/* --- correlate.c */

/* The incidents that one transaction touches, read once and written once. */
struct incident_set {
    struct tx *tx;
    struct arena *arena;
    const struct config *config;
    struct entry {
        struct incident incident;
        bool is_new, is_changed;
    } **entries;
    size_t count, room;
};
/* Find the alert's incident or open one, and count the alert in. */
bool correlate_join(struct incident_set *set, struct alert_record *record, struct entry **joined,
                    struct error **err);
/* The alert has ended, or fires again. */
bool correlate_leave(struct incident_set *set, const struct alert_record *record, int64_t now,
                     struct error **err);
bool correlate_rejoin(struct incident_set *set, struct alert_record *record, struct entry **joined,
                      struct error **err);
bool correlate_write(struct incident_set *set, struct error **err);

/* --- intake.c, expire.c, work.c */

/* Take what the inbox holds, one batch; *did says whether there was anything. */
bool intake_once(struct processor *processor, struct arena *arena, bool *did, struct error **err);
/* End what has been silent for intake.expire_after; *more: there are others. */
bool expire_once(struct processor *processor, struct arena *arena, int64_t now, bool *more,
                 struct error **err);

/* One truncated group, if one is due. */
bool rest_once(struct processor *processor, struct arena *arena, bool *did, struct error **err);

bool work_once(struct processor *processor, struct arena *arena, const char *owner, bool *did,
               struct error **err);
struct lease_list *lease_list_new(void);
void work_renew_leases(struct processor *processor);
void work_request(const struct incident *incident, int64_t due_at, struct job_request *request);

#endif
