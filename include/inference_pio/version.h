/* Which Inference-PIO this is. */
#ifndef INFERENCE_PIO_VERSION_H
#define INFERENCE_PIO_VERSION_H

#include "inference_pio/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/* "major.minor.patch"; never NULL. Any thread. */
PIO_API const char *pio_version(void);

#ifdef __cplusplus
}
#endif
#endif
