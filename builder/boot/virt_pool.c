#include "boot/virt_pool.h"

#include "base/interrupt.h"
#include "boot/virt_internal.h"

#include <string.h>

#define CHUNK ((size_t)256 << 10)

struct pool {
    struct virt *virt;
    virStoragePoolPtr handle;
    char *name;
    virStorageVolPtr volume; /* being filled, with its stream */
    virStreamPtr stream;
};

bool pool_open(struct virt *v, const char *name, struct pool **out, struct error **err)
{
    virStoragePoolPtr handle = virStoragePoolLookupByName(v->connection, name);
    if (!handle)
        return virt_error(err, ERROR_INPUT,
                          "no storage pool '%s' at %s (`virsh -c %s pool-list --all` lists them)",
                          name, v->uri, v->uri);
    autopool struct pool *p = calloc(1, sizeof *p);
    if (!p || !(p->name = strdup(name)))
        abort();
    p->virt = v;
    p->handle = handle;
    if (virStoragePoolIsActive(handle) != 1)
        return error_set(err, ERROR_HOST,
                         "the storage pool '%s' is not active: `virsh -c %s pool-start %s`", name,
                         v->uri, name);
    if (virStoragePoolRefresh(handle, 0) < 0)
        return virt_error(err, ERROR_HOST, "cannot look into the storage pool '%s'", p->name);
    *out = take_ptr(p);
    return true;
}

void pool_close(struct pool *p)
{
    if (!p)
        return;
    pool_abandon(p);
    virStoragePoolFree(p->handle);
    free(p->name);
    free(p);
}

const char *pool_name(const struct pool *p)
{
    return p->name;
}

bool pool_space(struct pool *p, uint64_t *bytes, struct error **err)
{
    virStoragePoolInfo info;
    if (virStoragePoolGetInfo(p->handle, &info) < 0)
        return virt_error(err, ERROR_HOST, "cannot ask for the space in the pool '%s'", p->name);
    *bytes = info.available;
    return true;
}

/* --- volumes ------------------------------------------------------------------------------------
 */

static bool look_up(struct pool *p, const char *volume, virStorageVolPtr *out, struct error **err)
{
    *out = virStorageVolLookupByName(p->handle, volume);
    if (*out || virGetLastErrorCode() == VIR_ERR_NO_STORAGE_VOL)
        return true;
    return virt_error(err, ERROR_HOST, "cannot ask for the volume %s", volume);
}

bool pool_find(struct pool *p, struct arena *a, const char *volume, const char **path,
               struct error **err)
{
    virStorageVolPtr v;
    *path = NULL;
    if (!look_up(p, volume, &v, err))
        return false;
    if (!v)
        return true;
    autofree char *found = virStorageVolGetPath(v);
    bool ok = found || virt_error(err, ERROR_HOST, "the volume %s has no path", volume);
    virStorageVolFree(v);
    *path = found ? arena_strdup(a, found) : NULL;
    return ok;
}

bool pool_delete(struct pool *p, const char *volume, struct error **err)
{
    virStorageVolPtr v;
    if (!look_up(p, volume, &v, err))
        return false;
    if (!v)
        return true;
    bool ok = virStorageVolDelete(v, 0) == 0 ||
              virt_error(err, ERROR_HOST, "cannot delete the volume %s", volume);
    virStorageVolFree(v);
    return ok;
}

static bool receive(virStreamPtr s, struct digest *d, const char *volume, struct error **err)
{
    autofree char *chunk = malloc(CHUNK);
    if (!chunk)
        abort();
    for (;;) {
        int n = virStreamRecv(s, chunk, CHUNK);
        if (interrupted())
            return interrupt_error(err);
        if (n < 0)
            return virt_error(err, ERROR_HOST, "cannot read the volume %s", volume);
        if (n == 0)
            return true;
        digest_add(d, chunk, (size_t)n);
    }
}

bool pool_digest(struct pool *p, const char *volume, uint64_t size, char hex[DIGEST_HEX_MAX],
                 struct error **err)
{
    virStorageVolPtr v;
    virStorageVolInfo info;
    autodigest struct digest *d = digest_new(DIGEST_SHA256);
    if (!look_up(p, volume, &v, err))
        return false;
    virStreamPtr s = v ? virStreamNew(p->virt->connection, 0) : NULL;
    bool ok = s && virStorageVolGetInfoFlags(v, &info, VIR_STORAGE_VOL_GET_PHYSICAL) == 0;
    if (!ok)
        virt_error(err, ERROR_HOST, "cannot read the volume %s", volume);
    if (ok && info.allocation == size) {
        ok = virStorageVolDownload(v, s, 0, size, 0) == 0 ||
             virt_error(err, ERROR_HOST, "cannot read the volume %s", volume);
        if (ok) {
            ok = receive(s, d, volume, err);
            if (!ok || virStreamFinish(s) < 0)
                virStreamAbort(s);
        }
    }
    digest_finish(d, hex);
    if (s)
        virStreamFree(s);
    if (v)
        virStorageVolFree(v);
    return ok;
}

/* --- filling one --------------------------------------------------------------------------------
 */

/* As raw bytes, whatever is in them: the refresh at the end finds out the format. */
static char *volume_xml(const char *volume, uint64_t size)
{
    char *xml = NULL;
    if (asprintf(&xml,
                 "<volume><name>%s</name><capacity unit='bytes'>%ju</capacity>"
                 "<allocation unit='bytes'>0</allocation>"
                 "<target><format type='raw'/></target></volume>",
                 volume, (uintmax_t)size) < 0)
        abort();
    return xml;
}

static bool begin_upload(struct pool *p, const char *volume, uint64_t size, struct error **err)
{
    virStorageVolInfo info;
    if (virStorageVolGetInfo(p->volume, &info) < 0)
        return virt_error(err, ERROR_HOST, "cannot look at the volume %s", volume);
    if (info.type != VIR_STORAGE_VOL_FILE)
        return error_set(
            err, ERROR_UNSUPPORTED,
            "the volumes of the pool '%s' are no files: only pools of folders (dir, fs, "
            "netfs) are supported",
            p->name);
    p->stream = virStreamNew(p->virt->connection, 0);
    if (!p->stream || virStorageVolUpload(p->volume, p->stream, 0, size, 0) < 0)
        return virt_error(err, ERROR_HOST, "cannot write the volume %s", volume);
    return true;
}

bool pool_upload(struct pool *p, const char *volume, uint64_t size, struct error **err)
{
    autofree char *xml = volume_xml(volume, size);
    p->volume = virStorageVolCreateXML(p->handle, xml, 0);
    if (!p->volume)
        return virt_error(err, ERROR_HOST, "cannot make the volume %s", volume);
    if (begin_upload(p, volume, size, err))
        return true;
    (void)virStorageVolDelete(p->volume, 0);
    pool_abandon(p);
    return false;
}

bool pool_send(struct pool *p, const void *bytes, size_t size, struct error **err)
{
    for (const char *at = bytes; size;) {
        int n = virStreamSend(p->stream, at, size < CHUNK ? size : CHUNK);
        if (n < 0)
            return virt_error(err, ERROR_HOST, "cannot write into the pool '%s'", p->name);
        at += n;
        size -= (size_t)n;
    }
    return true;
}

bool pool_finish(struct pool *p, struct error **err)
{
    bool ok = virStreamFinish(p->stream) == 0 ||
              virt_error(err, ERROR_HOST, "cannot write into the pool '%s'", p->name);
    if (ok) {
        virStreamFree(p->stream);
        p->stream = NULL;
    }
    pool_abandon(p);
    return ok && (virStoragePoolRefresh(p->handle, 0) == 0 ||
                  virt_error(err, ERROR_HOST, "cannot look into the pool '%s'", p->name));
}

void pool_abandon(struct pool *p)
{
    if (p->stream) {
        virStreamAbort(p->stream);
        virStreamFree(p->stream);
        p->stream = NULL;
    }
    if (p->volume) {
        virStorageVolFree(p->volume);
        p->volume = NULL;
    }
}
