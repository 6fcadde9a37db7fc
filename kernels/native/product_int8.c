/* Products with a matrix of int8, one scale for each of its rows: C[r][o] = scale_x[r] scale_w[o] sum_k x[r][k] w[o][k].

   Activations are quantised on the way in, one scale a row. The byte product of x86 takes one unsigned operand: weights are stored shifted by
   128, and 128 times the sum of a row of activations is taken off again. Sums are exact in 32 bits for k < 2^15. */
#include "panel.h"
#include "quantise.h"

static inline int32_t four(const uint8_t *at) {
    int32_t value;
    memcpy(&value, at, 4);
    return value;
}

static void plain(ew_sums *out, const ew_tile *t, int rows, int strips) {
    for (int r = 0; r < rows; r++)
        for (int s = 0; s < strips; s++) {
            int32_t sums[4 * LANES] = {0};
            const int8_t *x = (const int8_t *)(t->x + r * t->row);
            for (int64_t p = 0; p < t->steps; p++)
                for (int i = 0; i < 4 * LANES; i++) sums[i] += t->w[s * t->strip + p * 4 * LANES + i] * x[4 * p + i % 4];
            for (int lane = 0; lane < LANES; lane++)
                out->whole[r][s * LANES + lane] = sums[4 * lane] + sums[4 * lane + 1] + sums[4 * lane + 2] + sums[4 * lane + 3];
        }
}

#if defined(EW_X86)
#define STORE_512(at, sum) _mm512_storeu_si512(at, sum)
#define DOT_512(sum, w, x) _mm512_dpbusd_epi32(sum, _mm512_loadu_si512(w), _mm512_set1_epi32(four(x)))
EW_TILE(tile_avx512, EW_AVX512, __m512i, 16, _mm512_setzero_si512, _mm512_add_epi32, STORE_512, DOT_512, 64)
EW_BY_STRIPS(avx512, EW_AVX512, tile_avx512)

/* Even and odd bytes are multiplied as 16-bit numbers: nothing saturates. */
EW_AVX2 static inline __m256i dot_avx2(__m256i sum, const uint8_t *w, const uint8_t *x) {
    __m256i bytes = _mm256_loadu_si256((const __m256i *)w), values = _mm256_set1_epi32(four(x));
    __m256i even = _mm256_madd_epi16(_mm256_and_si256(bytes, _mm256_set1_epi16(255)), _mm256_srai_epi16(_mm256_slli_epi16(values, 8), 8));
    __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(bytes, 8), _mm256_srai_epi16(values, 8));
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
}
#define STORE_256(at, sum) _mm256_storeu_si256((__m256i *)(at), sum)
EW_TILE(tile_avx2, EW_AVX2, __m256i, 8, _mm256_setzero_si256, _mm256_add_epi32, STORE_256, dot_avx2, 64)
EW_BY_PARTS(avx2, EW_AVX2, tile_avx2, 2, 32)
#elif defined(EW_NEON)
/* Products of the weights less 128, put back at once so that all formats of sums are alike. */
static inline int32x4_t dot_neon(int32x4_t sum, const uint8_t *w, const uint8_t *x) {
    int8x16_t weights = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(w), vdupq_n_u8(0x80)));
    int8x16_t values = vreinterpretq_s8_s32(vdupq_n_s32(four(x)));
    int16x8_t low = vmull_s8(vget_low_s8(weights), vget_low_s8(values)), high = vmull_high_s8(weights, values);
    return vpadalq_s16(sum, vpaddq_s16(low, high));
}
#define ZERO() vdupq_n_s32(0)
#define STORE_128(at, sum) vst1q_s32((int32_t *)(at), sum)
EW_TILE(tile_neon, , int32x4_t, 4, ZERO, vaddq_s32, STORE_128, dot_neon, 64)
EW_BY_PARTS(neon, , tile_neon, 4, 16)
#endif

static ew_product *chosen(int *shifted) {
    *shifted = 1;
#if defined(EW_X86)
    if (ew_active >= EW_PATH_AVX512) return avx512;
    if (ew_active == EW_PATH_AVX2) return avx2;
#elif defined(EW_NEON)
    if (ew_active == EW_PATH_NEON) {
        *shifted = 0;
        return neon;
    }
#endif
    return plain;
}

typedef struct {
    float *c;
    const float *scales, *steps;
    const int32_t *sums;
    int64_t outputs;
    int shifted;
} scaling;

static void finish(const void *with, const ew_sums *out, int64_t r, int rows, int64_t s, int strips) {
    const scaling *f = with;
    for (int i = 0; i < rows; i++) {
        float *c = f->c + (r + i) * f->outputs + s * LANES, step = f->steps[r + i];
        const float *scales = f->scales + s * LANES;
        int32_t off = f->shifted ? 128 * f->sums[r + i] : 0;
        for (int j = 0; j < strips * LANES; j++) c[j] = (float)(out->whole[i][j] - off) * (step * scales[j]);
    }
}

/* c (rows, outputs), w (outputs / 16, k / 4, 16, 4) uint8, scales (outputs), x (rows, k), and room: integers (rows, k) int8, scales (rows),
   sums (rows) */
EW_EXPORT void ew_product_int8(const ew_array *a) {
    const float *x = a[3].data;
    float *steps = a[5].data;
    int8_t *integers = a[4].data;
    int32_t *sums = a[6].data;
    int64_t strips = a[1].shape[0], steps_of_k = a[1].shape[1], rows = a[3].shape[0], k = 4 * steps_of_k;
    for (int64_t r = 0; r < rows; r++) {
        ew_group group = quantise(integers + r * k, x + r * k, k);
        steps[r] = group.scale;
        sums[r] = group.sum;
    }
    scaling with = {a[0].data, a[2].data, steps, sums, strips * LANES, 0};
    ew_product *product = chosen(&with.shifted);
    ew_tile tile = {a[1].data, 4 * LANES * steps_of_k, (const uint8_t *)integers, k, steps_of_k};
    ew_panels(tile, rows, strips, product, finish, &with);
}
