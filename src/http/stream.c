/* Answers that grow: server-sent events. A writer appends to a bounded buffer; libmicrohttpd takes from it, and the
 * connection is suspended while there is nothing to take. */
#include "http/http_internal.h"

#include <stdlib.h>

struct http_stream {
    struct http_server *server;
    struct MHD_Connection *mhd;
    pthread_mutex_t lock; /* guards what follows */
    struct strbuf pending;
    size_t taken; /* of pending */
    bool suspended, closed, lost;
    int64_t written_ms;
    unsigned holders;                    /* the writer, the response, and the request */
    struct http_stream *previous, *next; /* guarded by streams_lock */
};

static pthread_mutex_t streams_lock =
    PTHREAD_MUTEX_INITIALIZER; /* guards the list; taken before a stream's own */
static struct http_stream *streams;

static void release(struct http_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    bool last = --stream->holders == 0;
    pthread_mutex_unlock(&stream->lock);
    if (!last)
        return;
    pthread_mutex_lock(&streams_lock);
    if (stream->previous)
        stream->previous->next = stream->next;
    else
        streams = stream->next;
    if (stream->next)
        stream->next->previous = stream->previous;
    pthread_mutex_unlock(&streams_lock);
    strbuf_free(&stream->pending);
    pthread_mutex_destroy(&stream->lock);
    free(stream);
}

/* With the stream's lock held. */
static void wake(struct http_stream *stream)
{
    if (stream->suspended && !stream->lost)
        MHD_resume_connection(stream->mhd);
    stream->suspended = false;
}

static ssize_t take(void *stream_, uint64_t position, char *out, size_t max)
{
    struct http_stream *stream = stream_;
    ssize_t result = 0;
    (void)position;
    pthread_mutex_lock(&stream->lock);
    size_t left = stream->pending.len - stream->taken;
    if (left) {
        result = (ssize_t)MIN(left, max);
        memcpy(out, stream->pending.ptr + stream->taken, (size_t)result);
        stream->taken += (size_t)result;
    } else if (stream->closed) {
        result = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        MHD_suspend_connection(stream->mhd);
        stream->suspended = true;
    }
    if (stream->taken == stream->pending.len) {
        strbuf_clear(&stream->pending);
        stream->taken = 0;
    }
    pthread_mutex_unlock(&stream->lock);
    return result;
}

static void response_freed(void *stream)
{
    release(stream);
}

static struct http_stream *stream_new(struct http_request *request)
{
    struct http_stream *stream = xcalloc(1, sizeof *stream);
    stream->server = request->server;
    stream->mhd = request->mhd;
    stream->holders = 3;
    stream->written_ms = clock_mono_ms();
    pthread_mutex_init(&stream->lock, NULL);
    pthread_mutex_lock(&streams_lock);
    stream->next = streams;
    if (streams)
        streams->previous = stream;
    streams = stream;
    pthread_mutex_unlock(&streams_lock);
    return stream;
}

struct http_stream *http_respond_stream(struct http_request *request, const char *content_type)
{
    enum { BLOCK = 4096 };
    struct http_stream *stream = stream_new(request);
    struct MHD_Response *answer =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, take, stream, response_freed);
    if (!answer)
        abort(); /* a small allocation: as xmalloc() */
    MHD_add_response_header(answer, "Content-Type", content_type ? content_type : "text/event-stream");
    MHD_add_response_header(answer, "Cache-Control", "no-store");
    MHD_add_response_header(answer, "X-Content-Type-Options", "nosniff");
    respond_take_stream(request, answer, stream);
    return stream;
}

bool http_stream_write(struct http_stream *stream, struct str data)
{
    pthread_mutex_lock(&stream->lock);
    if (stream->pending.len - stream->taken + data.len > HTTP_STREAM_MAX)
        stream->closed = true;
    bool open = !stream->closed && !stream->lost;
    if (open) {
        strbuf_add(&stream->pending, data);
        stream->written_ms = clock_mono_ms();
    }
    wake(stream);
    pthread_mutex_unlock(&stream->lock);
    return open;
}

void http_stream_close(struct http_stream *stream)
{
    if (!stream)
        return;
    pthread_mutex_lock(&stream->lock);
    stream->closed = true;
    wake(stream);
    pthread_mutex_unlock(&stream->lock);
    release(stream);
}

/* The request is completed: the client has left, or everything was sent. */
void stream_lost(struct http_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->lost = true;
    pthread_mutex_unlock(&stream->lock);
    release(stream);
}

void stream_ping_all(struct http_server *server)
{
    int64_t before = clock_mono_ms() - HTTP_PING_MS;
    pthread_mutex_lock(&streams_lock);
    for (struct http_stream *stream = streams; stream; stream = stream->next) {
        pthread_mutex_lock(&stream->lock);
        if (stream->server == server && !stream->closed && !stream->lost && stream->written_ms <= before) {
            strbuf_add(&stream->pending, STR(": still here\n\n"));
            stream->written_ms = clock_mono_ms();
            wake(stream);
        }
        pthread_mutex_unlock(&stream->lock);
    }
    pthread_mutex_unlock(&streams_lock);
}

void stream_end_all(struct http_server *server)
{
    pthread_mutex_lock(&streams_lock);
    for (struct http_stream *stream = streams; stream; stream = stream->next) {
        pthread_mutex_lock(&stream->lock);
        if (stream->server == server) {
            stream->closed = true;
            wake(stream);
        }
        pthread_mutex_unlock(&stream->lock);
    }
    pthread_mutex_unlock(&streams_lock);
}
