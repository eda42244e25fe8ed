#include "disk/writer.h"

void disk_abandon(struct disk *d)
{
    autoerror struct error *ignored = NULL;
    if (d)
        d->writer->close(d, &ignored);
}

void disk_free_names(char **names)
{
    for (size_t i = 0; names && names[i]; i++)
        free(names[i]);
    free(names);
}
