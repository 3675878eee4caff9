/* The weights of a checkpoint: a directory in Hugging Face form. They are the files that model.safetensors.index.json
 * names, else model.safetensors, never other files in the directory.
 *
 * Threads: an opened checkpoint may be read from several threads at once. */
#ifndef PIO_IO_CHECKPOINT_H
#define PIO_IO_CHECKPOINT_H

#include "io/safetensors.h"

typedef struct pio_checkpoint pio_checkpoint;

/* Opens all shards and holds them against the index: every tensor that it lists must lie in the shard that it names.
 * Tensors that lie in a shard but are not listed do not count as part of the checkpoint. Ends with PIO_NOT_FOUND (no
 * directory, no weights, a missing shard), PIO_UNSUPPORTED (weights of another form), PIO_CORRUPT, PIO_IO or
 * PIO_OUT_OF_MEMORY; the sentence names file, tensor and cure. */
pio_status pio_checkpoint_open(const char *directory, pio_checkpoint **out, pio_error *error);

/* Accepts NULL. */
void pio_checkpoint_close(pio_checkpoint *checkpoint);

const char *pio_checkpoint_directory(const pio_checkpoint *checkpoint);

/* Tensors by shard and place, so that who takes them in order reads the disk in order; index < n_tensors. */
size_t pio_checkpoint_n_tensors(const pio_checkpoint *checkpoint);
const pio_stored_tensor *pio_checkpoint_tensor(const pio_checkpoint *checkpoint, size_t index);

/* NULL when there is none; a binary search. The tensor's `file` is the shard to release or read ahead. */
const pio_stored_tensor *pio_checkpoint_find(const pio_checkpoint *checkpoint, const char *name);

uint64_t pio_checkpoint_bytes(const pio_checkpoint *checkpoint); /* of all tensors */

/* What the weights were when they were opened: the directory's real path, then name, size and time of last change of
 * each file, one a line. Two equal texts mean the same weights. Bytes outside printable ASCII, and %, are written as
 * %XX. */
const char *pio_checkpoint_identity(const pio_checkpoint *checkpoint);

#endif
