/* Storage pools of libvirt, of files: volumes are made, filled through libvirt's streams, hashed,
 * deleted. One upload at a time. */
#ifndef INGOT_BOOT_VIRT_POOL_H
#define INGOT_BOOT_VIRT_POOL_H

#include "base/digest.h"
#include "boot/virt.h"

struct pool;

/* ERROR_INPUT where there is none of that name, ERROR_HOST where it is not active, with the
 * command.
 */
bool pool_open(struct virt *v, const char *name, struct pool **out, struct error **err) must_check;
void pool_close(struct pool *p);
const char *pool_name(const struct pool *p);
/* Free bytes. */
bool pool_space(struct pool *p, uint64_t *bytes, struct error **err) must_check;

/* The path of a volume, in the arena; NULL where there is none of that name. */
bool pool_find(struct pool *p, struct arena *a, const char *volume, const char **path,
               struct error **err) must_check;
/* One that is not there is fine. */
bool pool_delete(struct pool *p, const char *volume, struct error **err) must_check;
/* SHA-256 of a volume's first `size` bytes, as libvirt reads them; that of nothing where the volume
 * has another size. */
bool pool_digest(struct pool *p, const char *volume, uint64_t size, char hex[DIGEST_HEX_MAX],
                 struct error **err) must_check;

/* Makes a volume of so many bytes and begins to fill it. ERROR_UNSUPPORTED in a pool whose volumes
 * are no files; on failure
 * there is no such volume. */
bool pool_upload(struct pool *p, const char *volume, uint64_t size, struct error **err) must_check;
bool pool_send(struct pool *p, const void *bytes, size_t size, struct error **err) must_check;
/* All was sent: waits until it is written. */
bool pool_finish(struct pool *p, struct error **err) must_check;
/* Ends an upload that is under way, if there is one; the volume stays. */
void pool_abandon(struct pool *p);

static inline void cleanup_pool(struct pool **p)
{
    pool_close(*p);
}
#define autopool cleanup(cleanup_pool)

#endif
