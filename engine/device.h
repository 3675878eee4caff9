/* Choosing a device: every device of every driver, best first, and the one that a model gets. */
#ifndef PIO_ENGINE_DEVICE_H
#define PIO_ENGINE_DEVICE_H

#include "engine/options.h"
#include "hal/hal.h"

/* A device of this machine, or a backend of this build that has none. */
typedef struct pio_candidate {
    const pio_driver *driver;
    int index; /* within its backend; -1: the backend has no device */
    pio_device_caps caps;
    char why_not[256]; /* why it cannot be used; "": it can */
    bool unasked;      /* the driver was not asked, as the machine shows no hardware for it */
    bool is_known;     /* it sits on the same card as an earlier driver's device: */
    pio_backend twin;
    int twin_index;
} pio_candidate;

enum { PIO_MAX_CANDIDATES = 48 };
typedef struct pio_candidates {
    pio_candidate items[PIO_MAX_CANDIDATES]; /* what can be used first, the best of it first */
    int n;
} pio_candidates;

/* Lists the devices of a backend, or of all (PIO_AUTO). Free with free(); NULL: no memory. */
pio_candidates *pio_list_candidates(int backend);

/* Why a device that can be used is not what a model gets when `best` is. */
void pio_candidate_say(const pio_candidate *candidate, const pio_candidate *best, char *text, size_t bytes);

/* Devices that automatic choice has tried, and why they failed. */
typedef struct pio_passed {
    struct {
        pio_backend backend;
        int index;
        char name[64], why[256];
    } items[8];
    int n;
} pio_passed;

typedef struct pio_chosen_device {
    pio_device *device;
    pio_device_caps caps;
    uint32_t cpu_features; /* pio_feature bits of the CPU backend, for work on the host */
    int index;             /* within its backend */
    char reason[1024];     /* why it, and why each better one was passed over: one line */
    char unasked[400];     /* goes on with the drivers that were not asked, which is no news to a run */
} pio_chosen_device;

/* Creates the device that the options name, or the best one. Real devices come before the processor; a software device
 * is taken when its index is named or its named backend has no other, and one that computes nothing when its backend is
 * named. A named backend that cannot be used is an error with its cause and cure. */
pio_status pio_choose_device(const pio_engine_options *options, pio_chosen_device *chosen, pio_error *error);

/* The same without those that were passed over before. Automatic choice adds those that cannot be opened. */
pio_status pio_choose_next_device(const pio_engine_options *options, pio_passed *passed, pio_chosen_device *chosen,
                                  pio_error *error);

/* Whether a failure with this status may be the device's own, and another might do. */
bool pio_may_be_the_device(pio_status status);

/* Adds the chosen device; false: there is no room. */
bool pio_pass_over(pio_passed *passed, pio_backend backend, int index, const char *name, const char *why);

/* "vulkan:0 NAME (driver, ...), the best that can be used; not ..." */
void pio_chosen_show(const pio_chosen_device *chosen, char *text, size_t bytes);

/* The backend named `name` ("auto" gives PIO_AUTO); unknown names list the known ones. */
pio_status pio_backend_parse(const char *name, int *backend, pio_error *error);

#endif
