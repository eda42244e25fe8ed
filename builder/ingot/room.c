#include "ingot/room.h"

#include "base/path.h"
#include "base/space.h"

#include <string.h>
#include <sys/stat.h>

#define COMPRESSED 3 /* a disk is so many times smaller as qcow2 */
#define UNPACKED 3   /* and packages so many times larger when installed */

/* Bytes in the disk once everything is in it. */
static bool content_bytes(const struct pipeline *p, uint64_t *bytes, struct error **err)
{
    *bytes = 0;
    if (p->base_raw && !space_of_copy(p->base_raw, bytes, err))
        return false;
    for (size_t i = 0; i < p->plan->entry_count; i++)
        *bytes += p->plan->entries[i].size;
    for (size_t i = 0; p->resolution && i < p->resolution->count; i++)
        *bytes += p->resolution->packages[i].size * UNPACKED;
    return true;
}

/* What the cache lacks: a copy of the disk for the system layer, one for what stands on it. */
static bool cache_bytes(const struct pipeline *p, uint64_t content, uint64_t *bytes,
                        struct error **err)
{
    enum layer_kind top = LAYER_BASE;
    *bytes = 0;
    for (size_t i = 0; i < p->plan->layer_count; i++)
        if (p->plan->layers[i].kind <= p->options->until)
            top = p->plan->layers[i].kind;
    for (size_t i = 0; i < p->plan->layer_count; i++) {
        const struct plan_layer *l = &p->plan->layers[i];
        autofree char *raw = NULL;
        if (l->kind == LAYER_BASE || !l->key || (l->kind != LAYER_SYSTEM && l->kind != top))
            continue;
        if (!layer_find(p->session->store, l->key, &raw, err))
            return false;
        if (!raw)
            *bytes += content;
    }
    return true;
}

static uint64_t artifact_bytes(const struct recipe *r, uint64_t content)
{
    uint64_t bytes = 0;
    bool plain = strcmp(r->compression, "none") == 0;
    if (r->outputs & OUTPUT_QCOW2)
        bytes += plain ? content : content / COMPRESSED;
    if (r->outputs & OUTPUT_RAW)
        bytes += content;
    if (r->outputs & OUTPUT_VMDK)
        bytes += content / COMPRESSED;
    return bytes;
}

/* The file system that a path is or would be on. */
static dev_t device_of(const char *path)
{
    struct stat st;
    autofree char *at = path_absolute(".", path);
    while (stat(at, &st) < 0 && strcmp(at, "/") != 0) {
        char *above = path_dirname(at);
        free(at);
        at = above;
    }
    return st.st_dev;
}

bool room_check(struct pipeline *p, const char *out, struct error **err)
{
    uint64_t content, cache, artifact = 0;
    autofree char *layer = path_join(store_root(p->session->store), "layers/new");
    if (!content_bytes(p, &content, err) || !cache_bytes(p, content, &cache, err))
        return false;
    if (out) {
        artifact = artifact_bytes(p->recipe, content);
        if (!space_check(out, artifact, "the image", err))
            return false;
        if (device_of(out) == device_of(layer))
            cache += artifact;
    }
    return !cache || space_check(layer, cache, "the build", err);
}
