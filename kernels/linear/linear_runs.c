#include "base/compiler.h"
#include "hal/worker.h"
#include "kernels/linear/linear.h"

bool pio_linear_take_run(pio_worker *worker, pio_i32 total, pio_i32 least, pio_i32 *first, pio_i32 *end) {
    int run = pio_worker_take(worker);
    *end = 0;
    do { /* each run is the same share of what is left */
        *first = *end;
        pio_i32 left = total - *first;
        *end = *first + PIO_MIN(left, PIO_MAX(least, PIO_CEIL_DIV(left, 2 * worker->n_workers)));
    } while (run-- > 0 && *first < total);
    return *first < total;
}
