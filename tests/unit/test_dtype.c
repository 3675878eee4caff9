#include "tests/support/test.h"
#include <math.h>

#include "base/dtype.h"

/* Every f16 that is not NaN survives the way to float32 and back. */
static void f16_round_trips(void **state) {
    (void)state;
    for (uint32_t x = 0; x < 65536; x++) {
        if ((x & 0x7c00) == 0x7c00 && (x & 0x3ff)) {
            assert_true(isnan(pio_f16_to_f32((uint16_t)x)));
            continue;
        }
        assert_int_equal(pio_f32_to_f16(pio_f16_to_f32((uint16_t)x)), x);
    }
    assert_int_equal(pio_f32_to_f16(65520.0f), 0x7c00); /* rounds up to infinity */
    assert_int_equal(pio_f32_to_f16(65519.0f), 0x7bff);
    assert_int_equal(pio_f32_to_f16(0x1p-25f), 0); /* halfway to the smallest subnormal: to even */
    assert_int_equal(pio_f32_to_f16(0x1.8p-25f), 1);
    assert_int_equal(pio_f32_to_f16(1.0f + 0x1p-11f), 0x3c00); /* halfway: to even */
}

static void bf16_rounds_to_nearest_even(void **state) {
    (void)state;
    for (uint32_t x = 0; x < 65536; x++) {
        float y = pio_bf16_to_f32((uint16_t)x);
        if (isnan(y))
            assert_true(isnan(pio_bf16_to_f32(pio_f32_to_bf16(y))));
        else
            assert_int_equal(pio_f32_to_bf16(y), x);
    }
    assert_int_equal(pio_f32_to_bf16(1.0f + 0x1p-8f), 0x3f80);
    assert_int_equal(pio_f32_to_bf16(1.0f + 0x3p-8f), 0x3f82);
}

static void q4_products_fit_int8(void **state) {
    (void)state;
    for (int i = 0; i < 16; i++) {
        assert_in_range(pio_q4_levels[i] * PIO_SUB_MAX + 127, 0, 254);
        assert_int_equal(pio_q4_levels[i], (i & 14) + 5 * (i & 1) - 10); /* what devices compute */
    }
    assert_int_equal(pio_dtype_find("q4"), PIO_DTYPE_Q4);
    assert_int_equal(pio_dtype_find("q5"), PIO_DTYPE_COUNT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f16_round_trips),
        cmocka_unit_test(bf16_rounds_to_nearest_even),
        cmocka_unit_test(q4_products_fit_int8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
