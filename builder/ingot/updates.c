#include "ingot/updates.h"

#include "base/log.h"
#include "base/progress.h"
#include "ingot/commands.h"
#include "recipe/recipe.h"

#include <limits.h>
#include <string.h>

struct options {
    bool offline;
    struct cli_list mirror, set;
};

static const struct option_spec options[] = {
    {"mirror", 0, OPTION_LIST, offsetof(struct options, mirror), "PREFIX=REPLACEMENT",
     "ask another server for what begins with PREFIX"},
    {"offline", 0, OPTION_FLAG, offsetof(struct options, offline), NULL,
     "is refused: who asks nobody knows of nothing newer"},
    {"set", 0, OPTION_LIST, offsetof(struct options, set), "KEY=VALUE",
     "override a key of the recipe"},
    {0},
};

bool updates_add(struct updates_report *t, const struct update *u, struct error **why,
                 struct error **err)
{
    struct arena *a = t->session->arena;
    struct updates_row row = {.recipe = t->recipe, .update = *u};
    if (why && *why) {
        row.kind = error_kind(*why);
        if (row.kind == ERROR_INTERRUPTED || row.kind == ERROR_TERMINATED) {
            *err = take_ptr(*why);
            return false;
        }
        row.error = arena_strdup(a, error_text(*why));
        error_free(*why);
        *why = NULL;
    }
    arena_append(a, t->rows, t->count, row);
    return true;
}

/* --- one recipe ---------------------------------------------------------------------------------
 */

/* NULL where there is no lock, or none for the recipe's architecture. */
static bool read_lock(struct session *s, const char *given, const struct recipe *r,
                      const struct lock_arch **out, struct error **err)
{
    autofree char *recipe = NULL, *path = NULL;
    const struct lock *lock = NULL;
    *out = NULL;
    if (!recipe_find(given, s->search, &recipe, err))
        return false;
    path = lock_path(recipe);
    if (!lock_read(s->arena, path, &lock, err))
        return false;
    if (lock && lock->arch[r->arch].present)
        *out = &lock->arch[r->arch];
    return true;
}

static bool check_recipe(struct updates_report *t, const char *given, const struct options *o,
                         struct error **err)
{
    autorecipe struct recipe *r = NULL;
    const struct lock_arch *locked;
    if (!session_recipe(t->session, given, &o->set, false, &r, err) ||
        !read_lock(t->session, given, r, &locked, err))
        return false;
    t->recipe = arena_strdup(t->session->arena, r->title);
    progress_step("ask what is newer for %s", r->title);
    return updates_of_base(t, r, locked, err) && updates_of_distribution(t, r, err) &&
           updates_of_packages(t, r, locked, err);
}

/* --- the report ---------------------------------------------------------------------------------
 */

static json_t *row_to_json(const struct updates_row *row)
{
    const struct update *u = &row->update;
    json_t *j = json_object();
    json_set_string(j, "recipe", row->recipe);
    json_set_string(j, "what", u->what);
    json_set_string(j, "current", u->current);
    json_set_string(j, "available", u->available);
    json_set_bool(j, "newer", u->newer);
    json_set_string(j, "url", u->url);
    json_set_string(j, "sha256", u->sha256);
    json_set_string(j, "note", u->note);
    if (row->error) {
        json_t *e = json_object();
        json_set_string(e, "kind", error_kinds[row->kind].name);
        json_set_integer(e, "code", error_kinds[row->kind].exit_code);
        json_set_string(e, "message", row->error);
        json_set(j, "error", e);
    }
    return j;
}

static void print_json(const struct updates_report *t, bool newer)
{
    autojson json_t *document = json_object();
    json_t *list = json_array();
    for (size_t i = 0; i < t->count; i++)
        json_array_append_new(list, row_to_json(&t->rows[i]));
    json_set_bool(document, "newer", newer);
    json_set(document, "updates", list);
    autofree char *text = json_pretty(document);
    fputs(text, stdout);
}

#define COLUMNS 4

static void fill_cells(const struct updates_row *row, const char *cells[COLUMNS])
{
    const struct update *u = &row->update;
    cells[0] = u->what;
    cells[1] = u->current ? u->current : "-";
    cells[2] = u->available ? u->available : "-";
    cells[3] = row->error ? "could not be asked" : u->note ? u->note : "";
}

static void print_line(const char *const cells[COLUMNS], const size_t widths[COLUMNS])
{
    size_t last = *cells[COLUMNS - 1] ? COLUMNS - 1 : COLUMNS - 2;
    for (size_t c = 0; c < last; c++)
        printf("%-*s  ", (int)widths[c], cells[c]);
    printf("%s\n", cells[last]);
}

/* A star marks what is newer; the reasons of what could not be asked go to stderr. */
static void print_table(const struct updates_report *t)
{
    static const char *const head[COLUMNS] = {"what", "current", "available", "note"};
    size_t widths[COLUMNS];
    const char *cells[COLUMNS], *recipe = NULL;
    for (size_t c = 0; c < COLUMNS; c++)
        widths[c] = strlen(head[c]);
    for (size_t i = 0; i < t->count; i++) {
        fill_cells(&t->rows[i], cells);
        for (size_t c = 0; c < COLUMNS; c++)
            widths[c] = strlen(cells[c]) > widths[c] ? strlen(cells[c]) : widths[c];
    }
    for (size_t i = 0; i < t->count; i++) {
        const struct updates_row *row = &t->rows[i];
        if (!recipe || strcmp(recipe, row->recipe) != 0) {
            printf("%s%s\n  ", recipe ? "\n" : "", row->recipe);
            print_line(head, widths);
            recipe = row->recipe;
        }
        fill_cells(row, cells);
        fputs(row->update.newer ? "* " : "  ", stdout);
        print_line(cells, widths);
        if (row->error)
            log_error("%s: %s: %s", row->recipe, row->update.what, row->error);
    }
}

static bool run(const struct cli *cli, const void *given, struct error **err)
{
    const struct options *o = given;
    autosession struct session *s = NULL;
    if (o->offline)
        return error_set(err, ERROR_UNREACHABLE,
                         "what is newer is known to servers alone, and --offline forbids to ask "
                         "them");
    const struct session_network network = {.mirrors = &o->mirror};
    if (!session_start(&s, &network, err))
        return false;
    struct updates_report t = {.session = s};
    for (size_t i = 0; i < cli->argument_count; i++)
        if (!check_recipe(&t, cli->arguments[i], o, err))
            return error_wrap(err, "%s", cli->arguments[i]);
    progress_done();
    bool newer = false;
    const struct updates_row *failed = NULL;
    for (size_t i = 0; i < t.count; i++) {
        newer = newer || t.rows[i].update.newer;
        failed = !failed && t.rows[i].error ? &t.rows[i] : failed;
    }
    if (cli->json)
        print_json(&t, newer);
    else
        print_table(&t);
    *cli->exit_code = newer    ? error_kinds[ERROR_CHANGED].exit_code
                      : failed ? error_kinds[failed->kind].exit_code
                               : 0;
    return true;
}

const struct command command_updates = {
    .name = "updates",
    .arguments = "RECIPE…",
    .summary = "Says what is newer than what a recipe or its lock has",
    .details =
        "Asks the services that the profiles of base and distribution name, the checksums of the\n"
        "base image (a release may be replaced in place), and the package indexes for what\n"
        "NAME.lock has. Nothing is changed, and nothing that is answered is trusted: `ingot lock\n"
        "--update` takes newer packages and images, a newer version is written into the recipe.\n"
        "The exit code is 10 where something is newer (marked with a star), else that of the "
        "first\n"
        "thing that could not be asked (5: unreachable), else 0.",
    .options = options,
    .options_size = sizeof(struct options),
    .min_arguments = 1,
    .max_arguments = UINT_MAX,
    .run = run,
};
