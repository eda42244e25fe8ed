#include "resolve/deb.h"

#include "base/path.h"
#include "base/process.h"
#include "resolve/deb822.h"

#include <string.h>

static bool is_field(struct arena *a, const char *text, const char *name, const char *expected)
{
    const char *value = deb822_field(a, text, name);
    return value && strcmp(value, expected) == 0;
}

bool deb_control(const struct package *p, const char *file, struct buffer *out, struct error **err)
{
    const char *const argv[] = {"dpkg-deb", "--field", file, NULL};
    const char *const env[] = {"LC_ALL=C.UTF-8", NULL};
    const struct process process = {.argv = argv, .env = env, .timeout_seconds = 120};
    autoresult struct process_result r = {0};
    if (!process_check(&process, ERROR_INPUT, &r, err))
        return error_wrap(err, "cannot read the package file of %s", p->name);
    autoarena struct arena *a = arena_new();
    const char *text = r.out.data ? r.out.data : "";
    bool whole = r.out.size && strlen(text) == r.out.size && !strstr(text, "\n\n") &&
                 text[0] != '\n' && text[r.out.size - 1] == '\n';
    if (!whole || !is_field(a, text, "Package", p->name) ||
        !is_field(a, text, "Version", p->version) ||
        !is_field(a, text, "Architecture", p->architecture))
        return error_set(err, ERROR_INPUT,
                         "the file '%s' is not the package %s %s %s that it should be",
                         path_basename(file), p->name, p->version, p->architecture);
    buffer_add(out, text, r.out.size);
    return true;
}
