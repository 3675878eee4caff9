/* The vision graph: pictures in, picture rows on the device out. A run takes a number of bytes for each patch; what the
 * memory plan counts is kept for the next run, what is more is given back. Its list is recorded for these pictures
 * alone, which takes far less time than running it. */
#ifndef PIO_ENGINE_VISION_H
#define PIO_ENGINE_VISION_H

#include "engine/model.h"
#include "models/picture.h"

/* Small pictures are seen together, up to this many patches (a picture of 1024 x 1024 pixels has as many); the memory
 * plan counts a run of this size. A larger picture is seen alone and takes more. */
enum { PIO_VISION_PATCHES = 4096 };

/* Plans of the sizes whose kernels the self-test tries, the last one of PIO_VISION_PATCHES; none for a model without
 * eyes. */
pio_status pio_vision_make_buckets(pio_model *model, pio_error *error);

/* Bytes of a run on one picture of n_patches, its rows included. */
pio_status pio_vision_bytes(const pio_model *model, int32_t n_patches, uint64_t *bytes, pio_error *error);

/* Rows that a picture has for the text model: the tokens that stand for it. */
int32_t pio_picture_tokens(const pio_picture *picture);

/* Refuses what the model's vision graph cannot take. */
pio_status pio_vision_check(const pio_model *model, const pio_picture *picture, pio_error *error);

/* Sees n pictures, which the caller has checked, and waits for it. *rows, which the caller destroys, then holds their
 * float32 rows [tokens, state "pictures"], picture after picture. PIO_OUT_OF_MEMORY: they are too large. */
pio_status pio_vision_run(pio_model *model, const pio_picture *const *pictures, int32_t n, pio_buffer **rows,
                          pio_error *error);

/* Gives back what runs have kept. */
void pio_vision_release(pio_model *model);

#endif
