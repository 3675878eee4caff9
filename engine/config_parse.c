#include "engine/config_parse.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kv_cache/kv_cache.h"
#include "text/utf8.h"

/* ---- what a key takes, as a sentence ---- */

static const char *const yes_and_no[] = {"off", "on", "false", "true", "no", "yes", "0", "1"};

static pio_status refuse(const pio_key_info *key, const char *source, const char *text, pio_error *error) {
    char takes[200];
    switch (key->type) {
    case PIO_SETTING_INTEGER:
        snprintf(takes, sizeof takes, "a whole number from %.0f to %lld", key->least,
                 key->most > 9e18 ? (long long)INT64_MAX : (long long)key->most); /* no double is INT64_MAX */
        break;
    case PIO_SETTING_NUMBER:
        snprintf(takes, sizeof takes, "a number from %g to %g", key->least, key->most);
        break;
    case PIO_SETTING_BYTES:
        snprintf(takes, sizeof takes, "a number of bytes from %.0fM to %.0fG", key->least / (1 << 20),
                 key->most / (1 << 30));
        break;
    case PIO_SETTING_SWITCH:
        snprintf(takes, sizeof takes, "on or off");
        break;
    case PIO_SETTING_CHOICE:
    case PIO_SETTING_CHOICES:
        snprintf(takes, sizeof takes, "%s", key->choices);
        break;
    case PIO_SETTING_TEXT:
        snprintf(takes, sizeof takes, "a text");
        break;
    case PIO_SETTING_TEXTS:
        snprintf(takes, sizeof takes, "a text or a list of at most %.0f texts", key->most);
        break;
    }
    return pio_fail(error, PIO_INVALID_ARGUMENT, "%s takes %s, not '%.60s'", source, takes, text);
}

static pio_status made(const char *source, json_t **out, pio_error *error) {
    return *out ? PIO_OK : pio_fail_memory(error, source, sizeof(json_t));
}

/* ---- from text ---- */

/* Whether the text is one of "a, b or c". */
static bool is_choice(const char *choices, const char *text, size_t bytes) {
    while (*choices) {
        const size_t n = strcspn(choices, ", ");
        if (n == bytes && !memcmp(choices, text, n)) return true;
        choices += n;
        choices += strspn(choices, ", ");
        if (!strncmp(choices, "or ", 3)) choices += 3;
    }
    return false;
}

static bool parse_integer(const pio_key_info *key, const char *text, long long *value) {
    char *end;
    errno = 0;
    *value = strtoll(text, &end, 10);
    if (errno || end == text) return false;
    if (key->type == PIO_SETTING_BYTES && *end) {
        const char *suffix = strchr("KMG", *end), *of = "KMG";
        long long unit = 1;
        if (!suffix) return false;
        for (unit = 1024; of < suffix; of++) unit *= 1024;
        if (__builtin_mul_overflow(*value, unit, value)) return false;
        end++;
    }
    return !*end && (double)*value >= key->least && (double)*value <= key->most;
}

static bool parse_number(const pio_key_info *key, const char *text, double *value) {
    char *end;
    errno = 0;
    *value = strtod(text, &end);
    return !errno && end != text && !*end && *value >= key->least && *value <= key->most;
}

bool pio_bias_parse(const char *text, pio_logit_bias *out) {
    char *end;
    errno = 0;
    const long id = strtol(text, &end, 10);
    if (errno || end == text || *end != '=' || id < 0 || id > INT32_MAX) return false;
    const char *number = end + 1;
    const double bias = strtod(number, &end);
    *out = (pio_logit_bias){(int32_t)id, (float)bias};
    return !errno && end != number && !*end && isfinite(out->bias);
}

static pio_status check_text(const pio_key_info *key, const char *source, const char *text, pio_error *error) {
    pio_logit_bias bias;
    if (pio_utf8_valid_prefix(text, strlen(text)) != strlen(text))
        return pio_fail(error, PIO_INVALID_ARGUMENT, "%s is not valid UTF-8: give it in UTF-8", source);
    if (key == pio_key_get(PIO_KEY_LOGIT_BIAS) && !pio_bias_parse(text, &bias))
        return pio_fail(error, PIO_INVALID_ARGUMENT, "%s takes ID=NUMBER, not '%.40s'", source, text);
    if (key->type == PIO_SETTING_TEXTS && !*text) return refuse(key, source, text, error);
    return PIO_OK;
}

/* Each word between commas must be a choice. */
static pio_status parse_choices(const pio_key_info *key, const char *source, const char *text, json_t **out,
                                pio_error *error) {
    *out = json_array();
    pio_status status = made(source, out, error);
    while (!status && *text) {
        const size_t bytes = strcspn(text, ",");
        if (!is_choice(key->choices, text, bytes)) status = refuse(key, source, text, error);
        if (!status && json_array_append_new(*out, json_stringn(text, bytes)))
            status = pio_fail_memory(error, source, bytes);
        text += bytes + (text[bytes] == ',');
    }
    return status;
}

static pio_status parse_texts(const pio_key_info *key, const char *source, const char *text, bool literal, json_t **out,
                              pio_error *error) {
    json_t *list = *text == '[' && !literal ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (list) {
        pio_status status = pio_key_check(key, source, list, out, error);
        json_decref(list);
        return status;
    }
    pio_status status = check_text(key, source, text, error);
    if (!status) *out = json_pack("[s]", text);
    return status ? status : made(source, out, error);
}

static pio_status parse_switch(const pio_key_info *key, const char *source, const char *text, json_t **out,
                               pio_error *error) {
    for (size_t i = 0; i < PIO_COUNT(yes_and_no); i++) {
        if (strcmp(text, yes_and_no[i])) continue;
        *out = json_boolean(i % 2);
        return PIO_OK;
    }
    return refuse(key, source, text, error);
}

static pio_status parse(const pio_key_info *key, const char *source, const char *text, bool literal, json_t **out,
                        pio_error *error) {
    long long integer;
    double number;
    pio_status status = PIO_OK;
    switch (key->type) {
    case PIO_SETTING_INTEGER:
    case PIO_SETTING_BYTES:
        if (!parse_integer(key, text, &integer)) return refuse(key, source, text, error);
        if (key == pio_key_get(PIO_KEY_PAGE_TOKENS) && integer % PIO_KV_PAGE_STEP)
            return pio_fail(error, PIO_INVALID_ARGUMENT, "%s takes a multiple of %d, not '%.40s'", source,
                            PIO_KV_PAGE_STEP, text);
        *out = json_integer(integer);
        break;
    case PIO_SETTING_NUMBER:
        if (!parse_number(key, text, &number)) return refuse(key, source, text, error);
        *out = json_real(number);
        break;
    case PIO_SETTING_SWITCH:
        return parse_switch(key, source, text, out, error);
    case PIO_SETTING_CHOICE:
        if (!is_choice(key->choices, text, strlen(text))) return refuse(key, source, text, error);
        *out = json_string(text);
        break;
    case PIO_SETTING_CHOICES:
        return parse_choices(key, source, text, out, error);
    case PIO_SETTING_TEXT:
        status = check_text(key, source, text, error);
        if (!status) *out = json_string(text);
        break;
    case PIO_SETTING_TEXTS:
        return parse_texts(key, source, text, literal, out, error);
    }
    return status ? status : made(source, out, error);
}

pio_status pio_key_parse(const pio_key_info *key, const char *source, const char *text, bool literal, json_t **out,
                         pio_error *error) {
    *out = NULL;
    pio_status status = parse(key, source, text, literal, out, error);
    if (status) {
        json_decref(*out);
        *out = NULL;
    }
    return status;
}

/* ---- from JSON ---- */

static pio_status refuse_json(const pio_key_info *key, const char *source, const json_t *value, pio_error *error) {
    char text[64] = "";
    const size_t n = json_dumpb(value, text, sizeof text - 1, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!n || n >= sizeof text) snprintf(text, sizeof text, "%s", json_is_object(value) ? "{...}" : "[...]");
    return refuse(key, source, text, error);
}

static pio_status check_list(const pio_key_info *key, const char *source, const json_t *value, json_t **out,
                             pio_error *error) {
    json_t *item;
    size_t i;
    if (key->type == PIO_SETTING_TEXTS && json_array_size(value) > (size_t)key->most)
        return refuse_json(key, source, value, error);
    *out = json_array();
    pio_status status = made(source, out, error);
    json_array_foreach(value, i, item) {
        const char *text = json_string_value(item);
        if (status) break;
        if (!text || (key->type == PIO_SETTING_CHOICES && !is_choice(key->choices, text, strlen(text))))
            status = refuse_json(key, source, item, error);
        else if (key->type == PIO_SETTING_TEXTS)
            status = check_text(key, source, text, error);
        if (!status && json_array_append(*out, item)) status = pio_fail_memory(error, source, sizeof *item);
    }
    if (status) {
        json_decref(*out);
        *out = NULL;
    }
    return status;
}

pio_status pio_key_check(const pio_key_info *key, const char *source, const json_t *value, json_t **out,
                         pio_error *error) {
    *out = NULL;
    const bool list = key->type == PIO_SETTING_CHOICES || key->type == PIO_SETTING_TEXTS;
    const bool number =
        key->type == PIO_SETTING_INTEGER || key->type == PIO_SETTING_BYTES || key->type == PIO_SETTING_NUMBER;
    char text[64];
    if (json_is_string(value)) return pio_key_parse(key, source, json_string_value(value), list, out, error);
    if (json_is_array(value) && list) return check_list(key, source, value, out, error);
    if (json_is_boolean(value) && key->type == PIO_SETTING_SWITCH)
        return pio_key_parse(key, source, json_is_true(value) ? "on" : "off", false, out, error);
    if (!json_is_number(value) || !number) return refuse_json(key, source, value, error);
    if (json_is_integer(value))
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
    else
        snprintf(text, sizeof text, "%.17g", json_real_value(value));
    return pio_key_parse(key, source, text, false, out, error);
}

/* ---- names ---- */

enum { MOST_NAME = 40 };

/* Levenshtein's distance, '-' and '_' and the cases of a letter being equal. */
static size_t distance(const char *a, const char *b) {
    size_t row[MOST_NAME + 1], n = strlen(b);
    for (size_t j = 0; j <= n; j++) row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 1; j <= n; j++) {
            const char c = (char)(a[i] == '-' ? '_' : a[i] >= 'A' && a[i] <= 'Z' ? a[i] - 'A' + 'a' : a[i]);
            const size_t change = diagonal + (c != b[j - 1]), shorter = PIO_MIN(row[j], row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = PIO_MIN(change, shorter);
        }
    }
    return row[n];
}

pio_key pio_key_nearest(const char *name) {
    size_t best = MOST_NAME;
    int nearest = PIO_KEY_COUNT;
    if (strlen(name) > MOST_NAME) return PIO_KEY_COUNT;
    for (int key = 0; key < PIO_KEY_COUNT; key++) {
        const size_t d = distance(name, pio_key_get((pio_key)key)->name);
        if (d >= best) continue;
        best = d;
        nearest = key;
    }
    return best <= PIO_MAX(2, strlen(name) / 3) ? (pio_key)nearest : PIO_KEY_COUNT;
}
