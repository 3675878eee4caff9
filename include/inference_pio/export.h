/* What the shared library shows. */
#ifndef INFERENCE_PIO_EXPORT_H
#define INFERENCE_PIO_EXPORT_H

#define PIO_API __attribute__((visibility("default")))

#endif
