#include "models/resize.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

/* Keys' cubic (1981) with a = -1/2. */
static double cubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

/* The pixels that one pixel is made of, and their shares in fixed point of `precision` bits behind the point. */
typedef struct taps {
    int32_t *first, *n; /* [out] */
    int16_t *shares;    /* [out, most] */
    int32_t most;
    int precision;
} taps;

static void free_taps(taps *t) {
    free(t->first);
    free(t->n);
    free(t->shares);
}

/* Writes the shares of pixel i into w; the first pixel and the number of them into the tables. */
static void weigh(taps *t, double *w, int32_t i, int32_t in, double scale, double stretch) {
    const double centre = scale * (i + 0.5), reach = 2 * stretch;
    const int32_t first = PIO_MAX((int32_t)(centre - reach + 0.5), 0),
                  end = PIO_MIN((int32_t)(centre + reach + 0.5), in);
    const int32_t n = PIO_MIN(PIO_MAX(end - first, 0), t->most);
    double sum = 0;
    for (int32_t k = 0; k < n; k++) sum += w[k] = cubic((first + k - centre + 0.5) / stretch);
    for (int32_t k = 0; k < n && sum != 0; k++) w[k] /= sum;
    for (int32_t k = n; k < t->most; k++) w[k] = 0;
    t->first[i] = first;
    t->n[i] = n;
}

/* As many bits as the largest share leaves room for in 16 bits. */
static int precision_of(const double *w, size_t n) {
    double largest = 0;
    for (size_t i = 0; i < n; i++) largest = PIO_MAX(largest, w[i]);
    int precision = 0;
    while (precision < 22 && (int)(0.5 + largest * (1 << (precision + 1))) < 1 << 15) precision++;
    return precision;
}

static bool make_taps(taps *t, int32_t in, int32_t out) {
    const double scale = (double)in / out, stretch = PIO_MAX(scale, 1.0);
    t->most = (int32_t)ceil(2 * stretch) * 2 + 1;
    const size_t n = (size_t)out * (size_t)t->most;
    double *w = malloc(sizeof *w * n);
    t->first = malloc(sizeof *t->first * (size_t)out);
    t->n = malloc(sizeof *t->n * (size_t)out);
    t->shares = malloc(sizeof *t->shares * n);
    const bool ready = w && t->first && t->n && t->shares;
    for (int32_t i = 0; ready && i < out; i++) weigh(t, w + (size_t)i * (size_t)t->most, i, in, scale, stretch);
    if (ready) {
        t->precision = precision_of(w, n);
        const double one = (double)(1 << t->precision);
        for (size_t i = 0; i < n; i++) t->shares[i] = (int16_t)(w[i] < 0 ? w[i] * one - 0.5 : w[i] * one + 0.5);
    }
    free(w);
    return ready;
}

static uint8_t rounded(int32_t sum, int precision) {
    const int32_t value = sum >> precision;
    return (uint8_t)PIO_MAX(0, PIO_MIN(255, value));
}

/* [height, from, 3] -> [height, to, 3] */
static void across(const taps *t, const uint8_t *from, int32_t height, int32_t from_width, int32_t width, uint8_t *to) {
    for (int32_t y = 0; y < height; y++, from += 3 * (size_t)from_width) {
        for (int32_t x = 0; x < width; x++, to += 3) {
            const uint8_t *pixel = from + 3 * (size_t)t->first[x];
            const int16_t *share = t->shares + (size_t)x * (size_t)t->most;
            int32_t sums[3] = {1 << (t->precision - 1), 1 << (t->precision - 1), 1 << (t->precision - 1)};
            for (int32_t k = 0; k < t->n[x]; k++)
                for (int c = 0; c < 3; c++) sums[c] += share[k] * pixel[3 * k + c];
            for (int c = 0; c < 3; c++) to[c] = rounded(sums[c], t->precision);
        }
    }
}

/* [from, width, 3] -> [height, width, 3]; `sums` [3 width] */
static void down(const taps *t, const uint8_t *from, int32_t width, int32_t height, int32_t *sums, uint8_t *to) {
    const size_t n = 3 * (size_t)width;
    for (int32_t y = 0; y < height; y++, to += n) {
        const int16_t *share = t->shares + (size_t)y * (size_t)t->most;
        for (size_t i = 0; i < n; i++) sums[i] = 1 << (t->precision - 1);
        for (int32_t k = 0; k < t->n[y]; k++) {
            const uint8_t *row = from + n * (size_t)(t->first[y] + k);
            for (size_t i = 0; i < n; i++) sums[i] += share[k] * row[i];
        }
        for (size_t i = 0; i < n; i++) to[i] = rounded(sums[i], t->precision);
    }
}

pio_status pio_image_resize(const pio_image *from, int32_t width, int32_t height, pio_image *out, pio_error *error) {
    taps x = {0}, y = {0};
    const size_t row = 3 * (size_t)width;
    uint8_t *middle = malloc(row * (size_t)from->height);
    int32_t *sums = malloc(sizeof *sums * row);
    *out = (pio_image){malloc(row * (size_t)height), width, height};
    /* A side that keeps its length is passed over: the shares would be 1 and 0. */
    const bool ready =
        middle && sums && out->rgb && make_taps(&x, from->width, width) && make_taps(&y, from->height, height);
    if (ready) {
        if (width == from->width)
            memcpy(middle, from->rgb, row * (size_t)from->height);
        else
            across(&x, from->rgb, from->height, from->width, width, middle);
        if (height == from->height)
            memcpy(out->rgb, middle, row * (size_t)height);
        else
            down(&y, middle, width, height, sums, out->rgb);
    }
    free_taps(&x);
    free_taps(&y);
    free(middle);
    free(sums);
    if (ready) return PIO_OK;
    pio_image_free(out);
    return pio_fail_memory(error, "resizing a picture", row * (size_t)from->height);
}
