#include "boot/state.h"

#include "base/path.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

/* $VARIABLE/ingot, else ~/fallback/ingot. */
static char *xdg(const char *variable, const char *fallback)
{
    const char *dir = getenv(variable), *home = getenv("HOME");
    if (dir && *dir == '/')
        return path_join(dir, "ingot");
    autofree char *base = path_join(home && *home == '/' ? home : "/tmp", fallback);
    return path_join(base, "ingot");
}

static char *given(const char *variable)
{
    const char *dir = getenv(variable);
    if (!dir || !*dir)
        return NULL;
    autofree char *here = getcwd(NULL, 0);
    return path_absolute(here ? here : "/", dir);
}

char *state_root(const struct virt *v)
{
    char *said = given("INGOT_STATE");
    if (said)
        return said;
    if (!virt_is_session(v) && geteuid() == 0) {
        char *system = strdup("/var/lib/ingot");
        if (!system)
            abort();
        return system;
    }
    return xdg("XDG_STATE_HOME", ".local/state");
}

char *state_cache(void)
{
    char *said = given("INGOT_CACHE");
    return said ? said : xdg("XDG_CACHE_HOME", ".cache");
}

char *state_agent_socket(const struct virt *v, const char *name, const char *instance_id)
{
    /* libvirt cuts the name to 20 characters; the number grows with each start. */
    static const char below[] = "/libvirt/qemu/channel/target/domain-99999-/org.qemu.guest_agent.0";
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    size_t base =
        config && *config ? strlen(config) : strlen(home ? home : "") + strlen("/.config");
    size_t shown = strlen(name) < 20 ? strlen(name) : 20;
    bool fits = base + strlen(below) + shown < sizeof((struct sockaddr_un){0}).sun_path;
    if (!virt_is_session(v) || fits || !runtime || *runtime != '/')
        return NULL;
    autofree char *file = NULL;
    if (asprintf(&file, "%s.agent", instance_id) < 0)
        abort();
    return path_join(runtime, file);
}

static bool may(const struct stat *st, uid_t uid, gid_t gid, mode_t bit)
{
    if (uid == 0)
        return true;
    if (st->st_uid == uid)
        return st->st_mode & (bit << 6);
    return st->st_mode & (st->st_gid == gid ? bit << 3 : bit);
}

bool state_reachable(const char *path, uid_t uid, gid_t gid)
{
    struct stat st;
    if (stat(path, &st) != 0 || !may(&st, uid, gid, S_ISDIR(st.st_mode) ? 1 : 4))
        return false;
    if (strcmp(path, "/") == 0)
        return true;
    autofree char *above = path_dirname(path);
    return state_reachable(above, uid, gid);
}
