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

/* Under sanitizers everything is ten times as slow, and reaching each line once is what they need: tests compute less
 * there. Their shadow takes terabytes of addresses. */
#ifdef __SANITIZE_ADDRESS__
enum { TEST_SANITIZED = 1 };
#else
enum { TEST_SANITIZED = 0 };
#endif

#endif
