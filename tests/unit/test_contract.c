#include "unit.h"

#include "base/path.h"
#include "contract/contract.h"

static const char digest[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static const struct contract_file files[] = {
    {"disk", "demo-amd64.qcow2", "qcow2", 162000000, digest},
    {"seed", "demo-cidata.iso", "iso", 376832, digest},
};
static const struct contract_port ports[] = {{"127.0.0.1", "tcp", 2222, 22},
                                             {"0.0.0.0", "udp", 5353, 53}};
static const struct contract_package packages[] = {{"podman", "4.3.1"}, {"crun", "1.8"}};
static const struct contract_tool tools[] = {{"qemu-img", "7.2"}};

static struct contract full(void)
{
    return (struct contract){
        .name = "demo",
        .version = "1.2.3",
        .arch = "amd64",
        .firmware = "bios",
        .os = {"debian", "12", "Debian GNU/Linux 12 (bookworm)", "systemd"},
        .files = files,
        .file_count = 2,
        .minimum = {512 << 20, 1, (uint64_t)8 << 30},
        .recommended = {(uint64_t)2 << 30, 2, (uint64_t)8 << 30},
        .memory_share = 50,
        .memory_min = (uint64_t)1 << 30,
        .memory_max = (uint64_t)8 << 30,
        .seed = {"cidata", "cloud-init", true},
        .contains_secrets = true,
        .agent = true,
        .user = "debian",
        .ports = ports,
        .port_count = 2,
        .packages = packages,
        .package_count = 2,
        .distribution = {"k3s", "v1.30", "k3s.service", "/etc/rancher/k3s/k3s.yaml", 6443, true},
        .epoch = 1700000000,
        .tools = tools,
        .tool_count = 1,
        .plan = digest,
    };
}

static void round_trip(void **state)
{
    (void)state;
    const struct contract c = full();
    autojson json_t *j = contract_to_json(&c);
    autoarena struct arena *a = arena_new();
    const struct contract *back;
    assert_ok(contract_from_json(a, j, "image.json", &back, &err));
    autojson json_t *again = contract_to_json(back);
    assert_true(json_equal(j, again));
    assert_string_equal(contract_find_file(back, "seed")->name, "demo-cidata.iso");
    assert_null(contract_find_file(back, "kernel"));
    assert_int_equal(back->recommended.memory, (uint64_t)2 << 30);
    assert_string_equal(back->user, "debian");
    assert_true(back->agent && back->distribution.api_settable);
    assert_true(back->seed.secret && back->contains_secrets);
}

static void least(void **state)
{
    (void)state;
    autoarena struct arena *a = arena_new();
    const struct contract *c;
    autofree char *text = NULL;
    assert_true(asprintf(&text,
                         "{\"contract\": 1, \"name\": \"x\", \"arch\": \"amd64\", \"firmware\": "
                         "\"uefi\", \"later\": {\"key\": 1}, \"files\": [{\"role\": \"disk\", "
                         "\"name\": \"x.raw\", \"format\": \"raw\", \"bytes\": 1, \"sha256\": "
                         "\"%s\"}]}",
                         digest) > 0);
    autojson json_t *j = NULL;
    assert_ok(json_parse(text, strlen(text), "image.json", &j, &err));
    assert_ok(contract_from_json(a, j, "image.json", &c, &err));
    assert_string_equal(c->seed.kind, "none");
    assert_string_equal(c->distribution.name, "none");
    assert_null(c->user);
    assert_false(c->agent);
}

/* One member of the full contract is replaced (by JSON text; NULL removes it). */
struct bad {
    const char *object, *key, *value;
    enum error_kind kind;
    const char *message;
};

static const struct bad bad[] = {
    {NULL, "contract", "2", ERROR_UNSUPPORTED, "follows contract 2"},
    {NULL, "contract", "0", ERROR_INPUT, "contract: must be 1 or more"},
    {NULL, "contract", NULL, ERROR_INPUT, "contract: is missing"},
    {NULL, "contract", "\"1\"", ERROR_INPUT, "contract: must be a whole number"},
    {NULL, "requires", "[\"sealed-disk\"]", ERROR_UNSUPPORTED, "requires 'sealed-disk'"},
    {NULL, "requires", "[\"\\u001b[2J\"]", ERROR_INPUT, "list of plain names"},
    {NULL, "requires", "{}", ERROR_INPUT, "requires: must be a list"},
    {NULL, "name", "\"../x\"", ERROR_INPUT, "one plain name"},
    {NULL, "name", "\"-x\"", ERROR_INPUT, "one plain name"},
    {NULL, "name", NULL, ERROR_INPUT, "name: is missing"},
    {NULL, "arch", "\"riscv64\"", ERROR_UNSUPPORTED, "riscv64"},
    {NULL, "firmware", "\"coreboot\"", ERROR_UNSUPPORTED, "coreboot"},
    {NULL, "agent", "\"yes\"", ERROR_INPUT, "agent: must be true or false"},
    {NULL, "files", "[]", ERROR_INPUT, "no file has the role 'disk'"},
    {NULL, "files", "[1]", ERROR_INPUT, "list of objects"},
    {NULL, "users", "[{\"name\": \"a b\"}]", ERROR_INPUT, "login name"},
    {NULL, "ports", "[{\"host\": 70000, \"guest\": 1}]", ERROR_INPUT, "host"},
    {NULL, "ports", "[{\"host\": 1}]", ERROR_INPUT, "from 1 to 65535"},
    {NULL, "ports", "[{\"host\": 1, \"guest\": 1, \"address\": \"a,b=c\"}]", ERROR_INPUT,
     "IP address"},
    {NULL, "ports", "[{\"host\": 1, \"guest\": 1, \"protocol\": \"sctp\"}]", ERROR_UNSUPPORTED,
     "sctp"},
    {"os", "pretty_name", "\"a\\u0007b\"", ERROR_INPUT, "control characters"},
    {"os", "id", "\"a\\u0000b\"", ERROR_INPUT, "too long"},
    {"seed", "kind", "\"ignition\"", ERROR_UNSUPPORTED, "ignition"},
    {"recommended", "memory", "-1", ERROR_INPUT, "not negative"},
    {"recommended", "memory", "1e99", ERROR_INPUT, "whole number"},
    {"recommended", "memory_share", "{\"percent\": 200}", ERROR_INPUT, "percent"},
    {"minimum", "cpus", "9999999", ERROR_INPUT, "cpus"},
    {"file", "name", "\"/etc/shadow\"", ERROR_INPUT, "one plain name"},
    {"file", "name", "\"..\"", ERROR_INPUT, "one plain name"},
    {"file", "sha256", "\"abc\"", ERROR_INPUT, "64 hexadecimal digits"},
    {"file", "format", "\"vhdx\"", ERROR_UNSUPPORTED, "vhdx"},
    {"file", "bytes", "9223372036854775807", ERROR_INPUT, "not too large"},
};

static void refused(void **state)
{
    (void)state;
    const struct contract c = full();
    for (size_t i = 0; i < COUNT(bad); i++) {
        autojson json_t *j = contract_to_json(&c);
        json_t *object = j;
        if (bad[i].object && strcmp(bad[i].object, "file") == 0)
            object = json_array_get(json_object_get(j, "files"), 0);
        else if (bad[i].object)
            object = json_object_get(j, bad[i].object);
        json_object_del(object, bad[i].key);
        if (bad[i].value)
            json_set(object, bad[i].key,
                     json_loads(bad[i].value, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL));
        autoarena struct arena *a = arena_new();
        const struct contract *out;
        assert_fails(contract_from_json(a, j, "image.json", &out, &err), bad[i].kind,
                     bad[i].message);
    }
}

static void from_disk(void **state)
{
    (void)state;
    autotempdir char *dir = unit_temp_dir();
    autofree char *path = path_join(dir, "image.json");
    autoarena struct arena *a = arena_new();
    const struct contract c = full(), *out;
    const char *folder = NULL;
    assert_fails(contract_read(a, dir, &out, &folder, &err), ERROR_INPUT, "image.json");
    autojson json_t *j = contract_to_json(&c);
    assert_ok(json_write_file(path, j, 0644, &err));
    assert_ok(contract_read(a, dir, &out, &folder, &err));
    assert_string_equal(folder, dir);
    assert_ok(contract_read(a, path, &out, &folder, &err));
    assert_string_equal(folder, dir);
    assert_ok(file_write(path, "[1, 2]", 6, 0644, &err));
    assert_fails(contract_read(a, path, &out, NULL, &err), ERROR_INPUT, "must be an object");
    assert_ok(file_write(path, "{", 1, 0644, &err));
    assert_fails(contract_read(a, path, &out, NULL, &err), ERROR_INPUT, "not valid JSON");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(least),
        cmocka_unit_test(refused),
        cmocka_unit_test(from_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
