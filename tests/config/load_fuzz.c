/* YAML from outside: the parser, and the whole way into the struct. */
#include "config/config.h"
#include "config/yaml.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void load_as_file(const uint8_t *data, size_t size)
{
    int fd = memfd_create("config.yaml", 0);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    AUTO(text) char *path = xasprintf("/proc/self/fd/%d", fd);
    static char *environment[] = { (char *)"HOME=/nowhere", (char *)"A=${B}", NULL };
    struct error *err = NULL;
    struct config *config =
        config_load(&(struct config_options){ .path = path, .environment = environment }, &err);
    if (config) {
        AUTO(strbuf) struct strbuf out = { 0 };
        config_show_yaml(config, &out);
        config_show_json(config, &out);
    } else if (!err || error_code(err) != ERROR_INVALID) {
        abort();
    }
    error_free(err);
    config_free(config);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(4096);
    struct error *err = NULL;
    if (!yaml_parse(arena, "f", (struct str){ (const char *)data, size }, &err) && !err)
        abort();
    error_free(err);
    arena_free(arena);
    load_as_file(data, size);
    return 0;
}
