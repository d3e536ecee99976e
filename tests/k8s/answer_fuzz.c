/* Any bytes as an object, as the Status of a refusal, as the events of a watch and as WebSocket frames. The first byte
 * chooses where the stream is cut. */
#include "k8s/k8s.h"

#include "k8s/k8s_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool take_event(const char *type, yyjson_val *object, void *context)
{
    (void)context;
    return *type && object;
}

static void read_object(struct str text)
{
    static const char *const kinds[] = { "Pod", "Node", "Deployment", "Job", "HorizontalPodAutoscaler" };
    AUTO(arena) struct arena *arena = arena_new(4096);
    AUTO(strbuf) struct strbuf selector = { 0 };
    AUTO(k8s_object) struct k8s_object *object = k8s_object_parse(text, NULL);
    struct k8s_owners owners = { 0 };
    if (!object)
        return;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        summarise(kinds[i], object->root);
    k8s_owners_of_metadata(arena, object->root, "/spec/replicas", NULL, &owners);
    k8s_selector_text(k8s_at(object->root, "/spec/selector"), &selector);
    k8s_selector_matches(k8s_at(object->root, "/spec/selector"), k8s_at(object->root, "/metadata/labels"));
    k8s_wait_rolled_out(object->root, NULL, NULL);
}

static void read_status(struct str text)
{
    AUTO(response) struct response response = { .status = 422 };
    struct k8s_answer answer = { 0 };
    strbuf_add(&response.body, text);
    answer_read(&answer, &response, false, true);
    answer_error(&answer, "fuzz", NULL);
}

static void read_frames(struct str text)
{
    struct websocket_frame frame;
    size_t used = 1;
    while (used && websocket_parse(text, 4096, &frame, &used, NULL))
        text = str_slice(text, used, text.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct str text = { (const char *)data + 1, size - 1 };
    struct watch_stream stream = { .event = take_event };
    size_t piece = data[0] ? data[0] : size;
    for (size_t at = 0; at < text.len && watch_stream_feed(&stream, str_slice(text, at, at + piece));
         at += piece)
        ;
    watch_stream_free(&stream);
    read_object(text);
    read_status(text);
    read_frames(text);
    return 0;
}
