#include "engine/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

static const pio_driver *driver_of(int backend) {
    const pio_driver *driver;
    for (int i = 0; (driver = pio_driver_at(i)); i++)
        if ((int)driver->backend == backend) return driver;
    return NULL;
}

/* Appends ", name" to a list; text that would not fit is left out. */
static void append(char *list, size_t bytes, const char *name) {
    size_t used = strlen(list);
    snprintf(list + used, bytes - used, "%s%s", used ? ", " : "", name);
}

pio_status pio_backend_parse(const char *name, int *backend, pio_error *error) {
    char known[128] = "auto";
    *backend = PIO_AUTO;
    if (!strcmp(name, "auto")) return PIO_OK;
    for (int i = 0; i < PIO_BACKEND_COUNT; i++) {
        const char *candidate = pio_backend_name((pio_backend)i);
        if (!strcmp(name, candidate)) {
            *backend = i;
            return PIO_OK;
        }
        append(known, sizeof known, candidate);
    }
    return pio_fail(error, PIO_INVALID_ARGUMENT,
                    "there is no backend '%.40s': set PIO_BACKEND or --backend to one of %s", name, known);
}

static pio_status not_built(int backend, pio_error *error) {
    const pio_driver *driver;
    char built[128] = "";
    for (int i = 0; (driver = pio_driver_at(i)); i++) append(built, sizeof built, pio_backend_name(driver->backend));
    return pio_fail(error, PIO_UNSUPPORTED,
                    "this build does not have the %s backend, it has %s: set PIO_BACKEND or --backend to one of these",
                    pio_backend_name((pio_backend)backend), built);
}

/* ---- the devices of this machine ---- */

/* Adds what a driver has: its devices, or the reason that there is none. */
static void add_driver(const pio_driver *driver, bool hardware_only, pio_candidates *list) {
    pio_candidate none = {.driver = driver, .index = -1};
    const bool ask =
        !hardware_only || !driver->expects_hardware || driver->expects_hardware(none.why_not, sizeof none.why_not);
    const int count = ask ? driver->count(none.why_not, sizeof none.why_not) : 0;
    none.unasked = !ask;
    if (count == 0 && list->n < PIO_MAX_CANDIDATES) list->items[list->n++] = none;
    for (int i = 0; i < count && list->n < PIO_MAX_CANDIDATES; i++) {
        pio_error error = {0};
        pio_candidate *c = &list->items[list->n++];
        *c = (pio_candidate){.driver = driver, .index = i};
        if (driver->describe(i, &c->caps, c->why_not, sizeof c->why_not, &error))
            snprintf(c->why_not, sizeof c->why_not, "%.255s", error.text);
    }
}

/* Memory of the device's own. */
static uint64_t local_bytes(const pio_device_caps *caps) {
    uint64_t bytes = 0;
    for (int i = 0; i < caps->n_heaps; i++)
        if (caps->heaps[i].local) bytes += caps->heaps[i].bytes;
    return bytes;
}

/* Whether a is the better device: what can be used, by its kind, each card once, by its memory. */
static bool is_better(const pio_candidate *a, const pio_candidate *b) {
    const bool usable = !a->why_not[0];
    if (usable != !b->why_not[0]) return usable;
    if (!usable) return false;
    if (a->caps.kind != b->caps.kind) return a->caps.kind > b->caps.kind;
    if (a->is_known != b->is_known) return b->is_known;
    return local_bytes(&a->caps) > local_bytes(&b->caps);
}

/* Stable: of equals the earlier driver's, then the lower index. */
static void sort(pio_candidates *list) {
    for (int i = 1; i < list->n; i++) {
        const pio_candidate moved = list->items[i];
        int at = i;
        for (; at > 0 && is_better(&moved, &list->items[at - 1]); at--) list->items[at] = list->items[at - 1];
        list->items[at] = moved;
    }
}

static void find_twin(const pio_candidates *list, pio_candidate *c) {
    for (const pio_candidate *other = list->items; other < c && c->caps.card && !c->is_known; other++) {
        if (other->caps.card != c->caps.card || other->why_not[0]) continue;
        c->is_known = true;
        c->twin = other->driver->backend;
        c->twin_index = other->index;
    }
}

static pio_candidates *list_candidates(int backend, bool hardware_only) {
    pio_candidates *list = calloc(1, sizeof *list);
    const pio_driver *driver;
    if (!list) return NULL;
    for (int i = 0; (driver = pio_driver_at(i)); i++)
        if (backend == PIO_AUTO || (int)driver->backend == backend) add_driver(driver, hardware_only, list);
    for (int i = 0; i < list->n; i++) find_twin(list, &list->items[i]);
    sort(list);
    return list;
}

pio_candidates *pio_list_candidates(int backend) {
    return list_candidates(backend, false);
}

static const char *kind_of(const pio_candidate *c) {
    static const char *const texts[PIO_KIND_COUNT] = {"a device that computes nothing",
                                                      "a software device",
                                                      "the processor",
                                                      "a device of an unknown kind",
                                                      "a virtual device",
                                                      "an integrated device",
                                                      "a discrete device"};
    return texts[c->caps.kind];
}

void pio_candidate_say(const pio_candidate *c, const pio_candidate *best, char *text, size_t bytes) {
    const char *backend = pio_backend_name(c->driver->backend), *better = pio_backend_name(best->driver->backend);
    if (c->is_known)
        snprintf(text, bytes, "the same card as %s:%d, which is taken before it", pio_backend_name(c->twin),
                 c->twin_index);
    else if (c->caps.kind == PIO_KIND_SOFTWARE)
        snprintf(text, bytes,
                 "a software device, slower than the processor itself: taken only if PIO_DEVICE names it, or if "
                 "PIO_BACKEND=%s finds no other",
                 backend);
    else if (c->caps.kind == PIO_KIND_NONE)
        snprintf(text, bytes, "taken only if PIO_BACKEND=%s names it", backend);
    else if (c->caps.kind != best->caps.kind)
        snprintf(text, bytes, "%s:%d is %s and comes before %s", better, best->index, kind_of(best), kind_of(c));
    else
        snprintf(text, bytes, "%s:%d is of the same kind and has %s", better, best->index,
                 local_bytes(&best->caps) > local_bytes(&c->caps) ? "more memory" : "a lower number");
}

/* ---- choosing ---- */

bool pio_may_be_the_device(pio_status status) {
    return status == PIO_DEVICE_LOST || status == PIO_OUT_OF_MEMORY || status == PIO_UNSUPPORTED ||
           status == PIO_INTERNAL;
}

bool pio_pass_over(pio_passed *passed, pio_backend backend, int index, const char *name, const char *why) {
    if (passed->n == (int)PIO_COUNT(passed->items)) return false;
    passed->items[passed->n].backend = backend;
    passed->items[passed->n].index = index;
    snprintf(passed->items[passed->n].name, sizeof passed->items->name, "%.63s", name);
    snprintf(passed->items[passed->n++].why, sizeof passed->items->why, "%.255s", why);
    return true;
}

static int find_passed(const pio_passed *passed, const pio_candidate *c) {
    for (int i = 0; i < passed->n; i++)
        if (passed->items[i].backend == c->driver->backend && passed->items[i].index == c->index) return i;
    return -1;
}

void pio_chosen_show(const pio_chosen_device *chosen, char *text, size_t bytes) {
    snprintf(text, bytes, "%s:%d %s (%s), %s", pio_backend_name(chosen->caps.backend), chosen->index, chosen->caps.name,
             chosen->caps.detail, chosen->reason);
}

/* What the host's processor has, be the device another. */
static uint32_t cpu_features(const pio_engine_options *options) {
    const pio_driver *driver;
    pio_device_caps caps;
    for (int i = 0; (driver = pio_driver_at(i)); i++)
        if (driver->backend == PIO_BACKEND_CPU && !driver->describe(0, &caps, NULL, 0, NULL))
            return caps.features & ~options->cpu_features_off;
    return PIO_CPU_BASE;
}

static pio_status create(const pio_candidate *c, const pio_engine_options *options, pio_chosen_device *chosen,
                         pio_error *error) {
    /* The bits are the CPU's; the null device is given its rows. */
    const bool cpu_bits = c->driver->backend == PIO_BACKEND_CPU || c->driver->backend == PIO_BACKEND_NULL;
    const pio_driver_options driver_options = {.n_threads = options->n_threads,
                                               .features_off = cpu_bits ? options->cpu_features_off : 0,
                                               .unmapped = options->unmapped};
    pio_status status = pio_device_create(c->driver, c->index, &driver_options, &chosen->device, error);
    if (status) return status;
    chosen->index = c->index;
    chosen->cpu_features = cpu_features(options);
    pio_device_get_caps(chosen->device, &chosen->caps);
    return PIO_OK;
}

/* Appends "; not NAME: WHY"; a line that is full stays as it is. */
static void note_passed(char *line, size_t bytes, const pio_candidate *c, const char *why) {
    const size_t used = strlen(line);
    const char *backend = pio_backend_name(c->driver->backend);
    if (used + 1 >= bytes) return;
    if (c->index < 0)
        snprintf(line + used, bytes - used, "; not %s: %s", backend, why);
    else
        snprintf(line + used, bytes - used, "; not %s:%d %.63s: %s", backend, c->index, c->caps.name, why);
}

/* Whether a person would expect to hear why the candidate was passed over when `taken` was not. */
static bool is_missed(const pio_candidate *c, const pio_candidate *taken) {
    if (c->index >= 0) return c->caps.kind > taken->caps.kind;
    const pio_driver *driver;
    for (int i = 0; (driver = pio_driver_at(i)) && driver != taken->driver; i++)
        if (driver == c->driver) return true;
    return false;
}

/* Those that failed, and those better ones that cannot be used; apart from them, those that nobody would miss. */
static void say_reason(const pio_candidates *list, const pio_passed *passed, const pio_candidate *taken, bool named,
                       pio_chosen_device *chosen) {
    char *line = chosen->reason;
    chosen->unasked[0] = 0;
    snprintf(line, sizeof chosen->reason, named ? "as asked for" : "the best that can be used");
    for (int i = 0; i < list->n; i++) {
        const pio_candidate *c = &list->items[i];
        const int at = find_passed(passed, c);
        if (at >= 0)
            note_passed(line, sizeof chosen->reason, c, passed->items[at].why);
        else if (c->unasked)
            note_passed(chosen->unasked, sizeof chosen->unasked, c, c->why_not);
        else if (c->why_not[0] && is_missed(c, taken))
            note_passed(line, sizeof chosen->reason, c, c->why_not);
    }
}

static pio_status fail_index(const pio_engine_options *options, const pio_candidates *list, pio_error *error) {
    const char *name = options->backend == PIO_AUTO ? "" : pio_backend_name((pio_backend)options->backend);
    int count = 0;
    for (int i = 0; i < list->n; i++) {
        const pio_candidate *c = &list->items[i];
        if (name[0] && c->index == options->device)
            return pio_fail(error, PIO_UNSUPPORTED, "device %d of the %s backend cannot be used: %s", c->index, name,
                            c->why_not);
        count += c->index >= 0;
    }
    if (name[0])
        return pio_fail(error, PIO_INVALID_ARGUMENT, "the %s backend has no device %d: it has %d, numbered from 0",
                        name, options->device, count);
    return pio_fail(error, PIO_INVALID_ARGUMENT,
                    "no device of this machine that can be used has the index %d: leave --device (PIO_DEVICE) out, "
                    "or take an index that `inference-pio devices` prints",
                    options->device);
}

/* Nothing is left to choose from. */
static pio_status fail_choice(const pio_engine_options *options, const pio_candidates *list, const pio_passed *passed,
                              pio_error *error) {
    const bool named = options->backend != PIO_AUTO;
    char reasons[768] = "";
    if (named && list->n && list->items[0].index < 0)
        return pio_fail(error, PIO_UNSUPPORTED, "the %s backend has no device: %s",
                        pio_backend_name((pio_backend)options->backend), list->items[0].why_not);
    if (options->device != PIO_AUTO && !passed->n) return fail_index(options, list, error);
    for (int i = 0; i < list->n; i++) {
        const int at = find_passed(passed, &list->items[i]);
        const char *why = at >= 0 ? passed->items[at].why : list->items[i].why_not;
        if (why[0]) note_passed(reasons, sizeof reasons, &list->items[i], why);
    }
    return pio_fail(error, PIO_UNSUPPORTED, "no device of %s%s can be used%s", named ? "the backend " : "this machine",
                    named ? pio_backend_name((pio_backend)options->backend) : "", reasons);
}

/* Whether the options let the candidate be taken. */
static bool is_wanted(const pio_engine_options *options, const pio_candidate *c) {
    if (c->why_not[0] || (options->device != PIO_AUTO && c->index != options->device)) return false;
    if (options->backend != PIO_AUTO) return true;
    return c->caps.computes && (c->caps.kind != PIO_KIND_SOFTWARE || options->device != PIO_AUTO);
}

/* Where nothing else is left, the failure of the only device that was tried, which *error holds, is the answer. */
static pio_status choose(const pio_engine_options *options, const pio_candidates *list, pio_passed *passed,
                         pio_chosen_device *chosen, pio_error *error) {
    const bool named = options->backend != PIO_AUTO;
    pio_status failed = PIO_OK;
    for (int i = 0; i < list->n; i++) {
        const pio_candidate *c = &list->items[i];
        if (!is_wanted(options, c) || find_passed(passed, c) >= 0) continue;
        pio_status status = create(c, options, chosen, error);
        if (!status) {
            say_reason(list, passed, c, named, chosen);
            return PIO_OK;
        }
        if (named || !pio_may_be_the_device(status) ||
            !pio_pass_over(passed, c->driver->backend, c->index, c->caps.name, error ? error->text : ""))
            return status;
        failed = status;
    }
    return failed && passed->n == 1 ? failed : fail_choice(options, list, passed, error);
}

pio_status pio_choose_next_device(const pio_engine_options *options, pio_passed *passed, pio_chosen_device *chosen,
                                  pio_error *error) {
    memset(chosen, 0, sizeof *chosen);
    if (options->backend != PIO_AUTO && !driver_of(options->backend)) return not_built(options->backend, error);
    /* Opening all drivers of a runtime takes a while: not for software devices, which automatic choice never takes. */
    pio_candidates *list =
        list_candidates(options->backend, options->backend == PIO_AUTO && options->device == PIO_AUTO);
    if (!list) return pio_fail_memory(error, "the list of devices", sizeof *list);
    pio_status status = choose(options, list, passed, chosen, error);
    free(list);
    return status;
}

pio_status pio_choose_device(const pio_engine_options *options, pio_chosen_device *chosen, pio_error *error) {
    pio_passed passed = {.n = 0};
    return pio_choose_next_device(options, &passed, chosen, error);
}
