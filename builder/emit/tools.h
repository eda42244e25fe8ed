/* Versions of the host's tools that shape an image, for image.json. */
#ifndef INGOT_EMIT_TOOLS_H
#define INGOT_EMIT_TOOLS_H

#include "contract/contract.h"

/* ingot itself first. A tool that cannot be asked is left out. */
bool tools_versions(struct arena *a, const struct contract_tool **tools, size_t *count,
                    struct error **err) must_check;

#endif
