#include "base/compiler.h"
#include "hal/worker.h"
#include "kernels/linear/linear.h"

bool pio_linear_take_run(pio_worker *worker, pio_i32 total, pio_i32 least, pio_i32 *first, pio_i32 *end) {
    const pio_i32 n = worker->n_workers;
    pio_i32 run = pio_worker_take(worker);
    least = PIO_MAX(1, PIO_MIN(least, total / (4 * n))); /* many workers: an even share comes before long runs */
    for (pio_i32 begin = 0, size; begin < total; begin += n * size, run -= n) {
        const pio_i32 left = total - begin; /* a run for each worker takes half of it */
        size = PIO_MAX(least, PIO_CEIL_DIV(left, 2 * n));
        *first = begin + run * size;
        *end = PIO_MIN(total, *first + size);
        if (run < n) return *first < total;
    }
    return false;
}
