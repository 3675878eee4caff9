#include "engine/compiled.h"

#include <stdlib.h>

#include "io/kept.h"

/* A file of other programs' size is not ours; and kernels of old versions do not pile up for ever. */
static const size_t most_bytes = 256 << 20;

void pio_compiled_restore(pio_device *device, const char *directory) {
    const pio_device_compiled *compiled = pio_device_extension(device, "compiled");
    void *bytes;
    size_t n;
    if (!compiled || !directory || pio_kept_read(directory, compiled->key, most_bytes, &bytes, &n, NULL)) return;
    compiled->restore(device, bytes, n);
    free(bytes);
}

void pio_compiled_keep(pio_device *device, const char *directory) {
    const pio_device_compiled *compiled = pio_device_extension(device, "compiled");
    void *bytes;
    size_t n;
    if (!compiled || !directory || compiled->save(device, &bytes, &n, NULL)) return;
    if (n) pio_kept_write(directory, compiled->key, bytes, n, NULL);
    free(bytes);
}
