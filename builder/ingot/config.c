#include "base/buffer.h"
#include "base/json.h"
#include "ingot/commands.h"
#include "ingot/settings.h"
#include "source/url.h"

#include <string.h>

/* The value, without a password that a URL in it may hold. */
static char *shown(const char *value)
{
    autobuffer struct buffer b = {0};
    autofree char *copy = strdup(value);
    char *save = NULL;
    if (!copy)
        abort();
    for (char *word = strtok_r(copy, " \t\n", &save); word; word = strtok_r(NULL, " \t\n", &save)) {
        char *equals = strchr(word, '='), *url = equals ? equals + 1 : word;
        url += *url == '!';
        autofree char *redacted = url_redact(url);
        buffer_printf(&b, "%s%.*s%s", b.size ? " " : "", (int)(url - word), word, redacted);
    }
    return buffer_take(&b);
}

static bool run(const struct cli *cli, const void *given, struct error **err)
{
    (void)given;
    autoarena struct arena *a = arena_new();
    const struct setting *list;
    if (!settings_load(a, &list, err))
        return false;
    autojson json_t *document = json_object();
    for (; list->key; list++) {
        autofree char *redacted = list->value && list->list ? shown(list->value) : NULL;
        const char *value = redacted ? redacted : list->value ? list->value : list->fallback;
        json_t *one = json_object();
        json_set_string(one, "value", value);
        json_set_string(one, "origin", list->origin);
        json_set_string(one, "variable", list->variable);
        json_set(document, list->key, one);
        if (!cli->json)
            printf("%-12s %s\n%-12s %s; %s, %s\n", list->key, *value ? value : "-", "",
                   list->meaning, list->variable, list->origin);
    }
    if (cli->json) {
        autofree char *text = json_pretty(document);
        fputs(text, stdout);
    }
    return true;
}

const struct command command_config = {
    .name = "config",
    .summary = "Shows the settings and where each comes from",
    .details =
        "Settings stand in $XDG_CONFIG_HOME/ingot/config.yaml or /etc/ingot/config.yaml, or in\n"
        "the environment, which wins.",
    .run = run,
};
