/* Stop strings: the text ends before the first of them wherever tokens were cut, nothing of one is ever given out, and
 * what was held back because it might have become one comes out at the end. */
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "engine/answer.h"
#include "engine/stops.h"
#include "tests/support/engine.h"

/* ---- one text ---- */

static void what_may_begin_a_stop_is_held_back(void **state) {
    (void)state;
    static const struct {
        const char *text, *stops[3];
        size_t safe;
        bool found;
    } cases[] = {
        {"abc", {NULL}, 3, false},
        {"", {"x"}, 0, false},
        {"abc", {""}, 3, false}, /* an empty stop string stops nothing */
        {"one STOP two", {"STOP"}, 4, true},
        {"one STO", {"STOP"}, 4, false},
        {"one STOx", {"STOP"}, 8, false},
        {"STOP", {"STOP"}, 0, true},
        {"xab", {"ab", "abc"}, 1, true}, /* a stop that begins another does not wait for the longer one */
        {"xab", {"abc", "ab"}, 1, true},
        {"xab", {"abc"}, 1, false},
        {"xab", {"xabz", "ab"}, 1, true}, /* nor one inside another */
        {"aab", {"ab", "b"}, 1, true},    /* of two that are there, the one that begins first */
        {"aaab", {"aab"}, 1, true},
        {"aaa", {"aab"}, 1, false},
        {"abababa", {"ababx"}, 4, false}, /* where one can no longer begin, a later one may */
        {"a\xc3", {"\xc3\xa9"}, 1, false},
    };
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        int n_stops = 0;
        bool found = !cases[i].found;
        while (n_stops < 3 && cases[i].stops[n_stops]) n_stops++;
        size_t safe = pio_stops_safe(cases[i].text, strlen(cases[i].text), cases[i].stops, n_stops, &found);
        if (safe != cases[i].safe || found != cases[i].found)
            fail_msg("'%s': %zu bytes are safe, found is %d", cases[i].text, safe, found);
    }
}

/* ---- random texts in random pieces ---- */

enum { MOST_TEXT = 64, MOST_STOP = 6, MOST_STOPS = 4 };

static void random_word(test_random *random, char *word, size_t n) {
    for (size_t i = 0; i < n; i++) word[i] = (char)('a' + test_random_below(random, 2));
    word[n] = 0;
}

/* The longest end of the text that is a stop's beginning. */
static size_t held_back(const char *text, size_t n, char stops[][MOST_STOP + 1], int n_stops) {
    size_t most = 0;
    for (int i = 0; i < n_stops; i++)
        for (size_t k = 1; k < strlen(stops[i]) && k <= n; k++)
            if (!memcmp(text + n - k, stops[i], k)) most = PIO_MAX(most, k);
    return most;
}

static void random_pieces_end_where_the_text_does(void **state) {
    (void)state;
    test_random random = test_random_begin("random_pieces_end_where_the_text_does");
    int n_found = 0, n_rounds = 5000;
    for (int round = 0; round < n_rounds; round++) {
        char text[MOST_TEXT + 1], stops[MOST_STOPS][MOST_STOP + 1];
        const char *list[MOST_STOPS];
        const int n_stops = 1 + (int)test_random_below(&random, MOST_STOPS);
        random_word(&random, text, MOST_TEXT);
        for (int i = 0; i < n_stops; i++) {
            random_word(&random, stops[i], 3 + test_random_below(&random, MOST_STOP - 2));
            list[i] = stops[i];
        }
        size_t given = 0, n = 0;
        for (bool found = false; n < MOST_TEXT && !found;) {
            const char *first = NULL;
            n += 1 + test_random_below(&random, 4);
            n = PIO_MIN(n, (size_t)MOST_TEXT);
            for (int i = 0; i < n_stops; i++) {
                const char *at = memmem(text, n, stops[i], strlen(stops[i]));
                if (at && (!first || at < first)) first = at;
            }
            given += pio_stops_safe(text + given, n - given, list, n_stops, &found);
            assert_int_equal(found, first != NULL);
            if (found)
                assert_int_equal(given, first - text);
            else
                assert_int_equal(given, n - held_back(text, n, stops, n_stops));
            n_found += found;
        }
    }
    assert_in_range(n_found, n_rounds / 10, n_rounds - 1);
}

/* ---- answers ---- */

static const char question[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"Spell livotfop please.\"}]}";

/* An answer's text as the listener heard it. */
typedef struct heard {
    char text[256];
    size_t n, n_calls, stop_after; /* calls; 0: never */
} heard;

static bool hear(void *user, const char *text, size_t bytes) {
    heard *h = user;
    assert_true(bytes > 0 && h->n + bytes < sizeof h->text);
    assert_int_equal(pio_utf8_valid_prefix(text, bytes), bytes);
    memcpy(h->text + h->n, text, bytes);
    h->n += bytes;
    return ++h->n_calls != h->stop_after;
}

static pio_speaker *open_speaker(void) {
    pio_engine_options options = test_engine_options(true);
    pio_error error = {0};
    pio_speaker *speaker;
    options.context = 128;
    if (pio_speaker_create(test_model_load(TEST_TINY, &options), &speaker, &error)) fail_msg("%s", error.text);
    return speaker;
}

/* Answers the question with these stops. */
static pio_finish ask(pio_speaker *speaker, const char *const *stops, int n_stops, heard *h, char *text) {
    pio_error error = {0};
    json_t *input = json_loads(question, 0, NULL);
    pio_token_ids prompt = {0};
    pio_answer answer = {
        .sampling = pio_sampling_greedy(), .stops = stops, .n_stops = n_stops, .on_text = hear, .user = h};
    h->n = h->n_calls = 0;
    if (pio_speaker_render(speaker, input, &prompt, &error) ||
        pio_speaker_run(speaker, &prompt, &answer, 1, NULL, NULL, &error))
        fail_msg("%s", error.text);
    assert_true(answer.text.n_bytes < 256);
    if (answer.text.n_bytes) memcpy(text, answer.text.bytes, answer.text.n_bytes); /* an empty text may have no bytes */
    text[answer.text.n_bytes] = h->text[h->n] = 0;
    pio_answer_free(&answer);
    free(prompt.items);
    json_decref(input);
    return answer.request.finish;
}

static void answers_end_before_the_stop(void **state) {
    (void)state;
    test_random random = test_random_begin("answers_end_before_the_stop");
    pio_speaker *speaker = open_speaker();
    heard h = {.n = 0};
    char whole[256], text[256];
    assert_int_equal(ask(speaker, NULL, 0, &h, whole), PIO_FINISH_STOP);
    assert_string_equal(h.text, whole);
    const size_t n = strlen(whole);
    assert_true(n > 10);
    for (int round = 0; round < 12; round++) { /* a piece of the answer stops it where it first appears */
        char stop[16];
        const size_t at = test_random_below(&random, n), bytes = PIO_MIN(n - at, 1 + test_random_below(&random, 7));
        snprintf(stop, sizeof stop, "%.*s", (int)bytes, whole + at);
        const char *const stops[] = {"never there", stop};
        assert_int_equal(ask(speaker, stops, 2, &h, text), PIO_FINISH_STOP);
        assert_string_equal(h.text, text);
        const size_t expected = (size_t)(strstr(whole, stop) - whole);
        if (strlen(text) != expected || memcmp(text, whole, expected))
            fail_msg("'%s' stopped by '%s' gives '%s'", whole, stop, text);
    }
    for (size_t bytes = 1; bytes <= n; bytes++) { /* the answer's end, as the beginning of a stop that never comes */
        char stop[300];
        snprintf(stop, sizeof stop, "%s and so on", whole + n - bytes);
        const char *const stops[] = {stop};
        ask(speaker, stops, 1, &h, text);
        assert_string_equal(text, whole);
        assert_string_equal(h.text, whole);
    }
    pio_speaker_destroy(speaker);
}

static void a_listener_who_has_had_enough_hears_no_more(void **state) {
    (void)state;
    pio_speaker *speaker = open_speaker();
    heard h = {.stop_after = 2};
    char whole[256], text[256], first_stop[16], second_stop[16];
    assert_int_equal(ask(speaker, NULL, 0, &h, text), PIO_FINISH_STOP);
    assert_int_equal(h.n_calls, 2);
    h.stop_after = 0;
    ask(speaker, NULL, 0, &h, whole);
    assert_memory_equal(text, whole, strlen(text));
    assert_true(strlen(text) < strlen(whole) && strlen(whole) > 10);
    /* The second piece of the text comes when the first stop fails, with one character still held for the second. */
    snprintf(first_stop, sizeof first_stop, "%.3s~", whole + 1);
    snprintf(second_stop, sizeof second_stop, "%.1s~", whole + 4);
    const char *const stops[] = {first_stop, second_stop};
    h.stop_after = 2;
    assert_int_equal(ask(speaker, stops, 2, &h, text), PIO_FINISH_STOP);
    assert_int_equal(h.n_calls, 2);
    assert_string_equal(h.text, text);
    pio_speaker_destroy(speaker);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_begin_a_stop_is_held_back),
        cmocka_unit_test(random_pieces_end_where_the_text_does),
        cmocka_unit_test(answers_end_before_the_stop),
        cmocka_unit_test(a_listener_who_has_had_enough_hears_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
