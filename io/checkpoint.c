#include "io/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/json_scan.h"

static const char INDEX_NAME[] = "model.safetensors.index.json";
static const char SINGLE_NAME[] = "model.safetensors";

enum { MAX_INDEX_BYTES = 100000000 };

typedef struct indexed_tensor {
    const char *name, *shard; /* in the pool */
} indexed_tensor;

struct pio_checkpoint {
    char *directory, *identity;
    pio_safetensors **shards; /* sorted by file name */
    const char **shard_names; /* in `pool`, or the single name */
    size_t n_shards;
    const pio_stored_tensor **tensors; /* by shard and offset */
    const pio_stored_tensor **by_name;
    size_t n_tensors;
    uint64_t bytes;

    char *pool;              /* the strings of the index; NULL for a single file */
    indexed_tensor *indexed; /* sorted by name */
    size_t n_indexed;
};

/* "directory/name"; NULL without memory. */
static char *join(const char *directory, const char *name) {
    size_t n = strlen(directory), capacity = n + strlen(name) + 2;
    char *path = malloc(capacity);
    if (path) snprintf(path, capacity, "%s%s%s", directory, n && directory[n - 1] == '/' ? "" : "/", name);
    return path;
}

/* Needs no memory, so that "absent" is never the answer for want of it. */
static bool exists(const char *directory, const char *name) {
    struct stat info;
    char path[PATH_MAX]; /* the system takes no longer ones */
    int n = snprintf(path, sizeof path, "%s/%s", directory, name);
    return n > 0 && (size_t)n < sizeof path && stat(path, &info) == 0;
}

static bool ends_with(const char *text, const char *ending) {
    size_t n = strlen(text), m = strlen(ending);
    return n >= m && strcmp(text + n - m, ending) == 0;
}

/* Says what the directory has instead of weights, with the cure that fits. */
static pio_status fail_without_weights(const char *directory, pio_error *error) {
    DIR *entries = opendir(directory);
    if (!entries) return pio_fail(error, PIO_IO, "cannot list '%.400s' (%m): check its permissions", directory);
    char shard[128] = "", torch[128] = "", gguf[128] = "";
    size_t n_entries = 0;
    for (const struct dirent *entry; (entry = readdir(entries));) {
        const char *name = entry->d_name;
        if (name[0] == '.') continue;
        n_entries++;
        char *kept = ends_with(name, ".safetensors")                                                ? shard
                     : ends_with(name, ".bin") || ends_with(name, ".pt") || ends_with(name, ".pth") ? torch
                     : ends_with(name, ".gguf")                                                     ? gguf
                                                                                                    : NULL;
        if (kept && !*kept) snprintf(kept, sizeof shard, "%.120s", name);
    }
    closedir(entries);
    if (n_entries == 0)
        return pio_fail(error, PIO_NOT_FOUND, "'%.400s' is an empty directory: download a checkpoint into it",
                        directory);
    if (*shard)
        return pio_fail(
            error, PIO_NOT_FOUND,
            "'%.400s' has '%s', but neither %s nor %s: download the index too, or rename a single file to %s",
            directory, shard, INDEX_NAME, SINGLE_NAME, SINGLE_NAME);
    if (*torch)
        return pio_fail(
            error, PIO_UNSUPPORTED,
            "'%.400s' has its weights in '%s', a PyTorch file: download the safetensors form, or convert it with "
            "save_pretrained of transformers",
            directory, torch);
    if (*gguf)
        return pio_fail(
            error, PIO_UNSUPPORTED,
            "'%.400s' has its weights in '%s', a GGUF file: download the original checkpoint in safetensors form",
            directory, gguf);
    return pio_fail(error, PIO_NOT_FOUND,
                    "'%.400s' has no weights, neither %s nor %s: name the directory of a downloaded checkpoint",
                    directory, INDEX_NAME, SINGLE_NAME);
}

static pio_status check_directory(const char *directory, pio_error *error) {
    struct stat info;
    if (stat(directory, &info) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return pio_fail(error, PIO_NOT_FOUND,
                            "there is no directory '%.400s': name that of a downloaded checkpoint", directory);
        return pio_fail(error, PIO_IO, "cannot look into '%.400s' (%m): check its permissions", directory);
    }
    if (!S_ISDIR(info.st_mode))
        return pio_fail(error, PIO_INVALID_ARGUMENT,
                        "'%.400s' is a file: name the directory that holds config.json and the weights", directory);
    return PIO_OK;
}

static int compare_indexed(const void *a, const void *b) {
    return strcmp(((const indexed_tensor *)a)->name, ((const indexed_tensor *)b)->name);
}

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int compare_names(const void *a, const void *b) {
    return strcmp((*(const pio_stored_tensor *const *)a)->name, (*(const pio_stored_tensor *const *)b)->name);
}

/* A shard is a plain name in the checkpoint's directory: an index must not reach elsewhere. */
static bool is_plain_name(const char *name, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)name[i] < 0x20 || name[i] == '/' || name[i] == 0x7f) return false;
    }
    return n > 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static pio_status parse_weight_map(pio_checkpoint *cp, pio_json_cursor *c, char **pool, pio_error *error) {
    size_t capacity = 0;
    if (!pio_json_scan_take(c, '{', "weight_map is not an object")) return PIO_CORRUPT;
    for (bool first = true; pio_json_scan_more(c, '}', &first);) {
        indexed_tensor entry;
        size_t name_bytes, shard_bytes;
        if (!pio_json_scan_key(c, pool, &entry.name, &name_bytes)) return PIO_CORRUPT;
        if (!pio_json_scan_string(c, pool, &entry.shard, &shard_bytes)) return PIO_CORRUPT;
        if (strlen(entry.name) != name_bytes || !is_plain_name(entry.shard, shard_bytes)) {
            c->reason = "a file's name is not that of a file beside the index";
            return PIO_CORRUPT;
        }
        if (cp->n_indexed == capacity) {
            capacity = capacity ? capacity * 2 : 1024;
            indexed_tensor *grown = realloc(cp->indexed, capacity * sizeof *grown);
            if (!grown) return pio_fail_memory(error, INDEX_NAME, capacity * sizeof *grown);
            cp->indexed = grown;
        }
        cp->indexed[cp->n_indexed++] = entry;
    }
    return c->reason ? PIO_CORRUPT : PIO_OK;
}

/* Fills `indexed` from the index's text. */
static pio_status parse_index(pio_checkpoint *cp, const char *text, size_t n_bytes, pio_error *error) {
    char *pool = cp->pool = malloc(n_bytes + 1);
    if (!pool) return pio_fail_memory(error, INDEX_NAME, n_bytes + 1);
    pio_json_cursor c;
    pio_json_scan_begin(&c, text, n_bytes);
    pio_status status = PIO_OK;
    bool seen = false;
    pio_json_scan_take(&c, '{', "it does not begin with '{'");
    for (bool first = true; pio_json_scan_more(&c, '}', &first);) {
        const char *key;
        size_t n;
        if (!pio_json_scan_key(&c, &pool, &key, &n)) break;
        if (strcmp(key, "weight_map") != 0) {
            if (!pio_json_scan_skip(&c)) break;
        } else if (seen) {
            c.reason = "there are two weight_map entries";
            break;
        } else {
            seen = true;
            status = parse_weight_map(cp, &c, &pool, error);
            if (status == PIO_OUT_OF_MEMORY) return status;
            if (status != PIO_OK) break;
        }
    }
    if (!c.reason && (pio_json_scan_peek(&c) || c.at < c.end)) c.reason = "something follows the closing '}'";
    if (!c.reason && cp->n_indexed == 0) c.reason = "weight_map is missing or empty";
    if (c.reason)
        return pio_fail(error, PIO_CORRUPT, "'%.400s/%s' is broken at byte %zu (%s): download it again", cp->directory,
                        INDEX_NAME, (size_t)(c.at - c.begin), c.reason);
    qsort(cp->indexed, cp->n_indexed, sizeof *cp->indexed, compare_indexed);
    for (size_t i = 1; i < cp->n_indexed; i++) {
        if (compare_indexed(&cp->indexed[i - 1], &cp->indexed[i]) == 0)
            return pio_fail(error, PIO_CORRUPT, "'%.400s/%s' lists tensor '%.200s' twice: download it again",
                            cp->directory, INDEX_NAME, cp->indexed[i].name);
    }
    return PIO_OK;
}

static pio_status read_index(pio_checkpoint *cp, pio_error *error) {
    char *path = join(cp->directory, INDEX_NAME), *text = NULL;
    size_t n_bytes;
    if (!path) return pio_fail_memory(error, INDEX_NAME, strlen(cp->directory));
    pio_status status = pio_file_read_text(path, MAX_INDEX_BYTES, &text, &n_bytes, error);
    if (status == PIO_OK) status = parse_index(cp, text, n_bytes, error);
    free(text);
    free(path);
    return status;
}

/* The distinct shards that the index names, sorted: names are "model-00001-of-00003", so that is their order. */
static pio_status list_shards(pio_checkpoint *cp, pio_error *error) {
    size_t n = PIO_MAX(cp->n_indexed, 1);
    cp->shard_names = malloc(n * sizeof *cp->shard_names);
    if (!cp->shard_names) return pio_fail_memory(error, "the names of shards", n * sizeof *cp->shard_names);
    if (cp->n_indexed == 0) {
        cp->shard_names[0] = SINGLE_NAME;
        cp->n_shards = 1;
    } else {
        for (size_t i = 0; i < n; i++) cp->shard_names[i] = cp->indexed[i].shard;
        qsort(cp->shard_names, n, sizeof *cp->shard_names, compare_texts);
        for (size_t i = 0; i < n; i++) {
            if (i == 0 || strcmp(cp->shard_names[cp->n_shards - 1], cp->shard_names[i]) != 0)
                cp->shard_names[cp->n_shards++] = cp->shard_names[i];
        }
    }
    cp->shards = calloc(cp->n_shards, sizeof *cp->shards);
    return cp->shards ? PIO_OK : pio_fail_memory(error, "shards", cp->n_shards * sizeof *cp->shards);
}

static pio_status open_shards(pio_checkpoint *cp, pio_error *error) {
    for (size_t i = 0; i < cp->n_shards; i++) {
        if (cp->n_indexed && !exists(cp->directory, cp->shard_names[i]))
            return pio_fail(error, PIO_NOT_FOUND,
                            "'%.400s' lacks '%.200s', file %zu of the %zu that its index names: download it",
                            cp->directory, cp->shard_names[i], i + 1, cp->n_shards);
        char *path = join(cp->directory, cp->shard_names[i]);
        if (!path) return pio_fail_memory(error, cp->shard_names[i], strlen(cp->directory));
        pio_status status = pio_safetensors_open(path, &cp->shards[i], error);
        free(path);
        if (status != PIO_OK) return status;
    }
    return PIO_OK;
}

static const indexed_tensor *find_indexed(const pio_checkpoint *cp, const char *name) {
    indexed_tensor wanted = {.name = name};
    return bsearch(&wanted, cp->indexed, cp->n_indexed, sizeof wanted, compare_indexed);
}

/* A tensor of the index is not in the shard that it names: look where it is. */
static pio_status fail_misplaced(const pio_checkpoint *cp, const indexed_tensor *entry, pio_error *error) {
    for (size_t i = 0; i < cp->n_shards; i++) {
        if (pio_safetensors_find(cp->shards[i], entry->name))
            return pio_fail(
                error, PIO_CORRUPT,
                "'%.300s': tensor '%.200s' lies in '%.100s', but the index says '%.100s': download the checkpoint "
                "again, all files of one revision",
                cp->directory, entry->name, cp->shard_names[i], entry->shard);
    }
    return pio_fail(
        error, PIO_CORRUPT,
        "'%.300s': tensor '%.200s', which the index places in '%.100s', is not there: download the checkpoint "
        "again, all files of one revision",
        cp->directory, entry->name, entry->shard);
}

/* Fills tensors, by_name and bytes. */
static pio_status collect_tensors(pio_checkpoint *cp, pio_error *error) {
    size_t n_stored = 0;
    for (size_t i = 0; i < cp->n_shards; i++) n_stored += pio_safetensors_n_tensors(cp->shards[i]);
    cp->tensors = malloc((n_stored + 1) * sizeof *cp->tensors);
    cp->by_name = malloc((n_stored + 1) * sizeof *cp->by_name);
    if (!cp->tensors || !cp->by_name)
        return pio_fail_memory(error, "the list of tensors", (n_stored + 1) * 2 * sizeof *cp->tensors);
    for (size_t i = 0; i < cp->n_shards; i++) {
        size_t n = pio_safetensors_n_tensors(cp->shards[i]);
        for (size_t t = 0; t < n; t++) {
            const pio_stored_tensor *tensor = pio_safetensors_tensor(cp->shards[i], t);
            const indexed_tensor *entry = cp->n_indexed ? find_indexed(cp, tensor->name) : NULL;
            if (cp->n_indexed && (!entry || strcmp(entry->shard, cp->shard_names[i]) != 0)) continue;
            cp->tensors[cp->n_tensors] = cp->by_name[cp->n_tensors] = tensor;
            cp->n_tensors++;
            cp->bytes += tensor->bytes; /* the sum of sizes of mapped files: no overflow */
        }
    }
    qsort(cp->by_name, cp->n_tensors, sizeof *cp->by_name, compare_names);
    for (size_t i = 0; cp->n_tensors < cp->n_indexed && i < cp->n_indexed; i++) {
        if (!pio_checkpoint_find(cp, cp->indexed[i].name)) return fail_misplaced(cp, &cp->indexed[i], error);
    }
    if (cp->n_tensors == 0)
        return pio_fail(error, PIO_CORRUPT, "'%.400s/%s' has no tensors: download it again", cp->directory,
                        SINGLE_NAME);
    return PIO_OK;
}

/* Appends to the identity; a byte outside printable ASCII, and '%', as %XX, so that it is always text of one line. */
static void put_escaped(FILE *to, const char *text) {
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c > 0x7e || c == '%')
            fprintf(to, "%%%02X", c);
        else
            fputc(c, to);
    }
}

static pio_status describe(pio_checkpoint *cp, pio_error *error) {
    char *real = realpath(cp->directory, NULL);
    if (!real) return pio_fail(error, PIO_IO, "cannot resolve '%.400s' (%m): check its permissions", cp->directory);
    size_t n_bytes;
    FILE *to = open_memstream(&cp->identity, &n_bytes);
    if (to) {
        put_escaped(to, real);
        fputc('\n', to);
        for (size_t i = 0; i < cp->n_shards; i++) {
            const pio_file *file = pio_safetensors_file(cp->shards[i]);
            put_escaped(to, cp->shard_names[i]);
            fprintf(to, " %" PRIu64 " %" PRId64 "\n", pio_file_bytes(file), pio_file_mtime_ns(file));
        }
    }
    free(real);
    if (!to || fclose(to) != 0) return pio_fail_memory(error, "the checkpoint's identity", 4096);
    return PIO_OK;
}

pio_status pio_checkpoint_open(const char *directory, pio_checkpoint **out, pio_error *error) {
    *out = NULL;
    pio_status status = check_directory(directory, error);
    if (status != PIO_OK) return status;
    bool has_index = exists(directory, INDEX_NAME);
    if (!has_index && !exists(directory, SINGLE_NAME)) return fail_without_weights(directory, error);

    pio_checkpoint *cp = calloc(1, sizeof *cp);
    if (!cp || !(cp->directory = strdup(directory))) {
        status = pio_fail_memory(error, directory, sizeof *cp + strlen(directory));
        goto fail;
    }
    if (has_index && (status = read_index(cp, error)) != PIO_OK) goto fail;
    if ((status = list_shards(cp, error)) != PIO_OK || (status = open_shards(cp, error)) != PIO_OK ||
        (status = collect_tensors(cp, error)) != PIO_OK || (status = describe(cp, error)) != PIO_OK)
        goto fail;
    *out = cp;
    return PIO_OK;
fail:
    pio_checkpoint_close(cp);
    return status;
}

void pio_checkpoint_close(pio_checkpoint *cp) {
    if (!cp) return;
    for (size_t i = 0; cp->shards && i < cp->n_shards; i++) pio_safetensors_close(cp->shards[i]);
    free(cp->shards);
    free(cp->shard_names);
    free(cp->tensors);
    free(cp->by_name);
    free(cp->indexed);
    free(cp->pool);
    free(cp->identity);
    free(cp->directory);
    free(cp);
}

const char *pio_checkpoint_directory(const pio_checkpoint *cp) {
    return cp->directory;
}
size_t pio_checkpoint_n_tensors(const pio_checkpoint *cp) {
    return cp->n_tensors;
}
uint64_t pio_checkpoint_bytes(const pio_checkpoint *cp) {
    return cp->bytes;
}
const char *pio_checkpoint_identity(const pio_checkpoint *cp) {
    return cp->identity;
}

const pio_stored_tensor *pio_checkpoint_tensor(const pio_checkpoint *cp, size_t index) {
    return index < cp->n_tensors ? cp->tensors[index] : NULL;
}

const pio_stored_tensor *pio_checkpoint_find(const pio_checkpoint *cp, const char *name) {
    pio_stored_tensor wanted = {.name = name};
    const pio_stored_tensor *key = &wanted;
    const pio_stored_tensor **found = bsearch(&key, cp->by_name, cp->n_tensors, sizeof *cp->by_name, compare_names);
    return found ? *found : NULL;
}
