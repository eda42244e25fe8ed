/* layer: plan */
/* systemctl is the judge: it makes the same links in a root of its own. */
#include "unit.h"

#include "base/path.h"
#include "base/process.h"
#include "plan/plan.h"

static const struct {
    const char *name, *text;
} units[] = {
    {"etc/systemd/system/site.service",
     "[Service]\nExecStart=/x\n[Install]\nWantedBy=multi-user.target\nAlias=other.service\n"},
    {"usr/lib/systemd/system/a.socket",
     "[Socket]\nListenStream=/run/a\n[Install]\nWantedBy=sockets.target\nAlso=b@x.service\n"},
    {"usr/lib/systemd/system/b@.service",
     "[Service]\nExecStart=/x\n[Install]\nRequiredBy=multi-user.target\nDefaultInstance=y\n"},
    {"usr/lib/systemd/system/c.timer",
     "[Timer]\nOnBootSec=1\n[Install]\n# no\nWantedBy=\\\n  timers.target\n"},
    {"usr/lib/systemd/system/d.service",
     "[Service]\nExecStart=/x\n[Install]\nWantedBy=multi-user.target\nAlso=d.socket e.slice\n"},
    {"usr/lib/systemd/system/d.socket",
     "[Socket]\nListenStream=/run/d\n[Install]\nWantedBy=sockets.target\nAlso=d.service\n"},
    {"usr/lib/systemd/system/e.slice", "[Slice]\n[Install]\nWantedBy=slices.target\n"},
};
#define ENABLED "site", "a.socket", "b@", "c.timer", "d"

static void put_units(const char *root)
{
    for (size_t i = 0; i < COUNT(units); i++) {
        autofree char *path = path_join(root, units[i].name), *folder = path_dirname(path);
        assert_ok(file_make_dirs(folder, 0755, &err));
        assert_ok(file_write(path, units[i].text, strlen(units[i].text), 0644, &err));
    }
}

/* The links that systemctl makes, as sorted lines `/path -> target`. */
static char *links_of_systemctl(const char *systemctl, const char *root)
{
    autofree char *option = NULL;
    assert_true(asprintf(&option, "--root=%s", root) > 0);
    const char *const enable[] = {systemctl, option, "enable", ENABLED, NULL};
    const char *const find[] = {"find", root, "-type", "l", "-printf", "/%P -> %l\n", NULL};
    struct process p = {.argv = enable, .timeout_seconds = 60};
    autoresult struct process_result enabled = {0}, found = {0}, sorted = {0};
    assert_ok(process_check(&p, ERROR_HOST, &enabled, &err));
    p.argv = find;
    assert_ok(process_check(&p, ERROR_HOST, &found, &err));
    const char *const sort[] = {"sort", NULL}, *const plain[] = {"LC_ALL=C", NULL};
    p = (struct process){.argv = sort,
                         .env = plain,
                         .input = found.out.data,
                         .input_size = found.out.size,
                         .timeout_seconds = 60};
    assert_ok(process_check(&p, ERROR_HOST, &sorted, &err));
    return buffer_take(&sorted.out);
}

static char *links_of_plan(const struct plan *p)
{
    struct buffer b = {0};
    for (size_t i = 0; i < p->entry_count; i++)
        if (p->entries[i].kind == ENTRY_LINK)
            buffer_printf(&b, "%s -> %s\n", p->entries[i].path, p->entries[i].target);
    return buffer_take(&b);
}

static void systemctl_makes_the_same_links(void **state)
{
    (void)state;
    autofree char *systemctl = process_find("systemctl");
    if (!systemctl) {
        print_message("systemctl is not installed\n");
        skip();
    }
    autotempdir char *dir = unit_temp_dir();
    autofree char *root = path_join(dir, "root"), *overlay = path_join(dir, "overlay");
    put_units(root);
    put_units(overlay);
    static const char *const none[] = {NULL};
    static const struct facts facts = {.pretty_name = "x",
                                       .architecture = "amd64",
                                       .init = INIT_SYSTEMD,
                                       .usr_merged = true,
                                       .has_agent = true,
                                       .installed = none};
    static const char *const names[] = {ENABLED};
    struct text_at enable[COUNT(names)] = {0}, overlays[] = {{.text = overlay}};
    for (size_t i = 0; i < COUNT(names); i++)
        enable[i].text = names[i];
    const struct recipe recipe = {.name = {.text = "x"},
                                  .title = "x",
                                  .overlays = {overlays, 1},
                                  .services_enable = {enable, COUNT(enable)}};
    autoinputs struct inputs *in = inputs_new(NULL);
    autoplan struct plan *p = NULL;
    assert_ok(plan_make(&recipe, in, NULL, &facts, NULL, 0, &p, &err));
    autofree char *ours = links_of_plan(p), *theirs = links_of_systemctl(systemctl, root);
    assert_string_equal(ours, theirs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(systemctl_makes_the_same_links)};
    return cmocka_run_group_tests_name("enable", tests, NULL, NULL);
}
