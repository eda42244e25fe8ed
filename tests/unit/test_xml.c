#include "unit.h"

#include "boot/xml.h"

static const struct forward forwards[] = {{"127.0.0.1", "tcp", 2222, 22}, {"::1", "udp", 5353, 53}};

static struct domain_spec spec(void)
{
    return (struct domain_spec){
        .instance = {.name = "demo",
                     .image = "demo",
                     .version = "1.0",
                     .artifact = "/srv/out/demo & <co>",
                     .disk_sha256 = "00ff",
                     .folder = "/state/instances/demo",
                     .base = "/state/instances/demo/base",
                     .console_log = "/state/instances/demo/console.log",
                     .seed = "cloud-init",
                     .instance_id = "ingot-1",
                     .hostname = "demo",
                     .user = "debian",
                     .network = "user",
                     .agent = true,
                     .forwards = forwards,
                     .forward_count = 2},
        .arch = "amd64",
        .firmware = "bios",
        .accel = ACCEL_KVM,
        .memory = (uint64_t)1 << 30,
        .cpus = 2,
        .disk = "/state/instances/demo/disk.qcow2",
        .base_format = "qcow2",
        .seed_iso = "/state/instances/demo/cidata.iso",
        .mac = "52:54:00:01:02:03",
    };
}

static void has(const char *xml, const char *part)
{
    if (!strstr(xml, part))
        fail_msg("\"%s\" is not in\n%s", part, xml);
}

static void lacks(const char *xml, const char *part)
{
    if (strstr(xml, part))
        fail_msg("\"%s\" is in\n%s", part, xml);
}

static void bios(void **state)
{
    (void)state;
    const struct domain_spec d = spec();
    autofree char *xml = NULL;
    assert_ok(xml_domain(&d, &xml, &err));
    has(xml, "<domain xmlns:qemu=\"http://libvirt.org/schemas/domain/qemu/1.0\" type=\"kvm\">");
    has(xml, "<memory unit=\"KiB\">1048576</memory>");
    has(xml, "machine=\"pc\"");
    has(xml, "<cpu mode=\"host-passthrough\"");
    has(xml, "<seclabel model=\"dac\" relabel=\"no\"/>");
    has(xml, "<target dev=\"hdc\" bus=\"ide\"/>");
    has(xml, "user,id=ingot0,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=udp:[::1]:5353-:53");
    has(xml, "virtio-net-pci,netdev=ingot0,mac=52:54:00:01:02:03,bus=pci.0,addr=0x10");
    has(xml, "org.qemu.guest_agent.0");
    has(xml, "/srv/out/demo &amp; &lt;co&gt;");
    lacks(xml, "<interface");
    lacks(xml, "secure-boot");
}

static void uefi(void **state)
{
    (void)state;
    struct domain_spec d = spec();
    d.firmware = "uefi";
    d.accel = ACCEL_TCG;
    d.instance.network = "lan";
    d.instance.forward_count = 0;
    autofree char *xml = NULL;
    assert_ok(xml_domain(&d, &xml, &err));
    has(xml, "<os firmware=\"efi\">");
    has(xml, "<feature enabled=\"no\" name=\"secure-boot\"/>");
    has(xml, "machine=\"q35\"");
    has(xml, "type=\"qemu\"");
    has(xml, "<cpu mode=\"maximum\"");
    has(xml, "<controller type=\"scsi\" model=\"virtio-scsi\"/>");
    has(xml, "<target dev=\"sda\" bus=\"scsi\"/>");
    has(xml, "<source network=\"lan\"/>");
    lacks(xml, "commandline");
}

static void passt(void **state)
{
    (void)state;
    struct domain_spec d = spec();
    d.passt = true;
    d.seed_iso = NULL;
    autofree char *xml = NULL;
    assert_ok(xml_domain(&d, &xml, &err));
    has(xml, "<backend type=\"passt\"/>");
    has(xml, "<portForward proto=\"tcp\" address=\"127.0.0.1\">");
    has(xml, "<range start=\"2222\" to=\"22\"/>");
    lacks(xml, "commandline");
    lacks(xml, "cdrom");
}

static void strange_paths(void **state)
{
    (void)state;
    static const char *const bad[] = {"/a\nb", "/a\x01", "/\xff\xfe"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct domain_spec d = spec();
        d.disk = bad[i];
        char *xml = NULL;
        assert_fails(xml_domain(&d, &xml, &err), ERROR_INPUT, "cannot be told");
    }
}

/* What libvirt hands out is the element alone, with its name space. */
static const char element[] =
    "<ingot:instance xmlns:ingot=\"urn:ingot:instance\" version=\"1\"><ingot:image>demo"
    "</ingot:image><ingot:artifact>/srv/a &amp; b</ingot:artifact><ingot:disk-sha256>00"
    "</ingot:disk-sha256><ingot:folder>/f</ingot:folder><ingot:base>/b</ingot:base>"
    "<ingot:console>/c</ingot:console><ingot:seed>none</ingot:seed><ingot:instance-id>i"
    "</ingot:instance-id><ingot:hostname>h</ingot:hostname><ingot:network>user</ingot:network>"
    "<ingot:agent>yes</ingot:agent><ingot:forward address=\"127.0.0.1\" protocol=\"tcp\" "
    "host=\"1\" guest=\"2\"/><ingot:forward address=\"x\"/><ingot:later/></ingot:instance>";

static void metadata(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    const struct instance *i;
    assert_ok(xml_metadata(a, element, "demo", &i, &err));
    assert_string_equal(i->name, "demo");
    assert_string_equal(i->artifact, "/srv/a & b");
    assert_null(i->version);
    assert_null(i->user);
    assert_true(i->agent);
    assert_int_equal(i->forward_count, 1);
    assert_int_equal(i->forwards[0].guest, 2);
    assert_fails(xml_metadata(a, "<x", "demo", &i, &err), ERROR_INPUT, "cannot be read");
    assert_fails(xml_metadata(a, "<instance/>", "demo", &i, &err), ERROR_INPUT, "lacks 'image'");
}

static void to_tcg(void **state)
{
    (void)state;
    const struct domain_spec d = spec();
    autofree char *xml = NULL, *slower = NULL, *again = NULL;
    autoarena struct arena *a = arena_new();
    const char *type;
    bool changed;
    assert_ok(xml_domain(&d, &xml, &err));
    assert_ok(xml_use_tcg(xml, &slower, &changed, &err));
    assert_true(changed);
    has(slower, "type=\"qemu\"");
    has(slower, "<cpu mode=\"maximum\"");
    lacks(slower, "host-passthrough");
    has(slower, "urn:ingot:instance");
    assert_ok(xml_use_tcg(slower, &again, &changed, &err));
    assert_false(changed);
    assert_ok(xml_domain_type(a, slower, &type, &err));
    assert_string_equal(type, "qemu");
    autofree char *none = NULL;
    assert_fails(xml_use_tcg("<x/>", &none, &changed, &err), ERROR_INTERNAL, "cannot be read");
}

static void capabilities(void **state)
{
    (void)state;
    uid_t uid;
    gid_t gid;
    assert_true(xml_qemu_user("<capabilities><host><secmodel><model>none</model></secmodel>"
                              "<secmodel><model>dac</model><baselabel type='kvm'>+64055:+106"
                              "</baselabel><baselabel type='qemu'>+1:+2</baselabel></secmodel>"
                              "</host></capabilities>",
                              &uid, &gid));
    assert_int_equal(uid, 64055);
    assert_int_equal(gid, 106);
    assert_false(xml_qemu_user("<capabilities/>", &uid, &gid));
    assert_false(xml_qemu_user("<", &uid, &gid));
    assert_true(xml_has_passt("<domainCapabilities><devices><interface supported='yes'><enum "
                              "name='backendType'><value>default</value><value>passt</value>"
                              "</enum></interface></devices></domainCapabilities>"));
    assert_false(xml_has_passt("<domainCapabilities><devices/></domainCapabilities>"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bios),          cmocka_unit_test(uefi),     cmocka_unit_test(passt),
        cmocka_unit_test(strange_paths), cmocka_unit_test(metadata), cmocka_unit_test(to_tcg),
        cmocka_unit_test(capabilities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
