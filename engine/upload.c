#include "engine/upload.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/compiler.h"

/* Two: one is filled while the other is copied, and filling takes longer. */
enum { PIECES = 2, ALIGNMENT = 64 };

typedef struct piece {
    char *host;
    uint64_t offset; /* in the staging buffer */
    pio_list *list;  /* of the copies that were submitted last; NULL: none yet */
    uint64_t number; /* of that submission */
} piece;

typedef struct worker_pieces {
    piece pieces[PIECES];
    int turn; /* the piece taken last */
} worker_pieces;

struct pio_upload {
    pio_device *device;
    pio_queue *queue;
    pio_buffer *staging;
    pthread_mutex_t lock; /* of the device, but for waiting */
    uint64_t piece_bytes;
    int n_workers;
    worker_pieces workers[];
};

uint64_t pio_upload_bytes(int n_workers, uint64_t piece_bytes) {
    return (uint64_t)n_workers * PIECES * PIO_ROUND_UP(piece_bytes, (uint64_t)ALIGNMENT);
}

pio_status pio_upload_create(pio_device *device, int n_workers, uint64_t piece_bytes, pio_upload **out,
                             pio_error *error) {
    const size_t bytes = sizeof(pio_upload) + sizeof(worker_pieces) * (size_t)n_workers;
    pio_upload *upload = *out = calloc(1, bytes);
    void *host = NULL;
    if (!upload) return pio_fail_memory(error, "the staging of weights", bytes);
    pthread_mutex_init(&upload->lock, NULL);
    upload->device = device;
    upload->n_workers = n_workers;
    upload->piece_bytes = PIO_ROUND_UP(piece_bytes, (uint64_t)ALIGNMENT);
    /* Written and read by the host, so that it is cached system memory. Memory for uploads alone may be the device's
     * own behind its bus, where it is scarce and takes ages to read back. */
    pio_status status =
        pio_buffer_create(device, pio_upload_bytes(n_workers, piece_bytes), PIO_BUFFER_UPLOAD | PIO_BUFFER_READBACK,
                          "the staging of weights", &upload->staging, error);
    if (!status) status = pio_buffer_map(upload->staging, &host, error);
    if (!status) status = pio_queue_create(device, PIO_QUEUE_TRANSFER, &upload->queue, error);
    if (status) {
        pio_upload_destroy(upload);
        *out = NULL;
        return status;
    }
    for (int i = 0; i < n_workers * PIECES; i++)
        upload->workers[i / PIECES].pieces[i % PIECES] = (piece){
            .host = (char *)host + upload->piece_bytes * (uint64_t)i, .offset = upload->piece_bytes * (uint64_t)i};
    return PIO_OK;
}

void pio_upload_destroy(pio_upload *upload) {
    if (!upload) return;
    pio_queue_destroy(upload->queue); /* waits */
    for (int i = 0; i < upload->n_workers * PIECES; i++)
        pio_list_destroy(upload->workers[i / PIECES].pieces[i % PIECES].list);
    pio_buffer_destroy(upload->staging);
    pthread_mutex_destroy(&upload->lock);
    free(upload);
}

pio_status pio_upload_take(pio_upload *upload, int worker, void **out, pio_error *error) {
    worker_pieces *own = &upload->workers[worker];
    own->turn = (own->turn + 1) % PIECES;
    *out = own->pieces[own->turn].host;
    return pio_queue_wait(upload->queue, own->pieces[own->turn].number, UINT64_MAX, error);
}

/* Records and submits the copies, with the lock held. */
static pio_status submit(const pio_upload *upload, piece *p, const pio_upload_range *ranges, int n, pio_error *error) {
    pio_status status = PIO_OK;
    pio_list_destroy(p->list);
    p->list = NULL;
    status = pio_list_create(upload->device, false, &p->list, error);
    for (int i = 0; i < n && !status; i++) {
        const uint64_t from = p->offset + ranges[i].at;
        if (!ranges[i].bytes) continue;
        status = pio_buffer_flush(upload->staging, from, ranges[i].bytes, error);
        if (!status)
            status = pio_list_copy(p->list, ranges[i].to, upload->staging->address + from, ranges[i].bytes, error);
    }
    if (!status) status = pio_list_end(p->list, error);
    return status ? status : pio_queue_submit(upload->queue, &p->list, 1, &p->number, error);
}

pio_status pio_upload_send(pio_upload *upload, int worker, const pio_upload_range *ranges, int n, pio_error *error) {
    worker_pieces *own = &upload->workers[worker];
    pthread_mutex_lock(&upload->lock);
    pio_status status = submit(upload, &own->pieces[own->turn], ranges, n, error);
    pthread_mutex_unlock(&upload->lock);
    return status;
}

pio_status pio_upload_finish(pio_upload *upload, pio_error *error) {
    return pio_queue_wait(upload->queue, upload->queue->last_number, UINT64_MAX, error);
}
