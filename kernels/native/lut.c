/* GEMV by look-up tables over bit-planes (Wei et al., T-MAC, EuroSys 2025, arXiv 2407.00088): no multiplication by a weight anywhere.

   A weight of b bits is a code q = sum_i 2^i q_i. For each group of 4 activations the 16 signed sums +-x0 +-x1 +-x2 +-x3 are tabulated once,
   as int8 with one scale per 128 activations; 4 bits of a plane, one for each activation, index the table. With s_i the sum of what plane
   i looks up, 128 weights of a row contribute scale * (step / 2 * sum_i 2^i s_i - shift * sum x): see `lut_packing.py`, which also says
   what lies where. 16 rows share a vector of indices, 64 bytes of two nibbles, in one of two orders:

   by rows:   byte 4 r + i is row r, group i of four: a byte permute over 64 bytes (`vpermb`) looks four tables up at once, and a dot
              product of bytes (`vpdpbusd`) with 2^i adds the four groups of a row and weighs the plane;
   by groups: byte 16 i + r: a permute within 16 bytes (`vpshufb`, `tbl`) looks one table up for 16 rows, summed in 16 bits. */
#include "half.h"

#include <math.h>

#define LANES 16  /* rows that are interleaved */
#define GROUP 128 /* weights under one scale */
#define TABLES (GROUP / 4)
#define HEAD (2 * LANES) /* bytes of scales */

typedef struct {
    const uint8_t *weights; /* of 16 rows: groups of 128 weights one after the other */
    const int8_t *tables;   /* (k / 4, 16) */
    const float *steps;     /* (k / 128): half of what one step of a table is worth */
    const float *shifts;    /* (k / 128): what is added for the zero of the codes */
    int64_t groups;
    int by_rows;
} strip;

static inline __attribute__((always_inline)) void build_plain(int8_t *tables, float *steps, float *shifts, const float *x, int64_t groups, int bits) {
    static const float signs[4][16] = {
        {-1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1},
        {-1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1},
        {-1, -1, -1, -1, 1, 1, 1, 1, -1, -1, -1, -1, 1, 1, 1, 1},
        {-1, -1, -1, -1, -1, -1, -1, -1, 1, 1, 1, 1, 1, 1, 1, 1},
    };
    for (int64_t g = 0; g < groups; g++) {
        const float *at = x + g * GROUP;
        float most = 0, sum = 0;
        for (int t = 0; t < TABLES; t++) {
            float size = fabsf(at[4 * t]) + fabsf(at[4 * t + 1]) + fabsf(at[4 * t + 2]) + fabsf(at[4 * t + 3]);
            most = size > most ? size : most;
            sum += at[4 * t] + at[4 * t + 1] + at[4 * t + 2] + at[4 * t + 3];
        }
        float inverse = most > 0 ? 127.0f / most : 0.0f;
        for (int t = 0; t < TABLES; t++)
            for (int e = 0; e < 16; e++) {
                float entry = signs[0][e] * at[4 * t] + signs[1][e] * at[4 * t + 1] + signs[2][e] * at[4 * t + 2] + signs[3][e] * at[4 * t + 3];
                tables[(g * TABLES + t) * 16 + e] = (int8_t)rintf(entry * inverse);
            }
        steps[g] = most / 254.0f;
        shifts[g] = bits > 1 ? -0.5f * sum : 0.0f;
    }
}

static inline __attribute__((always_inline)) void strip_plain(float out[LANES], const strip *s, const int bits) {
    for (int r = 0; r < LANES; r++) out[r] = 0;
    for (int64_t g = 0; g < s->groups; g++) {
        const uint8_t *group = s->weights + g * (HEAD + LANES * GROUP / 8 * bits);
        const int8_t *tables = s->tables + g * TABLES * 16;
        for (int r = 0; r < LANES; r++) {
            int32_t sum = 0;
            for (int plane = 0; plane < bits; plane++)
                for (int t = 0; t < TABLES; t++) {
                    int at = s->by_rows ? 4 * r + t % 4 : 16 * (t % 4) + r;
                    int index = group[HEAD + (t / 8 * bits + plane) * 64 + at] >> (t % 8 / 4 * 4) & 15;
                    sum += tables[t * 16 + index] * (1 << plane);
                }
            uint16_t scale;
            memcpy(&scale, group + 2 * r, 2);
            out[r] += from_half(scale) * ((float)sum * s->steps[g] + s->shifts[g]);
        }
    }
}

#if defined(EW_X86)
EW_AVX512 static inline __attribute__((always_inline)) void strip_avx512(float out[LANES], const strip *s, const int bits) {
    const __m512i nibble = _mm512_set1_epi8(15), table = _mm512_set1_epi32(0x30201000);
    const uint8_t *at = s->weights;
    const int8_t *tables = s->tables;
    __m512 total = _mm512_setzero_ps();
    for (int64_t g = 0; g < s->groups; g++) {
        __m512i low = _mm512_setzero_si512(), high = low;
        __m512 scale = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)at));
        at += HEAD;
        for (int j = 0; j < TABLES / 8; j++, tables += 128) {
            __m512i first = _mm512_loadu_si512(tables), second = _mm512_loadu_si512(tables + 64);
            for (int plane = 0; plane < bits; plane++, at += 64) {
                __m512i bytes = _mm512_loadu_si512(at), weight = _mm512_set1_epi8((char)(1 << plane));
                __m512i below = _mm512_ternarylogic_epi32(bytes, nibble, table, 0xEA); /* (a & b) | c */
                __m512i above = _mm512_ternarylogic_epi32(_mm512_srli_epi16(bytes, 4), nibble, table, 0xEA);
                low = _mm512_dpbusd_epi32(low, weight, _mm512_permutexvar_epi8(below, first));
                high = _mm512_dpbusd_epi32(high, weight, _mm512_permutexvar_epi8(above, second));
            }
        }
        __m512 sum = _mm512_cvtepi32_ps(_mm512_add_epi32(low, high));
        sum = _mm512_fmadd_ps(sum, _mm512_set1_ps(s->steps[g]), _mm512_set1_ps(s->shifts[g]));
        total = _mm512_fmadd_ps(scale, sum, total);
    }
    _mm512_storeu_ps(out, total);
}

/* Tables are shifted to 0..255, so that sums of bytes need no widening: `all` adds pairs of bytes as 16 bits, `odd` the upper bytes, and what
   the lower ones add to is `all - (odd << 8)`, modulo 2^16. */
EW_AVX2 static inline __attribute__((always_inline)) void strip_avx2(float out[LANES], const strip *s, const int bits) {
    const __m256i nibble = _mm256_set1_epi8(15), up = _mm256_set1_epi8((char)0x80), lookups = _mm256_set1_epi32(128 * TABLES);
    const uint8_t *at = s->weights;
    const int8_t *tables = s->tables;
    __m256 first = _mm256_setzero_ps(), second = first;
    for (int64_t g = 0; g < s->groups; g++, at += HEAD + LANES * GROUP / 8 * bits, tables += TABLES * 16) {
        __m256i all[4], odd[4], evens = _mm256_setzero_si256(), odds = evens;
        for (int plane = 0; plane < bits; plane++) all[plane] = odd[plane] = _mm256_setzero_si256();
        for (int j = 0; j < TABLES / 8; j++)
            for (int half = 0; half < 2; half++) {
                __m256i below = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(tables + 128 * j + 32 * half)), up);
                __m256i above = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(tables + 128 * j + 64 + 32 * half)), up);
                for (int plane = 0; plane < bits; plane++) {
                    __m256i bytes = _mm256_loadu_si256((const __m256i *)(at + HEAD + 64 * (j * bits + plane) + 32 * half));
                    __m256i a = _mm256_shuffle_epi8(below, _mm256_and_si256(bytes, nibble));
                    __m256i b = _mm256_shuffle_epi8(above, _mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibble));
                    all[plane] = _mm256_add_epi16(all[plane], _mm256_add_epi16(a, b));
                    odd[plane] = _mm256_add_epi16(odd[plane], _mm256_add_epi16(_mm256_srli_epi16(a, 8), _mm256_srli_epi16(b, 8)));
                }
            }
        for (int plane = 0; plane < bits; plane++) {
            __m256i even = _mm256_sub_epi16(all[plane], _mm256_slli_epi16(odd[plane], 8));
            __m128i e = _mm_add_epi16(_mm256_castsi256_si128(even), _mm256_extracti128_si256(even, 1));
            __m128i o = _mm_add_epi16(_mm256_castsi256_si128(odd[plane]), _mm256_extracti128_si256(odd[plane], 1));
            evens = _mm256_add_epi32(evens, _mm256_slli_epi32(_mm256_sub_epi32(_mm256_cvtepu16_epi32(e), lookups), plane));
            odds = _mm256_add_epi32(odds, _mm256_slli_epi32(_mm256_sub_epi32(_mm256_cvtepu16_epi32(o), lookups), plane));
        }
        __m256i l = _mm256_unpacklo_epi32(evens, odds), h = _mm256_unpackhi_epi32(evens, odds);
        __m256 step = _mm256_set1_ps(s->steps[g]), shift = _mm256_set1_ps(s->shifts[g]);
        __m256 a = _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_permute2x128_si256(l, h, 0x20)), step, shift);
        __m256 b = _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_permute2x128_si256(l, h, 0x31)), step, shift);
        first = _mm256_fmadd_ps(_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)at)), a, first);
        second = _mm256_fmadd_ps(_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(at + 16))), b, second);
    }
    _mm256_storeu_ps(out, first);
    _mm256_storeu_ps(out + 8, second);
}
#elif defined(EW_NEON)
static inline __attribute__((always_inline)) void strip_neon(float out[LANES], const strip *s, const int bits) {
    const uint8_t *at = s->weights;
    const int8_t *tables = s->tables;
    float32x4_t total[4];
    for (int i = 0; i < 4; i++) total[i] = vdupq_n_f32(0);
    for (int64_t g = 0; g < s->groups; g++, at += HEAD + LANES * GROUP / 8 * bits, tables += TABLES * 16) {
        int16x8_t low[4], high[4];
        for (int plane = 0; plane < bits; plane++) low[plane] = high[plane] = vdupq_n_s16(0);
        for (int t = 0; t < 4 * (TABLES / 8); t++) { /* four groups of each of four pairs of quads */
            int j = t / 4, i = t % 4;
            int8x16_t below = vld1q_s8(tables + 128 * j + 16 * i), above = vld1q_s8(tables + 128 * j + 64 + 16 * i);
            for (int plane = 0; plane < bits; plane++) {
                uint8x16_t bytes = vld1q_u8(at + HEAD + 64 * (j * bits + plane) + 16 * i);
                int8x16_t a = vqtbl1q_s8(below, vandq_u8(bytes, vdupq_n_u8(15))), b = vqtbl1q_s8(above, vshrq_n_u8(bytes, 4));
                low[plane] = vaddw_s8(vaddw_s8(low[plane], vget_low_s8(a)), vget_low_s8(b));
                high[plane] = vaddw_high_s8(vaddw_high_s8(high[plane], a), b);
            }
        }
        int32x4_t sum[4];
        for (int i = 0; i < 4; i++) sum[i] = vdupq_n_s32(0);
        for (int plane = 0; plane < bits; plane++) {
            int32x4_t up = vdupq_n_s32(plane);
            sum[0] = vaddq_s32(sum[0], vshlq_s32(vmovl_s16(vget_low_s16(low[plane])), up));
            sum[1] = vaddq_s32(sum[1], vshlq_s32(vmovl_high_s16(low[plane]), up));
            sum[2] = vaddq_s32(sum[2], vshlq_s32(vmovl_s16(vget_low_s16(high[plane])), up));
            sum[3] = vaddq_s32(sum[3], vshlq_s32(vmovl_high_s16(high[plane]), up));
        }
        for (int i = 0; i < 4; i++) {
            float32x4_t scale = vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(at + 8 * i)));
            float32x4_t value = vfmaq_n_f32(vdupq_n_f32(s->shifts[g]), vcvtq_f32_s32(sum[i]), s->steps[g]);
            total[i] = vfmaq_f32(total[i], scale, value);
        }
    }
    for (int i = 0; i < 4; i++) vst1q_f32(out + 4 * i, total[i]);
}
#endif

typedef void builder(int8_t *, float *, float *, const float *, int64_t, int);
typedef void strip_product(float out[LANES], const strip *);

#define BY_BITS(target, name, body)                                                         \
    target static void name##_1(float out[LANES], const strip *s) { body(out, s, 1); }      \
    target static void name##_2(float out[LANES], const strip *s) { body(out, s, 2); }      \
    target static void name##_3(float out[LANES], const strip *s) { body(out, s, 3); }      \
    target static void name##_4(float out[LANES], const strip *s) { body(out, s, 4); }      \
    static strip_product *const name[] = {name##_1, name##_2, name##_3, name##_4};

/* The same lines, compiled for each path: the compiler vectorises over the 16 entries. */
#define BUILDER(target, name)                                                                                              \
    target static void name(int8_t *tables, float *steps, float *shifts, const float *x, int64_t groups, int bits) {      \
        build_plain(tables, steps, shifts, x, groups, bits);                                                              \
    }

BY_BITS(, plain, strip_plain)
BUILDER(, build_any)
#if defined(EW_X86)
BY_BITS(EW_AVX512, avx512, strip_avx512)
BY_BITS(EW_AVX2, avx2, strip_avx2)
BUILDER(EW_AVX512, build_avx512)
BUILDER(EW_AVX2, build_avx2)
#elif defined(EW_NEON)
BY_BITS(, neon, strip_neon)
#endif

static builder *builder_chosen(void) {
#if defined(EW_X86)
    if (ew_active >= EW_PATH_AVX512) return build_avx512;
    if (ew_active == EW_PATH_AVX2) return build_avx2;
#endif
    return build_any;
}

static strip_product *strip_chosen(int bits, int by_rows) {
#if defined(EW_X86)
    if (by_rows && ew_active >= EW_PATH_AVX512) return avx512[bits - 1];
    if (!by_rows && ew_active >= EW_PATH_AVX2) return avx2[bits - 1];
#elif defined(EW_NEON)
    if (!by_rows && ew_active == EW_PATH_NEON) return neon[bits - 1];
#endif
    (void)by_rows;
    return plain[bits - 1];
}

/* y (m), w (m / 16, k / 128, 32 + 256 bits), x (k), by_rows (1), and room: tables (k / 4, 16) int8, steps (k / 128), shifts (k / 128) */
EW_EXPORT void ew_lut_gemv(const ew_array *a) {
    float *y = a[0].data;
    int64_t strips = a[1].shape[0], groups = a[1].shape[1], size = a[1].shape[2];
    int bits = (int)((size - HEAD) / (LANES * GROUP / 8));
    strip s = {a[1].data, a[4].data, a[5].data, a[6].data, groups, *(const int64_t *)a[3].data != 0};
    builder_chosen()(a[4].data, a[5].data, a[6].data, a[2].data, groups, bits);
    strip_product *of = strip_chosen(bits, s.by_rows);
    for (int64_t i = 0; i < strips; i++, s.weights += groups * size) of(y + i * LANES, &s);
}
