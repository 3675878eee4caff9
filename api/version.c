#include "inference_pio/version.h"

const char *pio_version(void) {
    return PIO_VERSION;
}
