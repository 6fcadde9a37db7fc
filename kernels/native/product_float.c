/* Products with a matrix of floats of 32 or 16 bits: C[r][o] = sum_k x[r][k] w[o][k], activations and sums in fp32.

   Weights of fp16 are widened on the way into fp32 multiply-adds. Weights of bf16 are multiplied in pairs where the processor does so
   (`vdpbf16ps`: denormals count as zero), else widened too; activations are rounded to bf16 on the way in on every path, so that the paths
   differ by the rounding of sums alone. */
#include "half.h"
#include "panel.h"

static inline float single(const uint8_t *at) {
    float value;
    memcpy(&value, at, 4);
    return value;
}

static inline int32_t pair(const uint8_t *at) {
    int32_t value;
    memcpy(&value, at, 4);
    return value;
}

static inline uint16_t bits_at(const uint8_t *at) {
    uint16_t value;
    memcpy(&value, at, 2);
    return value;
}

static void full_plain(ew_sums *out, const ew_tile *t, int rows, int strips) {
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < strips * LANES; j++) {
            const uint8_t *w = t->w + j / LANES * t->strip + j % LANES * 4;
            float sum = 0;
            for (int64_t p = 0; p < t->steps; p++) sum += single(t->x + r * t->row + 4 * p) * single(w + p * 4 * LANES);
            out->real[r][j] = sum;
        }
}

static void half_plain(ew_sums *out, const ew_tile *t, int rows, int strips) {
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < strips * LANES; j++) {
            const uint8_t *w = t->w + j / LANES * t->strip + j % LANES * 2;
            float sum = 0;
            for (int64_t p = 0; p < t->steps; p++) sum += single(t->x + r * t->row + 4 * p) * from_half(bits_at(w + p * 2 * LANES));
            out->real[r][j] = sum;
        }
}

static void bf16_plain(ew_sums *out, const ew_tile *t, int rows, int strips) {
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < strips * LANES; j++) {
            const uint8_t *w = t->w + j / LANES * t->strip + j % LANES * 4, *x = t->x + r * t->row;
            float sum = 0;
            for (int64_t p = 0; p < t->steps; p++)
                for (int i = 0; i < 2; i++) sum += from_bf16(bits_at(x + 4 * p + 2 * i)) * from_bf16(bits_at(w + p * 4 * LANES + 2 * i));
            out->real[r][j] = sum;
        }
}

#if defined(EW_X86)
#define STORE_512(at, sum) _mm512_storeu_ps(at, sum)
#define FULL_512(sum, w, x) _mm512_fmadd_ps(_mm512_loadu_ps(w), _mm512_set1_ps(single(x)), sum)
EW_TILE(full_tile_avx512, EW_AVX512, __m512, 16, _mm512_setzero_ps, _mm512_add_ps, STORE_512, FULL_512, 64)
EW_BY_STRIPS(full_avx512, EW_AVX512, full_tile_avx512)

#define HALF_512(sum, w, x) _mm512_fmadd_ps(_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(w))), _mm512_set1_ps(single(x)), sum)
EW_TILE(half_tile_avx512, EW_AVX512, __m512, 16, _mm512_setzero_ps, _mm512_add_ps, STORE_512, HALF_512, 32)
EW_BY_STRIPS(half_avx512, EW_AVX512, half_tile_avx512)

#define PAIR_512(sum, w, x) _mm512_dpbf16_ps(sum, (__m512bh)_mm512_loadu_si512(w), (__m512bh)_mm512_set1_epi32(pair(x)))
EW_TILE(bf16_tile_dot, EW_BF16, __m512, 16, _mm512_setzero_ps, _mm512_add_ps, STORE_512, PAIR_512, 64)
EW_BY_STRIPS(bf16_dot, EW_BF16, bf16_tile_dot)

#define STORE_256(at, sum) _mm256_storeu_ps(at, sum)
#define FULL_256(sum, w, x) _mm256_fmadd_ps(_mm256_loadu_ps((const float *)(w)), _mm256_set1_ps(single(x)), sum)
EW_TILE(full_tile_avx2, EW_AVX2, __m256, 8, _mm256_setzero_ps, _mm256_add_ps, STORE_256, FULL_256, 64)
EW_BY_PARTS(full_avx2, EW_AVX2, full_tile_avx2, 2, 32)

#define HALF_256(sum, w, x) _mm256_fmadd_ps(_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(w))), _mm256_set1_ps(single(x)), sum)
EW_TILE(half_tile_avx2, EW_AVX2, __m256, 8, _mm256_setzero_ps, _mm256_add_ps, STORE_256, HALF_256, 32)
EW_BY_PARTS(half_avx2, EW_AVX2, half_tile_avx2, 2, 16)

EW_AVX2 static inline __m256 pair_avx2(__m256 sum, const uint8_t *w, const uint8_t *x) {
    __m256i weights = _mm256_loadu_si256((const __m256i *)w), values = _mm256_set1_epi32(pair(x)), upper = _mm256_set1_epi32((int)0xFFFF0000);
    __m256 even = _mm256_castsi256_ps(_mm256_slli_epi32(weights, 16)), odd = _mm256_castsi256_ps(_mm256_and_si256(weights, upper));
    sum = _mm256_fmadd_ps(even, _mm256_castsi256_ps(_mm256_slli_epi32(values, 16)), sum);
    return _mm256_fmadd_ps(odd, _mm256_castsi256_ps(_mm256_and_si256(values, upper)), sum);
}
EW_TILE(bf16_tile_avx2, EW_AVX2, __m256, 8, _mm256_setzero_ps, _mm256_add_ps, STORE_256, pair_avx2, 64)
EW_BY_PARTS(bf16_avx2, EW_AVX2, bf16_tile_avx2, 2, 32)
#elif defined(EW_NEON)
#define ZERO() vdupq_n_f32(0)
#define STORE_128(at, sum) vst1q_f32(at, sum)
#define FULL_128(sum, w, x) vfmaq_n_f32(sum, vld1q_f32((const float *)(w)), single(x))
EW_TILE(full_tile_neon, , float32x4_t, 4, ZERO, vaddq_f32, STORE_128, FULL_128, 64)
EW_BY_PARTS(full_neon, , full_tile_neon, 4, 16)

#define HALF_128(sum, w, x) vfmaq_n_f32(sum, vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(w))), single(x))
EW_TILE(half_tile_neon, , float32x4_t, 4, ZERO, vaddq_f32, STORE_128, HALF_128, 32)
EW_BY_PARTS(half_neon, , half_tile_neon, 4, 8)

static inline float32x4_t pair_neon(float32x4_t sum, const uint8_t *w, const uint8_t *x) {
    uint32x4_t weights = vreinterpretq_u32_u8(vld1q_u8(w)), upper = vdupq_n_u32(0xFFFF0000);
    sum = vfmaq_n_f32(sum, vreinterpretq_f32_u32(vshlq_n_u32(weights, 16)), from_bf16(bits_at(x)));
    return vfmaq_n_f32(sum, vreinterpretq_f32_u32(vandq_u32(weights, upper)), from_bf16(bits_at(x + 2)));
}
EW_TILE(bf16_tile_neon, , float32x4_t, 4, ZERO, vaddq_f32, STORE_128, pair_neon, 64)
EW_BY_PARTS(bf16_neon, , bf16_tile_neon, 4, 16)
#endif

static ew_product *full_chosen(void) {
#if defined(EW_X86)
    if (ew_active >= EW_PATH_AVX512) return full_avx512;
    if (ew_active == EW_PATH_AVX2) return full_avx2;
#elif defined(EW_NEON)
    if (ew_active == EW_PATH_NEON) return full_neon;
#endif
    return full_plain;
}

static ew_product *half_chosen(void) {
#if defined(EW_X86)
    if (ew_active >= EW_PATH_AVX512) return half_avx512;
    if (ew_active == EW_PATH_AVX2) return half_avx2;
#elif defined(EW_NEON)
    if (ew_active == EW_PATH_NEON) return half_neon;
#endif
    return half_plain;
}

static ew_product *bf16_chosen(void) {
#if defined(EW_X86)
    if (ew_active >= EW_PATH_BF16) return bf16_dot;
    if (ew_active >= EW_PATH_AVX2) return bf16_avx2;
#elif defined(EW_NEON)
    if (ew_active == EW_PATH_NEON) return bf16_neon;
#endif
    return bf16_plain;
}

typedef struct {
    float *c;
    int64_t outputs;
} place;

static void finish(const void *with, const ew_sums *out, int64_t r, int rows, int64_t s, int strips) {
    const place *to = with;
    for (int i = 0; i < rows; i++) memcpy(to->c + (r + i) * to->outputs + s * LANES, out->real[i], (size_t)strips * LANES * sizeof(float));
}

/* c (rows, outputs), w (outputs / 16, k, 16, 1) fp32, x (rows, k) */
EW_EXPORT void ew_product_fp32(const ew_array *a) {
    int64_t strips = a[1].shape[0], k = a[1].shape[1], rows = a[2].shape[0];
    place with = {a[0].data, strips * LANES};
    ew_tile tile = {a[1].data, 4 * LANES * k, a[2].data, 4 * k, k};
    ew_panels(tile, rows, strips, full_chosen(), finish, &with);
}

/* c (rows, outputs), w (outputs / 16, k, 16, 1) fp16 as bits, x (rows, k) */
EW_EXPORT void ew_product_fp16(const ew_array *a) {
    int64_t strips = a[1].shape[0], k = a[1].shape[1], rows = a[2].shape[0];
    place with = {a[0].data, strips * LANES};
    ew_tile tile = {a[1].data, 2 * LANES * k, a[2].data, 4 * k, k};
    ew_panels(tile, rows, strips, half_chosen(), finish, &with);
}

static inline __attribute__((always_inline)) void round_rows(uint16_t *rounded, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) rounded[i] = to_bf16(x[i]);
}

#if defined(EW_X86)
EW_AVX512 static void round_avx512(uint16_t *rounded, const float *x, int64_t n) { round_rows(rounded, x, n); }
EW_AVX2 static void round_avx2(uint16_t *rounded, const float *x, int64_t n) { round_rows(rounded, x, n); }
#endif

/* c (rows, outputs), w (outputs / 16, k / 2, 16, 2) bf16 as bits, x (rows, k), and room: x rounded (rows, k), bf16 as bits */
EW_EXPORT void ew_product_bf16(const ew_array *a) {
    int64_t strips = a[1].shape[0], steps = a[1].shape[1], rows = a[2].shape[0], k = 2 * steps;
    place with = {a[0].data, strips * LANES};
    ew_tile tile = {a[1].data, 4 * LANES * steps, a[3].data, 2 * k, steps};
#if defined(EW_X86)
    if (ew_active >= EW_PATH_AVX512) round_avx512(a[3].data, a[2].data, rows * k);
    else if (ew_active == EW_PATH_AVX2) round_avx2(a[3].data, a[2].data, rows * k);
    else
#endif
        round_rows(a[3].data, a[2].data, rows * k);
    ew_panels(tile, rows, strips, bf16_chosen(), finish, &with);
}
