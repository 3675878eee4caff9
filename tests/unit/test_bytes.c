/* Sizes for people: three digits, in the unit that fits. */
#include "base/bytes.h"
#include "tests/support/test.h"

static void three_digits(void **state) {
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } sizes[] = {{0, "0 bytes"},         {17, "17 bytes"},           {999, "999 bytes"},      {1000, "1 kB"},
                 {999499, "999 kB"},     {999600, "1 MB"},           {6423552, "6.42 MB"},    {655360, "655 kB"},
                 {123456789, "123 MB"},  {999999999, "1 GB"},        {8045000000, "8.04 GB"}, {61000000000, "61 GB"},
                 {999900000000, "1 TB"}, {UINT64_MAX, "18446744 TB"}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char text[PIO_BYTES_TEXT] = "";
        assert_string_equal(pio_bytes_text(sizes[i].bytes, text), sizes[i].text);
        assert_ptr_equal(pio_bytes_text(sizes[i].bytes, text), text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(three_digits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
