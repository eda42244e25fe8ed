/* image.json and SHA256SUMS of a finished build. */
#ifndef INGOT_EMIT_IMAGE_H
#define INGOT_EMIT_IMAGE_H

#include "contract/contract.h"
#include "plan/plan.h"

/* Writes image.json into folder: what the plan knows, and the files that were emitted. */
bool image_write(const struct plan *p, const struct contract_file *files, size_t file_count,
                 const struct contract_tool *tools, size_t tool_count, const char *folder,
                 struct error **err) must_check;

/* Writes SHA256SUMS (sha256sum(1)'s format) of the files and of image.json into folder. */
bool image_write_sums(const struct contract_file *files, size_t file_count, const char *folder,
                      struct error **err) must_check;

#endif
