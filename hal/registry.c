/* The drivers, best first. A new backend is one line. */
#include "hal/hal.h"

#include "base/compiler.h"

extern const pio_driver pio_cpu_driver;
extern const pio_driver pio_null_driver;

static const pio_driver *const drivers[] = {
    &pio_cpu_driver,
    &pio_null_driver,
};

const pio_driver *pio_driver_at(int index) {
    return index >= 0 && (size_t)index < PIO_COUNT(drivers) ? drivers[index] : NULL;
}
