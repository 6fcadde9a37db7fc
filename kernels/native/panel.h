/* A tile of a product on packed panels, whatever the number format: rows of activations by strips of 16 rows of weights.

   Weights lie in steps along k: one step holds as many k as fill 32 bits of products (4 int8, 2 bf16, 1 fp16) for each of 16 rows of weights,
   which are the lanes of the sums, so nothing is added up across lanes. Activations lie in rows, 4 bytes a step. */
#ifndef EDGEWRIGHT_PANEL_H
#define EDGEWRIGHT_PANEL_H

#include "edgewright.h"

#define LANES 16
#define MOST_ROWS 6
#define MOST_STRIPS 2
/* Bytes of activations that a block of rows may take: they are read again for every strip, from the second-level cache. */
#define BLOCK_BYTES (256 * 1024)

typedef union {
    float real[MOST_ROWS][MOST_STRIPS * LANES];
    int32_t whole[MOST_ROWS][MOST_STRIPS * LANES];
} ew_sums;

typedef struct {
    const uint8_t *w; /* first strip */
    int64_t strip;    /* bytes of a strip */
    const uint8_t *x; /* first row */
    int64_t row;      /* bytes of a row */
    int64_t steps;    /* along k */
} ew_tile;

typedef void ew_product(ew_sums *, const ew_tile *, int rows, int strips);

/* Defines `name`: sums of `rows` by `vectors` vectors, `gap` bytes apart in a step of `wide` bytes, in `turns` independent chains each so that
   a few sums still hide the latency of their instruction. All of these are constants where it is inlined: the sums live in registers. */
#define EW_TILE(name, target, vector, width, zero, add, store, dot, wide)                                                             \
    target static inline __attribute__((always_inline)) void name(                                                                    \
        ew_sums *out, const ew_tile *t, int64_t gap, const int rows, const int vectors, const int turns) {                            \
        vector sum[MOST_ROWS][4][4];                                                                                                  \
        _Pragma("GCC unroll 8") for (int r = 0; r < rows; r++)                                                                        \
            _Pragma("GCC unroll 8") for (int v = 0; v < vectors; v++)                                                                 \
                _Pragma("GCC unroll 8") for (int u = 0; u < turns; u++) sum[r][v][u] = zero();                                        \
        int64_t p = 0;                                                                                                                \
        for (; p + turns <= t->steps; p += turns)                                                                                     \
            _Pragma("GCC unroll 8") for (int u = 0; u < turns; u++)                                                                   \
                _Pragma("GCC unroll 8") for (int v = 0; v < vectors; v++)                                                             \
                    _Pragma("GCC unroll 8") for (int r = 0; r < rows; r++)                                                            \
                        sum[r][v][u] = dot(sum[r][v][u], t->w + v * gap + (p + u) * (wide), t->x + r * t->row + (p + u) * 4);         \
        for (; p < t->steps; p++)                                                                                                     \
            _Pragma("GCC unroll 8") for (int v = 0; v < vectors; v++)                                                                 \
                _Pragma("GCC unroll 8") for (int r = 0; r < rows; r++)                                                                \
                    sum[r][v][0] = dot(sum[r][v][0], t->w + v * gap + p * (wide), t->x + r * t->row + p * 4);                         \
        _Pragma("GCC unroll 8") for (int r = 0; r < rows; r++)                                                                        \
            _Pragma("GCC unroll 8") for (int v = 0; v < vectors; v++) {                                                               \
                _Pragma("GCC unroll 8") for (int u = 1; u < turns; u++) sum[r][v][0] = add(sum[r][v][0], sum[r][v][u]);               \
                store(&out->real[r][v * (width)], sum[r][v][0]);                                                                      \
            }                                                                                                                         \
    }

/* Defines `name` from a tile whose vectors are whole strips (16 lanes). */
#define EW_BY_STRIPS(name, target, tile)                                              \
    target static void name(ew_sums *out, const ew_tile *t, int rows, int strips) {   \
        int64_t gap = t->strip;                                                       \
        if (strips == 2) switch (rows) {                                              \
            case 1: tile(out, t, gap, 1, 2, 4); break;                                \
            case 2: tile(out, t, gap, 2, 2, 2); break;                                \
            case 3: tile(out, t, gap, 3, 2, 2); break;                                \
            case 4: tile(out, t, gap, 4, 2, 1); break;                                \
            case 5: tile(out, t, gap, 5, 2, 1); break;                                \
            default: tile(out, t, gap, 6, 2, 1);                                      \
        } else switch (rows) {                                                        \
            case 1: tile(out, t, gap, 1, 1, 4); break;                                \
            case 2: tile(out, t, gap, 2, 1, 4); break;                                \
            case 3: tile(out, t, gap, 3, 1, 2); break;                                \
            case 4: tile(out, t, gap, 4, 1, 2); break;                                \
            case 5: tile(out, t, gap, 5, 1, 1); break;                                \
            default: tile(out, t, gap, 6, 1, 1);                                      \
        }                                                                             \
    }

/* Defines `name` from a tile of which `parts` vectors, `gap` bytes apart, make a strip: strips one by one, rows three by three. */
#define EW_BY_PARTS(name, target, tile, parts, gap)                                                                                   \
    target static void name##_1(ew_sums *out, const ew_tile *t) { tile(out, t, gap, 1, parts, 4); }                                   \
    target static void name##_2(ew_sums *out, const ew_tile *t) { tile(out, t, gap, 2, parts, 2); }                                   \
    target static void name##_3(ew_sums *out, const ew_tile *t) { tile(out, t, gap, 3, parts, 1); }                                   \
    static void name(ew_sums *out, const ew_tile *t, int rows, int strips) {                                                          \
        for (int s = 0; s < strips; s++)                                                                                              \
            for (int r = 0; r < rows; r += 3) {                                                                                       \
                ew_sums part;                                                                                                         \
                ew_tile at = {t->w + s * t->strip, t->strip, t->x + r * t->row, t->row, t->steps};                                    \
                int high = rows - r < 3 ? rows - r : 3;                                                                               \
                if (high == 3) name##_3(&part, &at);                                                                                  \
                else if (high == 2) name##_2(&part, &at);                                                                             \
                else name##_1(&part, &at);                                                                                            \
                for (int i = 0; i < high; i++) memcpy(&out->real[r + i][s * LANES], part.real[i], LANES * sizeof(float));             \
            }                                                                                                                         \
    }

/* What becomes of the sums of rows r.. and strips s..: the format's own. */
typedef void ew_finish(const void *with, const ew_sums *, int64_t r, int rows, int64_t s, int strips);

static inline void ew_panels(ew_tile t, int64_t rows, int64_t strips, ew_product *product, ew_finish *finish, const void *with) {
    const uint8_t *x = t.x, *w = t.w;
    int64_t block = BLOCK_BYTES / t.row / MOST_ROWS * MOST_ROWS;
    if (block < MOST_ROWS) block = MOST_ROWS;
    for (int64_t top = 0; top < rows; top += block) {
        int64_t bottom = top + block < rows ? top + block : rows;
        for (int64_t s = 0; s < strips; s += MOST_STRIPS)
            for (int64_t r = top; r < bottom; r += MOST_ROWS) {
                int high = bottom - r < MOST_ROWS ? (int)(bottom - r) : MOST_ROWS;
                int wide = strips - s < MOST_STRIPS ? (int)(strips - s) : MOST_STRIPS;
                ew_sums sums;
                t.x = x + r * t.row;
                t.w = w + s * t.strip;
                product(&sums, &t, high, wide);
                finish(with, &sums, r, high, s, wide);
            }
    }
}

#endif
