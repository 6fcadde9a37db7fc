/* Activations to small integers, as engines do on the way into a product of integers: one scale for each group of a row.

   The largest magnitude of a group becomes 127; the rest is rounded to nearest, ties to even. All paths leave the same bytes. */
#ifndef EDGEWRIGHT_QUANTISE_H
#define EDGEWRIGHT_QUANTISE_H

#include <math.h>

#include "edgewright.h"

typedef struct {
    float scale; /* what one step is worth */
    int32_t sum; /* of the integers */
} ew_group;

static inline ew_group quantise_plain(int8_t *out, const float *in, int64_t n) {
    float most = 0;
    for (int64_t i = 0; i < n; i++) most = fabsf(in[i]) > most ? fabsf(in[i]) : most;
    float inverse = most > 0 ? 127.0f / most : 0.0f;
    ew_group group = {most / 127.0f, 0};
    for (int64_t i = 0; i < n; i++) {
        out[i] = (int8_t)rintf(in[i] * inverse);
        group.sum += out[i];
    }
    return group;
}

#if defined(EW_X86)
EW_AVX512 static inline ew_group quantise_avx512(int8_t *out, const float *in, int64_t n) {
    __m512 most = _mm512_setzero_ps();
    for (int64_t i = 0; i < n; i += 16) {
        __mmask16 live = n - i >= 16 ? 0xFFFF : (__mmask16)((1u << (n - i)) - 1);
        most = _mm512_max_ps(most, _mm512_abs_ps(_mm512_maskz_loadu_ps(live, in + i)));
    }
    float peak = _mm512_reduce_max_ps(most);
    __m512 inverse = _mm512_set1_ps(peak > 0 ? 127.0f / peak : 0.0f);
    __m512i sum = _mm512_setzero_si512();
    for (int64_t i = 0; i < n; i += 16) {
        __mmask16 live = n - i >= 16 ? 0xFFFF : (__mmask16)((1u << (n - i)) - 1);
        __m512i value = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_maskz_loadu_ps(live, in + i), inverse));
        _mm512_mask_cvtepi32_storeu_epi8(out + i, live, value);
        sum = _mm512_add_epi32(sum, value);
    }
    ew_group group = {peak / 127.0f, _mm512_reduce_add_epi32(sum)};
    return group;
}

EW_AVX2 static inline ew_group quantise_avx2(int8_t *out, const float *in, int64_t n) {
    int64_t whole = n / 8 * 8;
    __m256 sign = _mm256_set1_ps(-0.0f), most = _mm256_setzero_ps();
    for (int64_t i = 0; i < whole; i += 8) most = _mm256_max_ps(most, _mm256_andnot_ps(sign, _mm256_loadu_ps(in + i)));
    float lanes[8], peak = 0;
    _mm256_storeu_ps(lanes, most);
    for (int i = 0; i < 8; i++) peak = lanes[i] > peak ? lanes[i] : peak;
    for (int64_t i = whole; i < n; i++) peak = fabsf(in[i]) > peak ? fabsf(in[i]) : peak;
    float inverse = peak > 0 ? 127.0f / peak : 0.0f;
    ew_group group = {peak / 127.0f, 0};
    for (int64_t i = 0; i < whole; i += 8) {
        int32_t values[8];
        _mm256_storeu_si256((__m256i *)values, _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(in + i), _mm256_set1_ps(inverse))));
        for (int j = 0; j < 8; j++) {
            out[i + j] = (int8_t)values[j];
            group.sum += values[j];
        }
    }
    for (int64_t i = whole; i < n; i++) {
        out[i] = (int8_t)rintf(in[i] * inverse);
        group.sum += out[i];
    }
    return group;
}
#endif

static inline ew_group quantise(int8_t *out, const float *in, int64_t n) {
#if defined(EW_X86)
    if (ew_active >= EW_PATH_AVX512) return quantise_avx512(out, in, n);
    if (ew_active == EW_PATH_AVX2) return quantise_avx2(out, in, n);
#endif
    return quantise_plain(out, in, n);
}

#endif
