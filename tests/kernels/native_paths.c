/* Runs each entry point of the native kernels in plain C and on every other path of the processor, on the same operands, and compares.

   For processors that Python does not run on here: compiled by tests/kernels/test_native.py and run under an emulator. Operands are small
   integers wherever sums are in floating point, so that results are equal and not only close. */
#include <stdio.h>
#include <stdlib.h>

#include "edgewright.h"

int ew_use(int path);
int ew_runs(int path);

static uint64_t state = 1;
static uint32_t draw(void) { /* Knuth's MMIX generator */
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

typedef void (*entry)(const ew_array *);

static void *floats(int64_t n) {
    float *made = malloc((size_t)n * sizeof *made);
    for (int64_t i = 0; i < n; i++) made[i] = (float)(int)(draw() % 17) - 8;
    return made;
}

static void *number(int64_t value) {
    int64_t *made = malloc(sizeof *made);
    *made = value;
    return made;
}

static const char *names[] = {"plain", "neon", "avx2", "avx512", "avx512_bf16"};
static int failures = 0;

/* Compares what `run` leaves in its first operand (`bytes` long) on `path` and in plain C. */
static void compare(const char *name, entry run, ew_array *operands, size_t bytes, int path) {
    void *expected = malloc(bytes);
    ew_use(EW_PLAIN);
    memset(operands[0].data, 77, bytes);
    run(operands);
    memcpy(expected, operands[0].data, bytes);
    ew_use(path);
    memset(operands[0].data, 78, bytes);
    run(operands);
    if (memcmp(expected, operands[0].data, bytes)) {
        printf("%s differs on %s\n", name, names[path]);
        failures++;
    }
    free(expected);
}

void ew_read(const ew_array *);
void ew_triad(const ew_array *);
void ew_triad_past(const ew_array *);
void ew_copy_past(const ew_array *);

static void streams(int path) {
    for (int64_t n = 1; n < 300; n += 7) {
        ew_array read[] = {{floats(1), {1}}, {floats(n), {n}}, {number(2), {1}}};
        compare("read", ew_read, read, 4, path);
        ew_array copy[] = {{floats(n), {n}}, {floats(n), {n}}};
        compare("copy_past", ew_copy_past, copy, 4 * (size_t)n, path);
        ew_array triad[] = {{floats(n), {n}}, {floats(n), {n}}, {floats(n), {n}}, {floats(1), {1}}, {number(2), {1}}};
        compare("triad", ew_triad, triad, 4 * (size_t)n, path);
        compare("triad_past", ew_triad_past, triad, 4 * (size_t)n, path);
    }
}

void ew_product_fp32(const ew_array *);
void ew_product_fp16(const ew_array *);
void ew_product_bf16(const ew_array *);
void ew_product_int8(const ew_array *);
void ew_product_q4(const ew_array *);
void ew_product_q2(const ew_array *);
void ew_lut_gemv(const ew_array *);
void ew_peak_fp64(const ew_array *);
void ew_peak_fp32(const ew_array *);
void ew_peak_fp16(const ew_array *);
void ew_peak_bf16(const ew_array *);
void ew_peak_int8(const ew_array *);

/* Small integers as fp16 and as bf16. */
static void *halves(int64_t n, int brain) {
    uint16_t *made = malloc((size_t)n * sizeof *made);
    for (int64_t i = 0; i < n; i++) {
        int value = (int)(draw() % 17) - 8;
        float real = (float)value;
        uint32_t bits;
        memcpy(&bits, &real, 4);
        uint32_t half = value ? (bits >> 16 & 0x8000) | ((bits >> 23 & 255) - 112) << 10 | (bits >> 13 & 0x3FF) : 0;
        made[i] = (uint16_t)(brain ? bits >> 16 : half);
    }
    return made;
}

static uint8_t *bytes(int64_t n) {
    uint8_t *made = malloc((size_t)n);
    for (int64_t i = 0; i < n; i++) made[i] = (uint8_t)draw();
    return made;
}

/* Activations whose largest is 127 in every `group`, so that one step of their integers is 1. */
static float *activations(int64_t n, int64_t group) {
    float *made = floats(n);
    for (int64_t i = 0; i < n; i += group) made[i] = 127;
    return made;
}

/* Groups of bytes with 16 scales of 1, 2 or 4 in front. */
static uint8_t *scaled(int64_t count, int64_t size) {
    uint8_t *made = bytes(count * size);
    for (int64_t i = 0; i < count; i++)
        for (int lane = 0; lane < 16; lane++) {
            uint16_t scale = (uint16_t)(0x3C00 + 0x400 * (draw() % 3));
            memcpy(made + i * size + 2 * lane, &scale, 2);
        }
    return made;
}

static void *space(int64_t bytes_of) { return calloc((size_t)bytes_of, 1); }

static void products(int path, int64_t rows, int64_t strips, int64_t steps) {
    int64_t n = 16 * strips, out = 4 * rows * n;
    int64_t k = steps;
    ew_array fp32[] = {{space(out), {rows, n}}, {floats(n * k), {strips, k, 16, 1}}, {floats(rows * k), {rows, k}}};
    compare("product_fp32", ew_product_fp32, fp32, (size_t)out, path);
    ew_array fp16[] = {{space(out), {rows, n}}, {halves(n * k, 0), {strips, k, 16, 1}}, {floats(rows * k), {rows, k}}};
    compare("product_fp16", ew_product_fp16, fp16, (size_t)out, path);
    k = 2 * steps;
    ew_array bf16[] = {{space(out), {rows, n}}, {halves(n * k, 1), {strips, steps, 16, 2}}, {floats(rows * k), {rows, k}}, {space(2 * rows * k), {0}}};
    compare("product_bf16", ew_product_bf16, bf16, (size_t)out, path);
    k = 4 * steps;
    ew_array int8[] = {{space(out), {rows, n}}, {bytes(n * k), {strips, steps, 16, 4}}, {floats(n), {n}}, {activations(rows * k, k), {rows, k}},
                       {space(rows * k), {0}}, {space(4 * rows), {rows}}, {space(4 * rows), {rows}}};
    compare("product_int8", ew_product_int8, int8, (size_t)out, path);
}

static void blocks(int path, int64_t rows, int64_t strips, int64_t count) {
    int64_t n = 16 * strips, k = 32 * count, out = 4 * rows * n;
    for (int bits = 2; bits <= 4; bits += 2) {
        int64_t size = 32 + 64 * bits;
        ew_array a[] = {{space(out), {rows, n}}, {scaled(strips * count, size), {strips, count, size}}, {activations(rows * k, 32), {rows, k}},
                        {space(rows * k), {0}}, {space(4 * rows * count), {0}}, {space(4 * rows * count), {0}}};
        compare(bits == 4 ? "product_q4" : "product_q2", bits == 4 ? ew_product_q4 : ew_product_q2, a, (size_t)out, path);
    }
}

/* The first table of each group has the largest entry, 254: one step of the tables is 2, so that half of one is 1. */
static void tables(int path, int64_t strips, int64_t groups) {
    int64_t k = 128 * groups, out = 4 * 16 * strips;
    for (int bits = 1; bits <= 4; bits++)
        for (int by_rows = 0; by_rows < 2; by_rows++) {
            int64_t size = 32 + 256 * bits;
            float *x = floats(k);
            for (int64_t g = 0; g < groups; g++) {
                x[128 * g] = x[128 * g + 1] = 127;
                x[128 * g + 2] = x[128 * g + 3] = 0;
            }
            ew_array a[] = {{space(out), {16 * strips}}, {scaled(strips * groups, size), {strips, groups, size}}, {x, {k}}, {number(by_rows), {1}},
                            {space(4 * k), {0}}, {space(4 * groups), {0}}, {space(4 * groups), {0}}};
            compare("lut_gemv", ew_lut_gemv, a, (size_t)out, path);
        }
}

static void peaks(int path) {
    entry all[] = {ew_peak_fp64, ew_peak_fp32, ew_peak_fp16, ew_peak_bf16, ew_peak_int8};
    for (int i = 0; i < 5; i++) {
        ew_array a[] = {{space(8), {1}}, {number(768 * 3), {1}}};
        compare("peak", all[i], a, 8, path);
    }
}

int main(void) {
    for (int path = 1; path <= EW_PATH_BF16; path++) {
        if (!ew_runs(path)) continue;
        int before = failures;
        streams(path);
        peaks(path);
        for (int64_t rows = 1; rows < 9; rows++)
            for (int64_t strips = 1; strips < 4; strips++) {
                products(path, rows, strips, 1 + (int64_t)(draw() % 30));
                blocks(path, rows, strips, 1 + rows % 3);
            }
        tables(path, 1, 3);
        tables(path, 2, 1);
        if (failures == before) printf("%s: ok\n", names[path]);
    }
    return failures > 0;
}
