/* libvirt's XML, built and read through libxml2 (xml.c is the only file that sees it): never by
 * pasting strings. Formats: libvirt's "Domain XML", "Domain capabilities" and "Capabilities" pages.
 */
#ifndef INGOT_BOOT_XML_H
#define INGOT_BOOT_XML_H

#include "boot/instance.h"

#include <sys/types.h>

/* The name space of the metadata element that marks our domains. */
#define XML_NAMESPACE "urn:ingot:instance"

/* The domain as XML; free it. ERROR_INPUT where a path has characters that XML cannot carry. */
bool xml_domain(const struct domain_spec *d, char **xml, struct error **err) must_check;

/* Reads the metadata element, as libvirt hands it out. `name` is the domain's. */
bool xml_metadata(struct arena *a, const char *xml, const char *name, const struct instance **out,
                  struct error **err) must_check;

/* The same domain with type qemu and the CPU that software emulation has. Free it. *changed is
 * false where it was so already. */
bool xml_use_tcg(const char *domain, char **xml, bool *changed, struct error **err) must_check;
/* "kvm" or "qemu"; in the arena. */
bool xml_domain_type(struct arena *a, const char *domain, const char **type, struct error **err)
    must_check;

/* User and group that QEMU runs as, by libvirt's DAC model in its capabilities. False if there is
 * no such model (session mode): then QEMU runs as the caller. */
bool xml_qemu_user(const char *capabilities, uid_t *uid, gid_t *gid);
/* True if the domain capabilities offer passt for user networking. */
bool xml_has_passt(const char *domain_capabilities);

#endif
