/* Shared by the files of this layer only. */
#ifndef INGOT_INPUTS_INTERNAL_H
#define INGOT_INPUTS_INTERNAL_H

#include "inputs/inputs.h"

/* Where all answers live. */
struct arena *inputs_arena(struct inputs *in);

#endif
