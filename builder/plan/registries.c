#include "plan/registries.h"

#include "base/text.h"

#include <string.h>

static const struct registries_format *const formats[] = {&registries_containers, &registries_k3s};

#define HOST_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]"
#define PATH_CHARACTERS HOST_CHARACTERS "/_~%+"

const struct registries_format *registries_find(const char *name)
{
    if (!name)
        return &registries_containers;
    for (size_t i = 0; i < COUNT(formats); i++)
        if (strcmp(formats[i]->name, name) == 0)
            return formats[i];
    return NULL;
}

bool registries_parse_mirror(const struct text_at *url, struct mirror *m, struct error **err)
{
    static const struct {
        const char *prefix;
        bool plain;
    } schemes[] = {{"https://", false}, {"http://", true}};
    for (size_t i = 0; i < COUNT(schemes); i++) {
        if (!text_starts_with(url->text, schemes[i].prefix))
            continue;
        const char *rest = url->text + strlen(schemes[i].prefix);
        if (strchr(rest, '@'))
            return error_set_at(err, ERROR_INPUT, url->place,
                                "a mirror's URL has no user and no password: a recipe holds no "
                                "secrets");
        size_t host = strspn(rest, HOST_CHARACTERS);
        size_t all = strspn(rest, PATH_CHARACTERS);
        if (host == 0 || (rest[host] && rest[host] != '/') || rest[all])
            break;
        *m = (struct mirror){schemes[i].plain, rest, host};
        return true;
    }
    return error_set_at(err, ERROR_INPUT, url->place,
                        "'%s' is not the URL of a mirror: https://host[:port][/path], or http://… "
                        "for one without TLS",
                        url->text);
}

bool registries_check_name(const struct text_at *name, struct error **err)
{
    const char *host = name->text;
    if (strcmp(host, "*") == 0)
        return true;
    if (text_starts_with(host, "*."))
        host += 2;
    size_t n = strspn(host, HOST_CHARACTERS);
    size_t all = strspn(host, PATH_CHARACTERS);
    if (n && (!host[n] || host[n] == '/') && !host[all] && !strstr(host, "//"))
        return true;
    return error_set_at(err, ERROR_INPUT, name->place,
                        "'%s' is not the name of a registry: host[:port], as in image names",
                        name->text);
}
