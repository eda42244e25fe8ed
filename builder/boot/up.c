#include "boot/up.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/progress.h"
#include "base/units.h"
#include "boot/artifact.h"
#include "boot/disk.h"
#include "boot/launch.h"
#include "boot/state.h"
#include "boot/xml.h"
#include "cidata/cidata.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

#define SEED_BYTES (1u << 20)
#define KEY_FILE_BYTES 65536

/* --- what has been made, for taking it back -----------------------------------------------------
 */

struct made {
    struct domain *domain;
    char *folder;       /* NULL: not made */
    char *console_log;  /* outside of the folder, or NULL */
    bool started, done; /* done: nothing is taken back */
};

static void cleanup_made(struct made *m)
{
    autoerror struct error *err = NULL;
    if (!m->done) {
        progress_done();
        if (m->domain && !domain_destroy(m->domain, &err))
            log_warning("%s", error_text(err));
        else if (m->domain && !domain_undefine(m->domain, &err))
            log_warning("%s", error_text(err));
        if (m->folder)
            file_remove_tree(m->folder, NULL);
        if (m->console_log)
            unlink(m->console_log);
    }
    domain_free(m->domain);
    free(m->folder);
    free(m->console_log);
}

/* --- the parts of an instance -------------------------------------------------------------------
 */

struct work {
    struct virt *v;
    const struct up_options *o;
    struct arena *a;
    const struct contract *c;
    const char *artifact; /* absolute folder */
    struct instance instance;
    struct domain_spec spec;
    struct made *made;
};

static const char *random_id(struct arena *a)
{
    unsigned char bytes[8];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        abort();
    char *id = arena_strdup(a, "ingot-0123456789abcdef");
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(id + 6 + 2 * i, 3, "%02x", bytes[i]);
    return id;
}

static const char *make_mac(struct arena *a, const char *id)
{
    char hex[DIGEST_HEX_MAX];
    digest_bytes(DIGEST_SHA256, id, strlen(id), hex);
    return arena_printf(a, "52:54:00:%.2s:%.2s:%.2s", hex, hex + 2, hex + 4);
}

static bool make_folder(struct work *w, struct error **err)
{
    autofree char *root = state_root(w->v), *above = path_join(root, "instances");
    /* QEMU's user must be able to pass through; the files are their owners' alone. */
    if (!file_make_dirs(above, virt_is_session(w->v) ? 0700 : 0711, err))
        return error_wrap(err, "cannot make a folder for instances (INGOT_STATE says where)");
    autofree char *folder = path_join(above, w->instance.name);
    if (mkdir(folder, virt_is_session(w->v) ? 0700 : 0711) != 0) {
        if (errno == EEXIST)
            return error_set(
                err, ERROR_CONFLICT,
                "%s is there, but no instance of that name at %s: another daemon's, or "
                "left behind (then `rm -r %s`)",
                folder, virt_uri(w->v), folder);
        return error_errno(err, ERROR_HOST, errno, "cannot make %s", folder);
    }
    w->instance.folder = arena_strdup(w->a, folder);
    w->made->folder = take_ptr(folder);
    uid_t uid;
    gid_t gid;
    if (virt_qemu_user(w->v, &uid, &gid) && !state_reachable(w->instance.folder, uid, gid))
        return error_set(err, ERROR_HOST,
                         "libvirt runs QEMU as uid %u, which cannot reach %s: set INGOT_STATE to a "
                         "folder that it can, or use --connect qemu:///session",
                         (unsigned)uid, w->instance.folder);
    autofree char *log = path_join(w->instance.folder, "console.log");
    w->instance.console_log = arena_strdup(w->a, log);
    if (w->o->console_log) {
        autofree char *here = getcwd(NULL, 0);
        w->made->console_log = path_absolute(here ? here : "/", w->o->console_log);
        w->instance.console_log = arena_strdup(w->a, w->made->console_log);
    }
    return true;
}

static bool take_forwards(struct work *w, struct error **err)
{
    struct forward *list = NULL;
    size_t count = 0;
    bool user = strcmp(w->instance.network, "user") == 0;
    if (!user && w->o->forward_count)
        return error_set(err, ERROR_USAGE,
                         "--forward works with --network user; on network '%s' the guest has an "
                         "address of its own",
                         w->instance.network);
    for (size_t i = 0; user && !w->o->no_forwards && i < w->c->port_count; i++) {
        const struct contract_port *p = &w->c->ports[i];
        struct forward f = {p->address, p->protocol, p->host, p->guest};
        arena_append(w->a, list, count, f);
    }
    for (size_t i = 0; i < w->o->forward_count; i++)
        arena_append(w->a, list, count, w->o->forwards[i]);
    for (size_t i = 0; i < count; i++)
        if (!forward_check_free(&list[i], err))
            return false;
    w->instance.forwards = list;
    w->instance.forward_count = count;
    return true;
}

/* A key, or a file with one a line. */
static bool add_keys(struct arena *a, const char *text, const char *const **keys, size_t *count,
                     struct error **err)
{
    const char **list = (const char **)*keys;
    autofree char *file = NULL;
    size_t size;
    bool literal = strchr(text, ' ') && !strchr(text, '\n') && access(text, F_OK) != 0;
    autofree char *path = path_expand_home(text);
    if (literal) {
        const char *key = arena_strdup(a, text);
        arena_append(a, list, *count, key);
    } else if (!file_read(path, KEY_FILE_BYTES, &file, &size, err)) {
        return error_wrap(err, "--ssh-key takes a public key or a file with one");
    }
    char *save = NULL;
    for (char *l = file ? strtok_r(file, "\r\n", &save) : NULL; l;
         l = strtok_r(NULL, "\r\n", &save)) {
        if (strstr(l, "PRIVATE KEY"))
            return error_set(err, ERROR_USAGE, "%s is a private key: give its .pub", path);
        if (*l == '#' || !*l)
            continue;
        const char *key = arena_strdup(a, l);
        arena_append(a, list, *count, key);
    }
    *keys = list;
    return true;
}

/* The artifact's own seed: its user-data holds what the recipe says under `boot:`. */
static bool artifact_seed(const struct work *w, const char *name, char **text, struct error **err)
{
    const struct contract_file *f = contract_find_file(w->c, "seed");
    if (!f || strcmp(f->format, "iso") != 0)
        return true;
    autofree char *path = path_join(w->artifact, f->name);
    return cidata_read(path, name, SEED_BYTES, text, err) ||
           error_wrap(err, "cannot read the artifact's seed");
}

static bool make_seed(struct work *w, struct error **err)
{
    if (strcmp(w->c->seed.kind, "none") == 0)
        return true;
    autofree char *user_data = NULL, *meta_data = NULL, *network = NULL;
    const char *const *keys = NULL;
    const char **first = NULL;
    size_t count = 0, size;
    if (w->o->user_data && !file_read(w->o->user_data, SEED_BYTES, &user_data, &size, err))
        return error_wrap(err, "--user-data");
    if (!w->o->user_data && !artifact_seed(w, "user-data", &user_data, err))
        return false;
    /* A static address belongs to a real network; QEMU's user network has its own. */
    if (strcmp(w->instance.network, "user") != 0 &&
        !artifact_seed(w, "network-config", &network, err))
        return false;
    /* The recipe's keys stand in the user-data or, for tiny-cloud, in the meta-data. */
    if (!w->o->user_data && !artifact_seed(w, "meta-data", &meta_data, err))
        return false;
    char *key;
    while (meta_data && (key = cidata_find_key(meta_data, count))) {
        const char *kept = arena_strdup(w->a, key);
        free(key);
        arena_append(w->a, first, count, kept);
    }
    keys = first;
    for (const char *const *k = w->o->ssh_keys; k && *k; k++)
        if (!add_keys(w->a, *k, &keys, &count, err))
            return false;
    const char **ended = arena_alloc(w->a, (count + 1) * sizeof *ended);
    if (count)
        memcpy(ended, keys, count * sizeof *ended);
    const struct cidata c = {.kind = w->c->seed.kind,
                             .instance_id = w->instance.instance_id,
                             .hostname = w->instance.hostname,
                             .user = w->c->user,
                             .ssh_keys = count ? ended : NULL,
                             .user_data = user_data,
                             .network_config = network,
                             .epoch = w->c->epoch};
    w->spec.seed_iso = arena_printf(w->a, "%s/cidata.iso", w->instance.folder);
    return cidata_write(&c, w->spec.seed_iso, err);
}

static bool make_disk(struct work *w, struct error **err)
{
    const struct contract_file *f = contract_find_file(w->c, "disk");
    autofree char *disk = path_join(w->artifact, f->name);
    w->spec.disk = arena_printf(w->a, "%s/disk.qcow2", w->instance.folder);
    w->spec.base_format = f->format;
    return disk_place_base(w->a, w->v, disk, w->instance.folder, &w->instance.base, err) &&
           disk_make_overlay(w->instance.base, f->format, w->spec.disk, err);
}

static void take_resources(struct work *w)
{
    struct sysinfo host = {0};
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    sysinfo(&host);
    w->spec.memory = w->o->memory ? w->o->memory
                                  : instance_memory(w->c, (uint64_t)host.totalram * host.mem_unit);
    w->spec.cpus = w->o->cpus ? w->o->cpus : instance_cpus(w->c, cpus > 0 ? (unsigned)cpus : 1);
    char least[16], given[16];
    if (w->spec.memory < w->c->minimum.memory)
        log_warning("the image wants at least %s of memory, it gets %s",
                    units_format_size(w->c->minimum.memory, least),
                    units_format_size(w->spec.memory, given));
}

static bool create(struct work *w, struct accel_verdict *accel, struct error **err)
{
    struct instance *i = &w->instance;
    *i = (struct instance){.name = i->name,
                           .image = w->c->name,
                           .version = w->c->version,
                           .artifact = w->artifact,
                           .disk_sha256 = contract_find_file(w->c, "disk")->sha256,
                           .seed = w->c->seed.kind,
                           .instance_id = random_id(w->a),
                           .hostname =
                               w->o->hostname ? w->o->hostname : instance_hostname(w->a, i->name),
                           .user = w->c->user,
                           .network = w->o->network,
                           .agent = w->c->agent};
    if (strcmp(i->network, "user") != 0 && !virt_check_network(w->v, i->network, err))
        return false;
    if (!take_forwards(w, err) || !disk_check(w->artifact, w->c, err))
        return false;
    if (!launch_accel(w->v, w->c->arch, accel, err))
        return false;
    progress_step("define %s", i->name);
    if (!make_folder(w, err) || !make_disk(w, err) || !make_seed(w, err))
        return false;
    w->spec.arch = w->c->arch;
    w->spec.firmware = w->c->firmware;
    w->spec.accel = accel->use;
    w->spec.mac = make_mac(w->a, i->instance_id);
    autofree char *socket = state_agent_socket(w->v, i->name, i->instance_id);
    w->spec.agent_socket = arena_strdup(w->a, socket);
    w->spec.passt = virt_has_passt(w->v, w->c->arch);
    take_resources(w);
    w->spec.instance = *i;
    autofree char *xml = NULL;
    return xml_domain(&w->spec, &xml, err) && virt_define(w->v, xml, &w->made->domain, err);
}

/* --- an instance that is there already -----------------------------------------------------------
 */

/* The file below the overlay is the artifact itself where no link could be made: then it may have
 * been built anew. */
static bool check_base(const struct instance *i, struct error **err)
{
    autofree char *own = path_dirname(i->base);
    autoarena struct arena *a = arena_new();
    const struct contract *c;
    if (access(i->base, F_OK) != 0 && errno == ENOENT)
        return error_set(err, ERROR_CONFLICT,
                         "the disk below '%s' is gone (%s): `ingot-boot delete %s`, then up again",
                         i->name, i->base, i->name);
    if (strcmp(own, i->folder) == 0)
        return true;
    if (!contract_read(a, i->artifact, &c, NULL, err))
        return error_wrap(err, "cannot see whether the disk below '%s' is still the same", i->name);
    if (strcmp(contract_find_file(c, "disk")->sha256, i->disk_sha256) == 0)
        return true;
    return error_set(err, ERROR_CONFLICT,
                     "%s has been built anew since '%s' was made on it: `ingot-boot delete %s`, "
                     "then up again",
                     i->artifact, i->name, i->name);
}

bool up_start(struct virt *v, struct domain **d, const struct instance *i, bool wait,
              enum ready_stage until, unsigned timeout_seconds, struct error **err)
{
    const char *state, *type;
    bool active, started = false, changed = false, lifeless = false;
    if (!domain_state(*d, &state, &active, err))
        return false;
    enum ready_stage last = wait ? until : READY_STARTED;
    progress_step("%s %s", active ? "wait for" : "start", i->name);
    if (active) {
        const struct ready_wait w = {.until = last, .timeout_seconds = timeout_seconds};
        return domain_watch(*d, err) && ready_wait(v, *d, i, &w, &lifeless, err);
    }
    if (!check_base(i, err))
        return false;
    autofree char *xml = NULL, *slower = NULL;
    autoarena struct arena *a = arena_new();
    struct accel_verdict accel = {.use = ACCEL_TCG};
    if (!domain_xml(*d, &xml, err) || !xml_domain_type(a, xml, &type, err))
        return false;
    if (type && strcmp(type, "kvm") == 0) {
        /* What was true when it was defined may have changed: another kernel, another user. */
        if (!launch_accel(v, NULL, &accel, err))
            return false;
        if (accel.use == ACCEL_TCG) {
            struct domain *again = NULL;
            if (!xml_use_tcg(xml, &slower, &changed, err) || !virt_define(v, slower, &again, err))
                return false;
            domain_free(*d);
            *d = again;
        }
    }
    bool ok = launch(v, d, i, &accel, last, timeout_seconds, &started, err);
    if (!ok && started && !domain_destroy(*d, NULL))
        log_warning("'%s' still runs", i->name);
    return ok;
}

static bool existing(struct virt *v, const struct up_options *o, struct arena *a, struct domain **d,
                     const struct contract *c, const char *artifact, const struct instance **out,
                     struct error **err)
{
    autofree char *xml = NULL;
    if (!domain_metadata(*d, &xml, err))
        return false;
    if (!xml)
        return error_set(
            err, ERROR_CONFLICT,
            "libvirt at %s has a domain '%s' that is not ingot's: choose another --name",
            virt_uri(v), domain_name(*d));
    if (!xml_metadata(a, xml, domain_name(*d), out, err))
        return false;
    if (strcmp((*out)->artifact, artifact) != 0 ||
        strcmp((*out)->disk_sha256, contract_find_file(c, "disk")->sha256) != 0)
        return error_set(err, ERROR_CONFLICT,
                         "instance '%s' is there and was made from %s%s: choose another --name, or "
                         "`ingot-boot delete %s`",
                         (*out)->name, (*out)->artifact,
                         strcmp((*out)->artifact, artifact) == 0 ? " as it was before" : "",
                         (*out)->name);
    enum ready_stage until = o->until_given ? o->until : ready_last(*out);
    return up_start(v, d, *out, o->wait, until, o->timeout_seconds, err);
}

bool up(struct virt *v, const struct up_options *o, struct arena *a, struct up_result *result,
        struct error **err)
{
    const struct contract *c;
    const char *given;
    const struct artifact_wish wish = {o->artifact, o->title, o->key, o->fingerprint};
    if (!artifact_find(v, a, &wish, &given, err) || !contract_read(a, given, &c, &given, err))
        return error_wrap(err, "cannot boot %s", o->artifact);
    autofree char *here = getcwd(NULL, 0), *folder = path_absolute(here ? here : "/", given);
    const char *name = o->name ? o->name : c->name;
    if (!instance_name_check(name, err))
        return false;
    cleanup(cleanup_made) struct made made = {0};
    struct work w = {.v = v,
                     .o = o,
                     .a = a,
                     .c = c,
                     .artifact = arena_strdup(a, folder),
                     .instance = {.name = name},
                     .made = &made};
    autodomain struct domain *before = NULL;
    if (!virt_find(v, name, &before, err))
        return false;
    if (before)
        return existing(v, o, a, &before, c, w.artifact, &result->instance, err);
    struct accel_verdict accel;
    if (!create(&w, &accel, err))
        return error_wrap(err, "cannot boot %s", o->artifact);
    enum ready_stage until = !o->wait         ? READY_STARTED
                             : o->until_given ? o->until
                                              : ready_last(&w.instance);
    progress_step("boot %s", name);
    bool ok =
        launch(v, &made.domain, &w.instance, &accel, until, o->timeout_seconds, &made.started, err);
    made.done = ok || o->keep;
    if (!ok && o->keep)
        log_info("'%s' is kept, as --keep says", name);
    struct instance *copy = arena_new_of(a, struct instance);
    *copy = w.instance;
    *result = (struct up_result){.instance = copy, .created = true, .reached = until};
    return ok;
}
