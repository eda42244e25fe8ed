#include "base/cli.h"

#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/text.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

static const struct option_spec common[] = {
    {"help", 'h', OPTION_FLAG, 0, NULL, "show this help"},
    {"version", 0, OPTION_FLAG, 0, NULL, "show the version"},
    {"verbose", 'v', OPTION_COUNT, offsetof(struct cli, verbose), NULL, "say more"},
    {"quiet", 'q', OPTION_COUNT, offsetof(struct cli, quiet), NULL, "say less"},
    {"color", 0, OPTION_STRING, offsetof(struct cli, color), "auto|always|never",
     "colour on stderr"},
    {"progress", 0, OPTION_STRING, offsetof(struct cli, progress), "auto|bar|plain|json",
     "how progress is shown on stderr"},
    {"json", 0, OPTION_FLAG, offsetof(struct cli, json), NULL,
     "one JSON document on stdout, errors included"},
    {0},
};

static const struct option_spec *find(const struct option_spec *table, const char *name, size_t n,
                                      char letter)
{
    for (; table && table->name; table++)
        if (letter ? table->letter == letter
                   : strlen(table->name) == n && strncmp(table->name, name, n) == 0)
            return table;
    return NULL;
}

static bool store(const struct option_spec *o, void *into, const char *value, struct error **err)
{
    void *at = (char *)into + o->offset;
    char *end;
    unsigned long number;
    switch (o->type) {
    case OPTION_FLAG:
        *(bool *)at = true;
        break;
    case OPTION_COUNT:
        ++*(unsigned *)at;
        break;
    case OPTION_STRING:
        *(const char **)at = value;
        break;
    case OPTION_LIST:
    case OPTION_WORDS: {
        struct cli_list *list = at;
        list->given = true;
        if (!value)
            break;
        list->items = realloc(list->items, (list->count + 1) * sizeof *list->items);
        if (!list->items)
            abort();
        list->items[list->count++] = value;
        break;
    }
    case OPTION_NUMBER:
        errno = 0;
        number = strtoul(value, &end, 10);
        if (errno || *end || !*value || *value == '-' || number > UINT_MAX)
            return error_set(err, ERROR_USAGE, "--%s takes a whole number, not '%s'", o->name,
                             value);
        *(unsigned *)at = (unsigned)number;
        break;
    }
    return true;
}

struct parser {
    struct cli *cli;
    void *options;
    char **argv;
    int argc, at;
    bool help, version;
};

static bool unknown_option(const struct parser *p, const char *what, size_t n, struct error **err)
{
    const char *names[64];
    size_t count = 0;
    autofree char *given = strndup(what, n);
    for (const struct option_spec *o = common; o->name; o++)
        names[count++] = o->name;
    for (const struct option_spec *o = p->cli->command ? p->cli->command->options : NULL;
         o && o->name && count < COUNT(names); o++)
        names[count++] = o->name;
    const char *near = text_nearest(given + strspn(given, "-"), names, count);
    const char *dashes = *given == '-' ? "" : "--", *program = p->cli->program->name;
    if (near)
        return error_set(err, ERROR_USAGE, "unknown option '%s%s' (did you mean --%s?)", dashes,
                         given, near);
    if (!p->cli->command)
        return error_set(err, ERROR_USAGE, "unknown option '%s%s' (%s --help lists them)", dashes,
                         given, program);
    return error_set(err, ERROR_USAGE, "unknown option '%s%s' (%s %s --help lists them)", dashes,
                     given, program, p->cli->command->name);
}

static bool take_words(struct parser *p, const struct option_spec *o, void *into,
                       struct error **err)
{
    bool ok = store(o, into, NULL, err);
    while (ok && p->at + 1 < p->argc && p->argv[p->at + 1][0] != '-')
        ok = store(o, into, p->argv[++p->at], err);
    return ok;
}

/* One option, given as name (of length n) or letter; value is what stands behind `=` or the letter.
 */
static bool take_option(struct parser *p, const char *name, size_t n, char letter,
                        const char **value, struct error **err)
{
    void *into = p->cli;
    const struct option_spec *o = find(common, name, n, letter);
    if (!o && p->cli->command) {
        o = find(p->cli->command->options, name, n, letter);
        into = p->options;
    }
    if (!o)
        return unknown_option(p, letter ? (char[]){'-', letter, 0} : name, letter ? 2 : n, err);
    bool wants = o->type != OPTION_FLAG && o->type != OPTION_COUNT;
    if (!wants && !letter && *value)
        return error_set(err, ERROR_USAGE, "--%s takes no value", o->name);
    if (!wants) {
        if (o == &common[0])
            p->help = true;
        else if (o == &common[1])
            p->version = true;
        else
            return store(o, into, NULL, err);
        return true;
    }
    if (o->type == OPTION_WORDS && !*value)
        return take_words(p, o, into, err);
    if (!*value) {
        if (p->at + 1 >= p->argc)
            return error_set(err, ERROR_USAGE, "--%s needs a value: %s", o->name,
                             o->value ? o->value : "VALUE");
        *value = p->argv[++p->at];
    }
    const char *given = *value;
    *value = NULL;
    return store(o, into, given, err);
}

static bool take_letters(struct parser *p, const char *letters, struct error **err)
{
    for (const char *l = letters; l && *l;) {
        const char *rest = l[1] ? l + 1 : NULL;
        const char *before = rest;
        if (!take_option(p, NULL, 0, *l, &rest, err))
            return false;
        if (before && !rest)
            return true; /* the rest was the value */
        l = rest;
    }
    return true;
}

static bool take_command(struct parser *p, const char *name, struct error **err)
{
    const char *names[64];
    size_t count = 0;
    for (const struct command *const *c = p->cli->program->commands; *c; c++) {
        names[count++] = (*c)->name;
        if (strcmp((*c)->name, name) != 0)
            continue;
        p->cli->command = *c;
        p->options = calloc(1, (*c)->options_size ? (*c)->options_size : 1);
        if (!p->options)
            abort();
        return true;
    }
    const char *near = text_nearest(name, names, count);
    if (near)
        return error_set(err, ERROR_USAGE, "unknown command '%s' (did you mean '%s'?)", name, near);
    return error_set(err, ERROR_USAGE, "unknown command '%s' (%s --help lists them)", name,
                     p->cli->program->name);
}

static bool parse(struct parser *p, struct error **err)
{
    bool options_over = false;
    for (p->at = 1; p->at < p->argc; p->at++) {
        const char *a = p->argv[p->at];
        if (!options_over && strcmp(a, "--") == 0) {
            options_over = true;
        } else if (!options_over && strncmp(a, "--", 2) == 0) {
            size_t n = strcspn(a + 2, "=");
            const char *value = a[2 + n] ? a + 2 + n + 1 : NULL;
            if (!take_option(p, a + 2, n, 0, &value, err))
                return false;
        } else if (!options_over && a[0] == '-' && a[1]) {
            if (!take_letters(p, a + 1, err))
                return false;
        } else if (!p->cli->command) {
            if (!take_command(p, a, err))
                return false;
        } else {
            p->cli->arguments[p->cli->argument_count++] = a;
        }
    }
    return true;
}

static void print_options(const struct option_spec *o, const char *title)
{
    printf("\n%s\n", title);
    for (; o && o->name; o++) {
        char left[64];
        int n = snprintf(left, sizeof left, "  %c%c%s --%s", o->letter ? '-' : ' ',
                         o->letter ? o->letter : ' ', o->letter ? "," : " ", o->name);
        if (o->type != OPTION_FLAG && o->type != OPTION_COUNT && n > 0 && n < (int)sizeof left)
            snprintf(left + n, sizeof left - (size_t)n, o->type == OPTION_WORDS ? " [%s…]" : " %s",
                     o->value ? o->value : "VALUE");
        int wide = 0; /* columns, not bytes */
        for (const char *s = left; *s; s++)
            wide += ((unsigned char)*s & 0xc0) != 0x80;
        if (wide > 30)
            printf("%s\n%30s  %s\n", left, "", o->help);
        else
            printf("%s%*s  %s\n", left, 30 - wide, "", o->help);
    }
}

static void print_help(const struct cli *cli)
{
    const struct cli_program *p = cli->program;
    const struct command *c = cli->command;
    if (c) {
        printf("Usage: %s %s%s%s%s\n\n%s\n", p->name, c->name, c->options ? " [OPTION…]" : "",
               c->arguments ? " " : "", c->arguments ? c->arguments : "", c->summary);
        if (c->details)
            printf("\n%s\n", c->details);
        if (c->options)
            print_options(c->options, "Options:");
    } else {
        printf("Usage: %s COMMAND [OPTION…] [ARGUMENT…]\n\n%s\n\nCommands:\n", p->name, p->summary);
        for (const struct command *const *i = p->commands; *i; i++)
            printf("  %-12s %s\n", (*i)->name, (*i)->summary);
    }
    print_options(common, "Options of all commands:");
    printf("\nExit codes:\n    0  done\n");
    for (size_t i = 0; i < ERROR_KINDS; i++)
        printf("  %3d  %s\n", error_kinds[i].exit_code, error_kinds[i].meaning);
    if (!c)
        printf("\n%s COMMAND --help says more about a command.\n", p->name);
}

static bool apply_common(const struct cli *cli, struct error **err)
{
    static const char *const modes[] = {"auto", "bar", "plain", "json"};
    static const char *const colors[] = {"auto", "always", "never"};
    size_t mode = 0, color = 0;
    while (cli->progress && mode < COUNT(modes) && strcmp(cli->progress, modes[mode]) != 0)
        mode++;
    while (cli->color && color < COUNT(colors) && strcmp(cli->color, colors[color]) != 0)
        color++;
    if (mode == COUNT(modes))
        return error_set(err, ERROR_USAGE, "--progress is auto, bar, plain or json, not '%s'",
                         cli->progress);
    if (color == COUNT(colors))
        return error_set(err, ERROR_USAGE, "--color is auto, always or never, not '%s'",
                         cli->color);
    progress_set_mode((enum progress_mode)mode);
    log_set_color((enum log_color)color);
    if (!log_read_environment(err))
        return false;
    if (cli->verbose)
        log_set_level(LOG_DEBUG);
    else if (cli->quiet)
        log_set_level(cli->quiet > 1 ? LOG_ERROR : LOG_WARNING);
    return true;
}

static bool check_arguments(const struct cli *cli, struct error **err)
{
    const struct command *c = cli->command;
    if (cli->argument_count < c->min_arguments)
        return error_set(err, ERROR_USAGE, "%s needs %s (%s %s --help)", c->name,
                         c->arguments ? c->arguments : "an argument", cli->program->name, c->name);
    if (cli->argument_count > c->max_arguments)
        return error_set(err, ERROR_USAGE, "%s: unexpected argument '%s'", c->name,
                         cli->arguments[c->max_arguments]);
    return true;
}

static void report_json(const struct error *e)
{
    autojson json_t *document = json_object();
    json_t *body = json_object(), *chain = json_array();
    json_set_string(body, "kind", error_kinds[error_kind(e)].name);
    json_set_integer(body, "code", error_exit_code(e));
    json_set_string(body, "message", error_text(e));
    for (size_t i = 0; error_link(e, i); i++) {
        autojson json_t *link = json_object();
        json_set_string(link, "text", error_link(e, i));
        json_array_append(chain, json_object_get(link, "text"));
    }
    json_set(body, "chain", chain);
    struct place place = error_place(e);
    if (place.file) {
        json_t *where = json_object();
        json_set_string(where, "file", place.file);
        json_set_integer(where, "line", place.line);
        json_set_integer(where, "column", place.column);
        json_set(body, "place", where);
    }
    json_set(document, "error", body);
    autofree char *text = json_pretty(document);
    fputs(text, stdout);
}

static bool run(struct parser *p, struct error **err)
{
    struct cli *cli = p->cli;
    bool parsed = parse(p, err);
    if (p->version) {
        printf("%s %s\n", cli->program->name, cli->program->version);
        return true;
    }
    if (p->help) {
        print_help(cli);
        return true;
    }
    if (!parsed || !apply_common(cli, err))
        return false;
    if (!cli->command)
        return error_set(err, ERROR_USAGE, "no command (%s --help lists them)", cli->program->name);
    return check_arguments(cli, err) && cli->command->run(cli, p->options, err);
}

/* True if --json is given: also where the parsing ended before it. */
static bool wants_json(const struct parser *p)
{
    bool found = p->cli->json;
    for (int i = p->at; i < p->argc && strcmp(p->argv[i], "--") != 0; i++)
        found = found || strcmp(p->argv[i], "--json") == 0;
    return found;
}

static void free_options(const struct parser *p)
{
    const struct option_spec *o = p->cli->command ? p->cli->command->options : NULL;
    for (; o && o->name; o++)
        if (o->type == OPTION_LIST || o->type == OPTION_WORDS)
            free(((struct cli_list *)((char *)p->options + o->offset))->items);
    free(p->options);
}

int cli_main(const struct cli_program *program, int argc, char **argv)
{
    interrupt_install();
    int code = 0;
    autofree const char **arguments = calloc((size_t)argc + 1, sizeof *arguments);
    if (!arguments)
        abort();
    struct cli cli = {.program = program, .arguments = arguments, .exit_code = &code};
    struct parser p = {.cli = &cli, .argv = argv, .argc = argc};
    autoerror struct error *e = NULL;
    if (!run(&p, &e)) {
        progress_done();
        if (wants_json(&p))
            report_json(e);
        log_error("%s", error_text(e));
        code = error_exit_code(e);
    }
    free_options(&p);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        log_error("cannot write to stdout: %s", strerror(errno));
        code = code ? code : error_kinds[ERROR_HOST].exit_code;
    }
    return code;
}
