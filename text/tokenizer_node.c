#include "text/tokenizer_node.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/compiler.h"

enum { MAX_NODE_DEPTH = 8 };

void pio_node_free(pio_node *node) {
    for (int32_t i = 0; i < node->n_children; i++) pio_node_free(&node->children[i]);
    free(node->children);
    *node = (pio_node){0};
}

pio_status pio_node_fail_json(const pio_json_cursor *c, pio_error *error) {
    return pio_fail(error, PIO_CORRUPT, "not valid JSON at byte %lld: %s; fetch the file again",
                    (long long)(c->at - c->begin), c->reason ? c->reason : "it ends too early");
}

static bool fail_type(const char *key, const char *wanted, pio_status *status, pio_error *error) {
    *status = pio_fail(error, PIO_CORRUPT, "'%s' must be %s; fetch the file again", key, wanted);
    return false;
}

bool pio_node_read_string(pio_json_cursor *c, char **pool, const char *key, pio_node_string *out, pio_status *status,
                          pio_error *error) {
    *out = (pio_node_string){0};
    char first = pio_json_scan_peek(c);
    if (first != '"' && first != 'n') return fail_type(key, "a string", status, error);
    bool ok = first == '"' ? pio_json_scan_string(c, pool, &out->text, &out->n_bytes) : pio_json_scan_skip(c);
    if (!ok) *status = pio_node_fail_json(c, error);
    return ok;
}

bool pio_node_read_flag(pio_json_cursor *c, const char *key, pio_node_flag *out, pio_status *status, pio_error *error) {
    char first = pio_json_scan_peek(c);
    if (first != 't' && first != 'f' && first != 'n') return fail_type(key, "true or false", status, error);
    *out = first == 't' ? PIO_NODE_TRUE : first == 'f' ? PIO_NODE_FALSE : PIO_NODE_ABSENT;
    if (pio_json_scan_skip(c)) return true;
    *status = pio_node_fail_json(c, error);
    return false;
}

static bool read_number(pio_json_cursor *c, const char *key, uint64_t *out, pio_status *status, pio_error *error) {
    char first = pio_json_scan_peek(c);
    if (first < '0' || first > '9') return fail_type(key, "a whole number", status, error);
    if (!pio_json_scan_u64(c, out)) {
        *status = pio_node_fail_json(c, error);
        return false;
    }
    return *out <= INT32_MAX || fail_type(key, "a number below 2^31", status, error);
}

/* {"Regex": "..."} or {"String": "..."} */
static bool read_pattern(pio_json_cursor *c, char **pool, pio_node *node, pio_status *status, pio_error *error) {
    if (pio_json_scan_peek(c) != '{') return fail_type("pattern", "an object with 'String' or 'Regex'", status, error);
    c->at++;
    for (bool first = true; pio_json_scan_more(c, '}', &first);) {
        pio_node_string key;
        pio_json_scan_peek(c);
        if (!pio_json_scan_key(c, pool, &key.text, &key.n_bytes)) break;
        pio_node_string *to = !strcmp(key.text, "Regex")    ? &node->regex_pattern
                              : !strcmp(key.text, "String") ? &node->string_pattern
                                                            : NULL;
        if (!to) {
            *status = pio_fail(error, PIO_UNSUPPORTED, "pattern '%.40s' is unknown (known: String, Regex)", key.text);
            return false;
        }
        if (!pio_node_read_string(c, pool, key.text, to, status, error)) return false;
    }
    if (c->reason) *status = pio_node_fail_json(c, error);
    return !c->reason;
}

static bool read_children(pio_json_cursor *c, char **pool, pio_node *node, int depth, const char *key,
                          pio_status *status, pio_error *error) {
    if (pio_json_scan_peek(c) != '[') return fail_type(key, "a list", status, error);
    c->at++;
    for (bool first = true; pio_json_scan_more(c, ']', &first);) {
        pio_node *child = PIO_PUSH(node, children);
        *status = child ? pio_node_read(c, pool, child, depth + 1, error)
                        : pio_fail_memory(error, "a tokenizer's steps", sizeof *child);
        if (*status) return false;
    }
    if (c->reason) *status = pio_node_fail_json(c, error);
    return !c->reason;
}

/* One member; keys that no step needs are skipped. */
static bool read_member(pio_json_cursor *c, char **pool, pio_node *node, int depth, const char *key, pio_status *status,
                        pio_error *error) {
    const struct {
        const char *key;
        pio_node_string *string;
        pio_node_flag *flag;
        uint64_t *number;
    } members[] = {
        {"type", &node->type, NULL, NULL},
        {"content", &node->content, NULL, NULL},
        {"behavior", &node->behavior, NULL, NULL},
        {"replacement", &node->replacement, NULL, NULL},
        {"prepend_scheme", &node->prepend_scheme, NULL, NULL},
        {"prepend", &node->prepend, NULL, NULL},
        {"suffix", &node->suffix, NULL, NULL},
        {"delimiter", &node->delimiter, NULL, NULL},
        {"invert", NULL, &node->invert, NULL},
        {"individual_digits", NULL, &node->individual_digits, NULL},
        {"add_prefix_space", NULL, &node->add_prefix_space, NULL},
        {"use_regex", NULL, &node->use_regex, NULL},
        {"split", NULL, &node->split, NULL},
        {"strip_left", NULL, &node->strip_left, NULL},
        {"strip_right", NULL, &node->strip_right, NULL},
        {"length", NULL, NULL, &node->length},
        {"start", NULL, NULL, &node->start},
        {"stop", NULL, NULL, &node->stop},
    };
    if (!strcmp(key, "pattern")) return read_pattern(c, pool, node, status, error);
    if (!strcmp(key, "normalizers") || !strcmp(key, "pretokenizers") || !strcmp(key, "decoders"))
        return read_children(c, pool, node, depth, key, status, error);
    for (size_t i = 0; i < PIO_COUNT(members); i++) {
        if (strcmp(key, members[i].key) != 0) continue;
        if (members[i].string) return pio_node_read_string(c, pool, key, members[i].string, status, error);
        if (members[i].flag) return pio_node_read_flag(c, key, members[i].flag, status, error);
        node->has_length |= members[i].number == &node->length;
        return read_number(c, key, members[i].number, status, error);
    }
    if (pio_json_scan_skip(c)) return true;
    *status = pio_node_fail_json(c, error);
    return false;
}

pio_status pio_node_read(pio_json_cursor *c, char **pool, pio_node *node, int depth, pio_error *error) {
    pio_status status = PIO_OK;
    if (depth > MAX_NODE_DEPTH) return pio_fail(error, PIO_LIMIT, "steps are nested deeper than %d", MAX_NODE_DEPTH);
    if (!pio_json_scan_take(c, '{', "an object is missing")) return pio_node_fail_json(c, error);
    for (bool first = true; pio_json_scan_more(c, '}', &first);) {
        pio_node_string key;
        pio_json_scan_peek(c);
        if (!pio_json_scan_key(c, pool, &key.text, &key.n_bytes)) break;
        if (!read_member(c, pool, node, depth, key.text, &status, error)) return status;
    }
    return c->reason ? pio_node_fail_json(c, error) : PIO_OK;
}
