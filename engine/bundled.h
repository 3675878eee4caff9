/* Where models lie: directories of the user, and the tiny checkpoints that come with the program. */
#ifndef PIO_ENGINE_BUNDLED_H
#define PIO_ENGINE_BUNDLED_H

#include <stddef.h>

#include "base/status.h"

/* The directory that `model` names. What exists, or holds a '/', is a path and is given back as it is: whoever opens it
 * says what is wrong with it. Anything else is a bundled model's name, looked for below `home` (the setting; may be
 * NULL), then in the folders above the file `beside` (the program's or the library's own path; may be NULL). */
pio_status pio_find_model(const char *model, const char *home, const char *beside, char *path, size_t bytes,
                          pio_error *error);

#endif
