/* What every unit test includes first: cmocka wants its own headers in this order. */
#ifndef PIO_TESTS_TEST_H
#define PIO_TESTS_TEST_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#endif
