#include "resolve/deb822.h"

#include <string.h>
#include <strings.h>

const char *deb822_field(struct arena *a, const char *text, const char *name)
{
    size_t n = strlen(name);
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        if (strncasecmp(line, name, n) != 0 || line[n] != ':')
            continue;
        const char *value = line + n + 1;
        value += strspn(value, " \t");
        size_t length = strcspn(value, "\r\n");
        while (length && strchr(" \t", value[length - 1]))
            length--;
        return arena_strndup(a, value, length);
    }
    return NULL;
}
