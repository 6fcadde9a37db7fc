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

int main(void) {
    for (int path = 1; path <= EW_PATH_BF16; path++) {
        if (!ew_runs(path)) continue;
        int before = failures;
        streams(path);
        if (failures == before) printf("%s: ok\n", names[path]);
    }
    return failures > 0;
}
