#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#include "engine/pages.h"
#include "tests/support/random.h"

enum { TOKENS = 4 };
static const pio_page_content text = {{0, 0}};

static pio_pages *make(int32_t n) {
    pio_pages *pages = NULL;
    pio_error error;
    assert_int_equal(pio_pages_create(n, TOKENS, &pages, &error), PIO_OK);
    return pages;
}

static int32_t take(pio_pages *pages) {
    int32_t page;
    pio_error error;
    assert_int_equal(pio_pages_take(pages, &page, &error), PIO_OK);
    return page;
}

static void pages_run_out_with_a_sentence(void **state) {
    (void)state;
    pio_pages *pages = make(4);
    pio_error error;
    int32_t page, seen = 0;
    for (int i = 0; i < 3; i++) seen |= 1 << take(pages);
    assert_int_equal(seen, 1 << 1 | 1 << 2 | 1 << 3); /* page 0 is nobody's */
    assert_int_equal(pio_pages_take(pages, &page, &error), PIO_OUT_OF_MEMORY);
    assert_non_null(strstr(error.text, "3 pages"));
    pio_pages_release(pages, 2);
    assert_int_equal(take(pages), 2);
    pio_pages_destroy(pages);
}

static void equal_beginnings_share_pages(void **state) {
    (void)state;
    pio_pages *pages = make(8);
    const int32_t a[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, b[12] = {1, 2, 3, 4, 5, 6, 7, 9, 9, 10, 11, 12};
    int32_t mine[3] = {take(pages), take(pages), take(pages)}, found[3];
    for (int i = 0; i < 3; i++) pio_pages_publish(pages, mine[i], i ? mine[i - 1] : 0, a + 4 * i, text);
    assert_int_equal(pio_pages_match(pages, a, NULL, 12, found), 3);
    assert_memory_equal(found, mine, sizeof mine);
    assert_int_equal(pio_pages_match(pages, b, NULL, 12, found),
                     1); /* the second page differs in one token, so the third does too */
    assert_int_equal(found[0], mine[0]);
    assert_int_equal(pio_pages_match(pages, a, NULL, 7, found), 1);     /* only full pages */
    assert_int_equal(pio_pages_match(pages, a + 4, NULL, 8, found), 0); /* the same tokens at another place */
    pio_pages_destroy(pages);
}

static void released_pages_keep_what_they_hold_until_taken(void **state) {
    (void)state;
    pio_pages *pages = make(4);
    const int32_t a[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    int32_t mine[2] = {take(pages), take(pages)}, found[2];
    pio_pages_publish(pages, mine[0], 0, a, text);
    pio_pages_publish(pages, mine[1], mine[0], a + 4, text);
    pio_pages_release(pages, mine[1]);
    pio_pages_release(pages, mine[0]);
    assert_int_equal(pio_pages_free(pages), 3);
    assert_int_equal(take(pages), 3);       /* the one that holds nothing goes first */
    assert_int_equal(take(pages), mine[1]); /* then the one unused for longest */
    assert_int_equal(pio_pages_match(pages, a, NULL, 8, found), 1);
    pio_pages_release(pages, mine[0]);
    assert_int_equal(take(pages), mine[0]);
    assert_int_equal(pio_pages_match(pages, a, NULL, 8, found), 0);
    pio_pages_destroy(pages);
}

/* Two sequences that compute the same beginning end up with one page for it, so that what follows either is found. */
static void an_equal_page_takes_the_place_of_the_second(void **state) {
    (void)state;
    pio_pages *pages = make(8);
    const int32_t a[8] = {1, 2, 3, 4, 5, 6, 7, 8}, b[8] = {1, 2, 3, 4, 9, 9, 9, 9};
    int32_t mine[2] = {take(pages), take(pages)}, other[2] = {take(pages), take(pages)}, found[2];
    const int32_t copy = other[0], n_free = pio_pages_free(pages);
    assert_int_equal(pio_pages_publish(pages, mine[0], 0, a, text), mine[0]);
    assert_int_equal(pio_pages_publish(pages, mine[0], 0, a, text), mine[0]);
    assert_int_equal(other[0] = pio_pages_publish(pages, copy, 0, b, text), mine[0]);
    assert_int_equal(pio_pages_free(pages), n_free + 1);
    assert_int_equal(pio_pages_publish(pages, mine[1], mine[0], a + 4, text), mine[1]);
    assert_int_equal(pio_pages_publish(pages, other[1], other[0], b + 4, text), other[1]);
    for (int i = 1; i >= 0; i--) pio_pages_release(pages, mine[i]); /* the beginning stays in use by the other */
    assert_int_equal(take(pages), copy);
    assert_int_equal(pio_pages_match(pages, b, NULL, 8, found), 2);
    assert_memory_equal(found, other, sizeof other);
    pio_pages_destroy(pages);
}

/* Against a plain model: random prompts over a small alphabet; what is matched always holds just those tokens. */
static void random_prompts_match_what_was_published(void **state) {
    (void)state;
    enum { N_PAGES = 16, LENGTH = 16 };
    test_random random = test_random_begin("pages");
    int32_t held[N_PAGES][TOKENS], parents[N_PAGES];
    pio_pages *pages = make(N_PAGES);
    memset(held, -1, sizeof held);
    for (int round = 0; round < 2000; round++) {
        int32_t tokens[LENGTH], table[LENGTH / TOKENS];
        for (int i = 0; i < LENGTH; i++) tokens[i] = (int32_t)(test_random_below(&random, 2));
        int32_t n = pio_pages_match(pages, tokens, NULL, LENGTH, table);
        for (int32_t i = 0; i < n; i++) {
            assert_memory_equal(held[table[i]], tokens + i * TOKENS, sizeof held[0]);
            assert_int_equal(parents[table[i]], i ? table[i - 1] : 0);
        }
        for (int32_t i = n; i < LENGTH / TOKENS; i++) {
            table[i] = take(pages);
            memcpy(held[table[i]], tokens + i * TOKENS, sizeof held[0]);
            parents[table[i]] = i ? table[i - 1] : 0;
            pio_pages_publish(pages, table[i], parents[table[i]], tokens + i * TOKENS, text);
        }
        for (int32_t i = LENGTH / TOKENS - 1; i >= 0; i--) pio_pages_release(pages, table[i]);
        assert_int_equal(pio_pages_free(pages), N_PAGES - 1);
    }
    pio_pages_destroy(pages);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_run_out_with_a_sentence),
        cmocka_unit_test(equal_beginnings_share_pages),
        cmocka_unit_test(released_pages_keep_what_they_hold_until_taken),
        cmocka_unit_test(an_equal_page_takes_the_place_of_the_second),
        cmocka_unit_test(random_prompts_match_what_was_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
