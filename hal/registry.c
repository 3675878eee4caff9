/* The drivers of this build. A new backend is one line of backends.def. */
#include "hal/hal.h"

#include "base/compiler.h"

/* What follows where a driver is built, nothing elsewhere. */
#define WHERE(built, ...)  WHERE_(built, __VA_ARGS__)
#define WHERE_(built, ...) WHERE_##built(__VA_ARGS__)
#define WHERE_0(...)
#define WHERE_1(...) __VA_ARGS__

#define PIO_BACKEND(NAME, name, built) WHERE(built, extern const pio_driver pio_##name##_driver;)
#include "hal/backends.def"
#undef PIO_BACKEND

static const pio_driver *const drivers[] = {
#define ENTRY(name)                    &pio_##name##_driver,
#define PIO_BACKEND(NAME, name, built) WHERE(built, ENTRY(name))
#include "hal/backends.def"
#undef PIO_BACKEND
};

const pio_driver *pio_driver_at(int index) {
    return index >= 0 && (size_t)index < PIO_COUNT(drivers) ? drivers[PIO_COUNT(drivers) - 1 - (size_t)index] : NULL;
}
