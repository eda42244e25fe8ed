#include "unit.h"

#include "boot/registry.h"

/* libvirt's own test driver: a hypervisor in this process. Its name space of domains starts with
 * one that is not ours. */
static const char uri[] = "test:///default";

static const char xml[] =
    "<domain type='test'><name>%s</name><memory>65536</memory><os><type>hvm</type></os><metadata>"
    "<ingot:instance xmlns:ingot='urn:ingot:instance' version='1'><ingot:image>demo</ingot:image>"
    "<ingot:artifact>/a</ingot:artifact><ingot:disk-sha256>00</ingot:disk-sha256>"
    "<ingot:folder>/f</ingot:folder><ingot:base>/b</ingot:base><ingot:console>/c</ingot:console>"
    "<ingot:seed>none</ingot:seed><ingot:instance-id>i</ingot:instance-id>"
    "<ingot:hostname>h</ingot:hostname><ingot:network>user</ingot:network>"
    "<ingot:agent>yes</ingot:agent></ingot:instance></metadata></domain>";

static struct domain *define(struct virt *v, const char *name)
{
    autofree char *text = NULL;
    struct domain *d = NULL;
    assert_true(asprintf(&text, xml, name) > 0);
    assert_ok(virt_define(v, text, &d, &err));
    return d;
}

static void by_metadata(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    autovirt struct virt *v = NULL;
    struct registered *all;
    size_t count;
    const struct instance *i;
    assert_ok(virt_open(uri, &v, &err));
    assert_string_equal(virt_why(v), "as --connect says");
    {
        autodomain struct domain *d = NULL;
        assert_fails(registry_find(v, a, NULL, &d, &i, &err), ERROR_INPUT, "no instance");
        assert_fails(registry_find(v, a, "test", &d, &i, &err), ERROR_INPUT, "not one of ingot's");
        assert_null(d);
    }
    autodomain struct domain *two = define(v, "two"), *one = define(v, "one");
    assert_string_equal(domain_name(one), "one");
    assert_ok(registry_list(v, a, &all, &count, &err));
    assert_int_equal(count, 2);
    assert_string_equal(all[0].instance->name, "one");
    assert_string_equal(all[1].instance->name, "two");
    assert_string_equal(all[0].state, "shut off");
    assert_false(all[0].active);
    autodomain struct domain *found = NULL;
    assert_fails(registry_find(v, a, NULL, &found, &i, &err), ERROR_USAGE, "one, two");
    assert_ok(domain_undefine(two, &err));
    assert_ok(registry_find(v, a, NULL, &found, &i, &err));
    assert_string_equal(i->name, "one");
    assert_string_equal(i->artifact, "/a");
}

static void life(void **state)
{
    (void)state;
    autovirt struct virt *v = NULL;
    const char *name;
    bool active;
    assert_ok(virt_open(uri, &v, &err));
    autodomain struct domain *d = define(v, "one");
    assert_ok(domain_start(d, &err));
    assert_ok(domain_state(d, &name, &active, &err));
    assert_string_equal(name, "running");
    assert_true(active);
    assert_fails(domain_start(d, &err), ERROR_HOST, "cannot start 'one'");
    char *reply = NULL;
    assert_fails(domain_agent(d, "{}", 1, &reply, &err), ERROR_GUEST, "one: the guest agent");
    assert_ok(domain_destroy(d, &err));
    assert_ok(domain_destroy(d, &err));
    assert_ok(domain_state(d, &name, &active, &err));
    assert_false(active);
}

static void other_machines(void **state)
{
    (void)state;
    static const char *const far[] = {"qemu+ssh://host/system", "qemu://host/system",
                                      "qemu+ssh:///system", "qemu+tls:///system"};
    struct virt *v = NULL;
    for (size_t i = 0; i < COUNT(far); i++)
        assert_fails(virt_open(far[i], &v, &err), ERROR_UNSUPPORTED, "another machine");
    assert_fails(virt_open("system", &v, &err), ERROR_USAGE, "no libvirt URI");
}

static void which_uri(void **state)
{
    (void)state;
    autovirt struct virt *one = NULL, *two = NULL;
    setenv("INGOT_LIBVIRT_URI", uri, 1);
    assert_ok(virt_open(NULL, &one, &err));
    assert_string_equal(virt_why(one), "as INGOT_LIBVIRT_URI says");
    setenv("LIBVIRT_DEFAULT_URI", uri, 1);
    assert_ok(virt_open(NULL, &two, &err));
    assert_string_equal(virt_why(two), "as LIBVIRT_DEFAULT_URI says");
    unsetenv("LIBVIRT_DEFAULT_URI");
    unsetenv("INGOT_LIBVIRT_URI");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_metadata),
        cmocka_unit_test(life),
        cmocka_unit_test(other_machines),
        cmocka_unit_test(which_uri),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
