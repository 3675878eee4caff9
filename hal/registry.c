/* The drivers: of a card that several know, the first is taken. A new backend is one line. */
#include "hal/hal.h"

#include "base/compiler.h"

extern const pio_driver pio_cpu_driver;
extern const pio_driver pio_null_driver;
#if PIO_HAS_VULKAN
extern const pio_driver pio_vulkan_driver;
#endif

static const pio_driver *const drivers[] = {
#if PIO_HAS_VULKAN
    &pio_vulkan_driver,
#endif
    &pio_cpu_driver,
    &pio_null_driver,
};

const pio_driver *pio_driver_at(int index) {
    return index >= 0 && (size_t)index < PIO_COUNT(drivers) ? drivers[index] : NULL;
}
