/* Checks of single texts, for rows of the table. */
#include "config/keys.h"

#include <arpa/inet.h>
#include <string.h>

bool config_check_url(const char *text, struct error **err)
{
    struct str rest = str_of(text);
    if (str_starts_with(rest, STR("http://")))
        rest = str_slice(rest, 7, rest.len);
    else if (str_starts_with(rest, STR("https://")))
        rest = str_slice(rest, 8, rest.len);
    else
        return error_set(err, ERROR_INVALID, "not a URL: write http://HOST:PORT or https://HOST");
    size_t end = strcspn(rest.ptr, "/?#");
    if (end == 0)
        return error_set(err, ERROR_INVALID, "a URL without a host");
    for (size_t i = 0; i < rest.len; i++)
        if ((unsigned char)rest.ptr[i] <= ' ' || rest.ptr[i] == 0x7f)
            return error_set(err, ERROR_INVALID, "a URL may not hold blanks or control characters");
    if (memchr(rest.ptr, '@', end))
        return error_set(err, ERROR_INVALID, "a URL may not carry a password: use the keys for credentials");
    return true;
}

bool config_check_host_port(const char *text, struct error **err)
{
    const char *colon = strrchr(text, ':');
    int64_t port;
    if (!colon || colon == text || !str_to_i64(str_of(colon + 1), &port) || port < 1 || port > 65535)
        return error_set(err, ERROR_INVALID, "write HOST:PORT");
    return true;
}

bool config_check_cidr(const char *text, struct error **err)
{
    unsigned char bytes[16];
    const char *slash = strchr(text, '/');
    AUTO(text) char *address = xstrndup(text, slash ? (size_t)(slash - text) : strlen(text));
    int family = strchr(address, ':') ? AF_INET6 : AF_INET;
    int64_t bits = 0;
    if (inet_pton(family, address, bytes) != 1)
        return error_set(err, ERROR_INVALID, "not a network: write 10.0.0.0/8, 192.0.2.7 or fd00::/8");
    if (slash && (!str_to_i64(str_of(slash + 1), &bits) || bits < 0 || bits > (family == AF_INET ? 32 : 128)))
        return error_set(err, ERROR_INVALID, "not a prefix length after the /");
    return true;
}

bool config_check_path(const char *text, struct error **err)
{
    if (text[0] != '/' || strpbrk(text, "?# {}"))
        return error_set(err, ERROR_INVALID, "write a path that begins with /");
    return true;
}

bool config_check_address(const char *text, struct error **err)
{
    unsigned char bytes[16];
    if (strcmp(text, "localhost") == 0 || inet_pton(AF_INET, text, bytes) == 1 ||
        inet_pton(AF_INET6, text, bytes) == 1)
        return true;
    return error_set(err, ERROR_INVALID, "not an IP address: write 127.0.0.1, 0.0.0.0 or ::");
}

bool config_check_time(const char *text, struct error **err)
{
    int64_t ms;
    if (!clock_parse(str_of(text), &ms))
        return error_set(err, ERROR_INVALID, "not a time: write 2027-01-31T00:00:00Z");
    return true;
}
