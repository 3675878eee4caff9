#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "tests/support/random.h"
#include "text/utf8.h"

#define FFFD "\xef\xbf\xbd"

/* Broken sequences and what they become: one U+FFFD for each maximal part (Unicode 16.0, section 3.9, tables 3-8 to
 * 3-11), as Python's errors="replace" gives. */
static const struct {
    const char *bytes, *wanted;
} cases[] = {
    {"abc", "abc"},
    {"\xc3\xa9\xe4\xbd\xa0\xf0\x9f\xa6\x99", "\xc3\xa9\xe4\xbd\xa0\xf0\x9f\xa6\x99"},
    {"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A"},
    {"\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A"},
    {"\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", FFFD FFFD FFFD FFFD FFFD "A" FFFD FFFD "B"},
    {"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", FFFD FFFD FFFD FFFD "A"},
    {"a\xf0\x9f\xa6", "a" FFFD},
    {"\xf0\x9f\xf0\x9f\xa6\x99", FFFD "\xf0\x9f\xa6\x99"},
    {"\xe4\xbd", FFFD},
    {"\xe4\xbd\xe4\xbd\xa0", FFFD "\xe4\xbd\xa0"},
    {"\x80", FFFD},
};

static void test_replacing(void **state) {
    (void)state;
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        pio_text out = {0};
        assert_true(pio_utf8_append_lossy(&out, cases[i].bytes, strlen(cases[i].bytes)));
        if (out.n_bytes != strlen(cases[i].wanted) || memcmp(out.bytes, cases[i].wanted, out.n_bytes) != 0)
            fail_msg("case %zu", i);
        bool valid = pio_utf8_valid_prefix(cases[i].bytes, strlen(cases[i].bytes)) == strlen(cases[i].bytes);
        assert_int_equal(valid, !strcmp(cases[i].bytes, cases[i].wanted));
        pio_text_free(&out);
    }
}

static void test_all_code_points(void **state) {
    (void)state;
    for (uint32_t code = 0; code <= 0x10ffff; code++) {
        char bytes[4];
        uint32_t back = ~code;
        int n = pio_utf8_encode(code, bytes);
        bool surrogate = code >= 0xd800 && code < 0xe000;
        assert_int_equal(pio_utf8_decode(bytes, bytes + n, &back), surrogate ? 0 : n);
        if (!surrogate) assert_int_equal(back, code);
        if (n > 1) assert_int_equal(pio_utf8_decode(bytes, bytes + n - 1, &back), 0);
    }
}

/* However the bytes are cut, the gate lets out what the whole gives, and never half a character. */
static void test_gate(void **state) {
    (void)state;
    static const unsigned char likely[] = {0x41, 0x80, 0x9f, 0xa0, 0xbf, 0xc3, 0xe0,
                                           0xe4, 0xed, 0xf0, 0xf4, 0xff, 0xa6, 0x99};
    test_random random = test_random_begin("gate");
    for (int round = 0; round < 20000; round++) {
        char bytes[24];
        size_t n = 1 + test_random_below(&random, sizeof bytes);
        for (size_t i = 0; i < n; i++) {
            uint64_t pick = test_random_u64(&random);
            bytes[i] = (char)(pick & 1 ? likely[(pick >> 8) % sizeof likely] : (unsigned char)(pick >> 16));
        }
        pio_text whole = {0}, out = {0};
        pio_utf8_gate gate = {0};
        assert_true(pio_utf8_append_lossy(&whole, bytes, n));
        for (size_t at = 0; at < n;) {
            size_t step = 1 + test_random_below(&random, 4);
            if (step > n - at) step = n - at;
            assert_int_equal(pio_utf8_gate_push(&gate, bytes + at, step, &out, NULL), PIO_OK);
            assert_int_equal(pio_utf8_valid_prefix(out.bytes ? out.bytes : "", out.n_bytes), out.n_bytes);
            at += step;
        }
        assert_int_equal(pio_utf8_gate_finish(&gate, &out, NULL), PIO_OK);
        if (out.n_bytes != whole.n_bytes || memcmp(out.bytes, whole.bytes, whole.n_bytes) != 0) {
            for (size_t i = 0; i < n; i++) print_message("%02x ", (unsigned char)bytes[i]);
            fail_msg("%zu bytes instead of %zu", out.n_bytes, whole.n_bytes);
        }
        pio_text_free(&whole);
        pio_text_free(&out);
    }
}

/* What is certain leaves at once. */
static void test_gate_does_not_wait(void **state) {
    (void)state;
    pio_utf8_gate gate = {0};
    pio_text out = {0};
    assert_int_equal(pio_utf8_gate_push(&gate, "a\xe4", 2, &out, NULL), PIO_OK);
    assert_int_equal(out.n_bytes, 1);
    assert_int_equal(pio_utf8_gate_push(&gate, "\xbd", 1, &out, NULL), PIO_OK);
    assert_int_equal(out.n_bytes, 1);
    assert_int_equal(pio_utf8_gate_push(&gate, "\xa0", 1, &out, NULL), PIO_OK);
    assert_int_equal(out.n_bytes, 4);
    assert_int_equal(pio_utf8_gate_push(&gate, "\xf0\x9f", 2, &out, NULL), PIO_OK);
    assert_int_equal(pio_utf8_gate_push(&gate, "b", 1, &out, NULL), PIO_OK);
    assert_int_equal(out.n_bytes, 8);
    assert_memory_equal(out.bytes, "a\xe4\xbd\xa0" FFFD "b", 8);
    pio_text_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replacing),
        cmocka_unit_test(test_all_code_points),
        cmocka_unit_test(test_gate),
        cmocka_unit_test(test_gate_does_not_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
