/* Products with a matrix in blocks of 2- or 4-bit codes that are widened to integers: C[r][o] = sum_b d[o][b] dx[r][b] sum_k (q - zero) xq.

   A block is 32 weights of one row under an fp16 scale, as in ggml's Q4_0 (its codes, its zero, its 4.5 bits per weight). 16 rows lie
   interleaved, as engines repack them when they load a model: 16 scales, then vectors of 64 bytes in which 4 bytes in a row belong to one
   row of weights. So the 32-bit lanes of a vector of sums are rows, and nothing is added up across. Of the codes in byte 4 r + i of
   vector v, the one shifted by s codes is weight v * 32/bits + 4 s + i of row r. Activations are quantised by blocks of 32 on the way in. */
#include "half.h"
#include "quantise.h"

#define LANES 16
#define BLOCK 32
#define TILE 4

typedef struct {
    const uint8_t *weights; /* of 16 rows: blocks one after the other */
    const int8_t *x;        /* (rows, k) */
    const float *steps;     /* (rows, k / 32) */
    const int32_t *sums;    /* (rows, k / 32) */
    int64_t k;
} panel;

typedef void panel_product(float out[TILE][LANES], const panel *p, int rows);

static inline __attribute__((always_inline)) void plain(float out[TILE][LANES], const panel *p, int rows, const int bits) {
    int64_t blocks = p->k / BLOCK, size = 2 * LANES + LANES * BLOCK * bits / 8;
    for (int r = 0; r < rows; r++)
        for (int lane = 0; lane < LANES; lane++) {
            float total = 0;
            for (int64_t b = 0; b < blocks; b++) {
                const uint8_t *block = p->weights + b * size, *codes = block + 2 * LANES;
                const int8_t *x = p->x + r * p->k + b * BLOCK;
                int32_t dot = 0;
                for (int k = 0; k < BLOCK; k++) {
                    int per = 32 / bits, code = codes[k / per * 64 + 4 * lane + k % 4] >> (k % per / 4 * bits) & ((1 << bits) - 1);
                    dot += (code - (1 << (bits - 1))) * x[k];
                }
                uint16_t scale;
                memcpy(&scale, block + 2 * lane, 2);
                total += (float)dot * (from_half(scale) * p->steps[r * blocks + b]);
            }
            out[r][lane] = total;
        }
}

static void plain4(float out[TILE][LANES], const panel *p, int rows) { plain(out, p, rows, 4); }
static void plain2(float out[TILE][LANES], const panel *p, int rows) { plain(out, p, rows, 2); }

static inline int32_t four(const int8_t *at) {
    int32_t value;
    memcpy(&value, at, 4);
    return value;
}

#if defined(EW_X86)
EW_AVX512 static inline __attribute__((always_inline)) void full_avx512(float out[TILE][LANES], const panel *p, const int rows, const int bits) {
    const int64_t blocks = p->k / BLOCK, size = 2 * LANES + LANES * BLOCK * bits / 8;
    const int vectors = BLOCK * LANES * bits / 8 / 64, shifts = 8 / bits;
    const __m512i mask = _mm512_set1_epi8((1 << bits) - 1);
    __m512 total[TILE];
    for (int r = 0; r < rows; r++) total[r] = _mm512_setzero_ps();
    for (int64_t b = 0; b < blocks; b++) {
        const uint8_t *block = p->weights + b * size;
        __m512i codes[8], dot[TILE];
        for (int v = 0; v < vectors; v++) {
            __m512i bytes = _mm512_loadu_si512(block + 2 * LANES + 64 * v);
            for (int s = 0; s < shifts; s++) codes[v * shifts + s] = _mm512_and_si512(_mm512_srli_epi16(bytes, s * bits), mask);
        }
        for (int r = 0; r < rows; r++) {
            const int8_t *x = p->x + r * p->k + b * BLOCK;
            dot[r] = _mm512_set1_epi32(-(1 << (bits - 1)) * p->sums[r * blocks + b]);
            for (int i = 0; i < 8; i++) dot[r] = _mm512_dpbusd_epi32(dot[r], codes[i], _mm512_set1_epi32(four(x + 4 * i)));
        }
        __m512 scale = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)block));
        for (int r = 0; r < rows; r++) {
            __m512 step = _mm512_mul_ps(scale, _mm512_set1_ps(p->steps[r * blocks + b]));
            total[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[r]), step, total[r]);
        }
    }
    for (int r = 0; r < rows; r++) _mm512_storeu_ps(out[r], total[r]);
}

EW_AVX2 static inline __attribute__((always_inline)) void full_avx2(float out[TILE][LANES], const panel *p, int rows, const int bits) {
    const int64_t blocks = p->k / BLOCK, size = 2 * LANES + LANES * BLOCK * bits / 8;
    const int vectors = BLOCK * LANES * bits / 8 / 64, shifts = 8 / bits;
    const __m256i mask = _mm256_set1_epi8((1 << bits) - 1), ones = _mm256_set1_epi16(1);
    for (int r = 0; r < rows; r++)
        for (int half = 0; half < 2; half++) {
            __m256 total = _mm256_setzero_ps();
            for (int64_t b = 0; b < blocks; b++) {
                const uint8_t *block = p->weights + b * size;
                const int8_t *x = p->x + r * p->k + b * BLOCK;
                __m256i dot = _mm256_set1_epi32(-(1 << (bits - 1)) * p->sums[r * blocks + b]);
                for (int v = 0; v < vectors; v++) {
                    __m256i bytes = _mm256_loadu_si256((const __m256i *)(block + 2 * LANES + 64 * v + 32 * half));
                    for (int s = 0; s < shifts; s++) { /* codes below 16: sums of two products stay within 16 bits */
                        __m256i codes = _mm256_and_si256(_mm256_srli_epi16(bytes, s * bits), mask);
                        __m256i pairs = _mm256_maddubs_epi16(codes, _mm256_set1_epi32(four(x + 4 * (v * shifts + s))));
                        dot = _mm256_add_epi32(dot, _mm256_madd_epi16(pairs, ones));
                    }
                }
                __m256 scale = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(block + LANES * half)));
                __m256 step = _mm256_mul_ps(scale, _mm256_set1_ps(p->steps[r * blocks + b]));
                total = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), step, total);
            }
            _mm256_storeu_ps(out[r] + 8 * half, total);
        }
}

#define BY_ROWS(name, bits)                                                          \
    EW_AVX512 static void name(float out[TILE][LANES], const panel *p, int rows) {   \
        if (rows == 4) full_avx512(out, p, 4, bits);                                 \
        else if (rows == 3) full_avx512(out, p, 3, bits);                            \
        else if (rows == 2) full_avx512(out, p, 2, bits);                            \
        else full_avx512(out, p, 1, bits);                                           \
    }
BY_ROWS(avx512_4, 4)
BY_ROWS(avx512_2, 2)
EW_AVX2 static void avx2_4(float out[TILE][LANES], const panel *p, int rows) { full_avx2(out, p, rows, 4); }
EW_AVX2 static void avx2_2(float out[TILE][LANES], const panel *p, int rows) { full_avx2(out, p, rows, 2); }
#elif defined(EW_NEON)
static inline __attribute__((always_inline)) void full_neon(float out[TILE][LANES], const panel *p, int rows, const int bits) {
    const int64_t blocks = p->k / BLOCK, size = 2 * LANES + LANES * BLOCK * bits / 8;
    const int vectors = BLOCK * LANES * bits / 8 / 64, shifts = 8 / bits;
    const uint8x16_t mask = vdupq_n_u8((1 << bits) - 1);
    for (int r = 0; r < rows; r++)
        for (int part = 0; part < 4; part++) { /* four rows of weights at a time */
            float32x4_t total = vdupq_n_f32(0);
            for (int64_t b = 0; b < blocks; b++) {
                const uint8_t *block = p->weights + b * size;
                const int8_t *x = p->x + r * p->k + b * BLOCK;
                int32x4_t dot = vdupq_n_s32(-(1 << (bits - 1)) * p->sums[r * blocks + b]);
                for (int v = 0; v < vectors; v++) {
                    uint8x16_t bytes = vld1q_u8(block + 2 * LANES + 64 * v + 16 * part);
                    for (int s = 0; s < shifts; s++) {
                        int8x16_t codes = vreinterpretq_s8_u8(vandq_u8(vshlq_u8(bytes, vdupq_n_s8((int8_t)(-s * bits))), mask));
                        int8x16_t values = vreinterpretq_s8_s32(vdupq_n_s32(four(x + 4 * (v * shifts + s))));
                        int16x8_t low = vmull_s8(vget_low_s8(codes), vget_low_s8(values)), high = vmull_high_s8(codes, values);
                        dot = vpadalq_s16(dot, vpaddq_s16(low, high));
                    }
                }
                float32x4_t scale = vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(block + 8 * part)));
                total = vfmaq_f32(total, vcvtq_f32_s32(dot), vmulq_n_f32(scale, p->steps[r * blocks + b]));
            }
            vst1q_f32(out[r] + 4 * part, total);
        }
}

static void neon_4(float out[TILE][LANES], const panel *p, int rows) { full_neon(out, p, rows, 4); }
static void neon_2(float out[TILE][LANES], const panel *p, int rows) { full_neon(out, p, rows, 2); }
#endif

static panel_product *chosen(int bits) {
#if defined(EW_X86)
    if (ew_active >= EW_PATH_AVX512) return bits == 4 ? avx512_4 : avx512_2;
    if (ew_active == EW_PATH_AVX2) return bits == 4 ? avx2_4 : avx2_2;
#elif defined(EW_NEON)
    if (ew_active == EW_PATH_NEON) return bits == 4 ? neon_4 : neon_2;
#endif
    return bits == 4 ? plain4 : plain2;
}

static void product(const ew_array *a, int bits) {
    float *c = a[0].data, *steps = a[4].data;
    const uint8_t *weights = a[1].data;
    const float *x = a[2].data;
    int8_t *integers = a[3].data;
    int32_t *sums = a[5].data;
    int64_t panels = a[1].shape[0], blocks = a[1].shape[1], rows = a[2].shape[0], k = blocks * BLOCK, outputs = panels * LANES;
    for (int64_t i = 0; i < rows * blocks; i++) {
        ew_group group = quantise(integers + i * BLOCK, x + i * BLOCK, BLOCK);
        steps[i] = group.scale;
        sums[i] = group.sum;
    }
    panel_product *of = chosen(bits);
    for (int64_t i = 0; i < panels; i++)
        for (int64_t r = 0; r < rows; r += TILE) {
            int high = rows - r < TILE ? (int)(rows - r) : TILE;
            float out[TILE][LANES];
            panel p = {weights + i * blocks * a[1].shape[2], integers + r * k, steps + r * blocks, sums + r * blocks, k};
            of(out, &p, high);
            for (int j = 0; j < high; j++) memcpy(c + (r + j) * outputs + i * LANES, out[j], sizeof out[j]);
        }
}

/* c (rows, outputs), w (outputs / 16, k / 32, bytes), x (rows, k), and room: integers (rows, k) int8, scales and sums (rows, k / 32) */
EW_EXPORT void ew_product_q4(const ew_array *a) { product(a, 4); }
EW_EXPORT void ew_product_q2(const ew_array *a) { product(a, 2); }
