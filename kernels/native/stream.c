/* Memory by the stream: read, copy and triad of fp32 (McCalpin, STREAM, 1995), with ordinary and with non-temporal stores.

   The plain loops are left to the compiler. A non-temporal store writes whole lines past the caches: it saves the read of the target that
   an allocating cache makes, and loses where the target would have stayed in a cache. Plain C and NEON have no such stores: there both forms are the same. */
#include "edgewright.h"

#define SUM_CHAINS 8   /* enough independent sums to hide the latency of an addition */
#define TRIAD_UNROLL 4 /* vectors per turn of the loop */

static float read_plain(const float *source, int64_t n) {
    float sums[SUM_CHAINS] = {0};
    int64_t i = 0;
    for (; i + SUM_CHAINS <= n; i += SUM_CHAINS)
        for (int c = 0; c < SUM_CHAINS; c++) sums[c] += source[i + c];
    for (; i < n; i++) sums[0] += source[i];
    float total = 0;
    for (int c = 0; c < SUM_CHAINS; c++) total += sums[c];
    return total;
}

static void copy_plain(float *target, const float *source, int64_t n) { memcpy(target, source, (size_t)n * sizeof *target); }

static void triad_plain(float *target, const float *b, const float *c, float factor, int64_t n) {
    for (int64_t i = 0; i < n; i++) target[i] = b[i] + factor * c[i];
}

#if defined(EW_X86)
/* Elements before the first address that is a multiple of `bytes`, at most n. */
static int64_t head(const void *at, int64_t bytes, int64_t n) {
    int64_t off = (int64_t)((uintptr_t)at % (uintptr_t)bytes);
    int64_t count = off ? (bytes - off) / 4 : 0;
    return count < n ? count : n;
}

EW_AVX2 static float read_avx2(const float *source, int64_t n) {
    __m256 sums[SUM_CHAINS];
    for (int c = 0; c < SUM_CHAINS; c++) sums[c] = _mm256_setzero_ps();
    int64_t i = 0;
    for (; i + 8 * SUM_CHAINS <= n; i += 8 * SUM_CHAINS)
        for (int c = 0; c < SUM_CHAINS; c++) sums[c] = _mm256_add_ps(sums[c], _mm256_loadu_ps(source + i + 8 * c));
    float lanes[8], total = read_plain(source + i, n - i);
    for (int c = 1; c < SUM_CHAINS; c++) sums[0] = _mm256_add_ps(sums[0], sums[c]);
    _mm256_storeu_ps(lanes, sums[0]);
    for (int c = 0; c < 8; c++) total += lanes[c];
    return total;
}

EW_AVX2 static void copy_avx2(float *target, const float *source, int64_t n) {
    int64_t i = head(target, 32, n);
    copy_plain(target, source, i);
    for (; i + 8 <= n; i += 8) _mm256_stream_ps(target + i, _mm256_loadu_ps(source + i));
    copy_plain(target + i, source + i, n - i);
    _mm_sfence();
}

EW_AVX2 static void triad_avx2(float *target, const float *b, const float *c, float factor, int64_t n, int past) {
    int64_t i = head(target, 32, n);
    triad_plain(target, b, c, factor, i);
    __m256 f = _mm256_set1_ps(factor);
    for (; i + 8 * TRIAD_UNROLL <= n; i += 8 * TRIAD_UNROLL)
        for (int64_t j = i; j < i + 8 * TRIAD_UNROLL; j += 8) {
            __m256 value = _mm256_fmadd_ps(f, _mm256_loadu_ps(c + j), _mm256_loadu_ps(b + j));
            if (past) _mm256_stream_ps(target + j, value);
            else _mm256_storeu_ps(target + j, value);
        }
    triad_plain(target + i, b + i, c + i, factor, n - i);
    if (past) _mm_sfence();
}

EW_AVX512 static float read_avx512(const float *source, int64_t n) {
    __m512 sums[SUM_CHAINS];
    for (int c = 0; c < SUM_CHAINS; c++) sums[c] = _mm512_setzero_ps();
    int64_t i = 0;
    for (; i + 16 * SUM_CHAINS <= n; i += 16 * SUM_CHAINS)
        for (int c = 0; c < SUM_CHAINS; c++) sums[c] = _mm512_add_ps(sums[c], _mm512_loadu_ps(source + i + 16 * c));
    for (int c = 1; c < SUM_CHAINS; c++) sums[0] = _mm512_add_ps(sums[0], sums[c]);
    return _mm512_reduce_add_ps(sums[0]) + read_plain(source + i, n - i);
}

EW_AVX512 static void copy_avx512(float *target, const float *source, int64_t n) {
    int64_t i = head(target, 64, n);
    copy_plain(target, source, i);
    for (; i + 16 <= n; i += 16) _mm512_stream_ps(target + i, _mm512_loadu_ps(source + i));
    copy_plain(target + i, source + i, n - i);
    _mm_sfence();
}

EW_AVX512 static void triad_avx512(float *target, const float *b, const float *c, float factor, int64_t n, int past) {
    int64_t i = head(target, 64, n);
    triad_plain(target, b, c, factor, i);
    __m512 f = _mm512_set1_ps(factor);
    for (; i + 16 * TRIAD_UNROLL <= n; i += 16 * TRIAD_UNROLL)
        for (int64_t j = i; j < i + 16 * TRIAD_UNROLL; j += 16) {
            __m512 value = _mm512_fmadd_ps(f, _mm512_loadu_ps(c + j), _mm512_loadu_ps(b + j));
            if (past) _mm512_stream_ps(target + j, value);
            else _mm512_storeu_ps(target + j, value);
        }
    triad_plain(target + i, b + i, c + i, factor, n - i);
    if (past) _mm_sfence();
}
#elif defined(EW_NEON)
static float read_neon(const float *source, int64_t n) {
    float32x4_t sums[SUM_CHAINS];
    for (int c = 0; c < SUM_CHAINS; c++) sums[c] = vdupq_n_f32(0);
    int64_t i = 0;
    for (; i + 4 * SUM_CHAINS <= n; i += 4 * SUM_CHAINS)
        for (int c = 0; c < SUM_CHAINS; c++) sums[c] = vaddq_f32(sums[c], vld1q_f32(source + i + 4 * c));
    for (int c = 1; c < SUM_CHAINS; c++) sums[0] = vaddq_f32(sums[0], sums[c]);
    return vaddvq_f32(sums[0]) + read_plain(source + i, n - i);
}
#endif

static void triad_by(float *target, const float *b, const float *c, float factor, int64_t n, int past) {
#if defined(EW_X86)
    if (ew_active >= EW_PATH_AVX512) { triad_avx512(target, b, c, factor, n, past); return; }
    if (ew_active == EW_PATH_AVX2) { triad_avx2(target, b, c, factor, n, past); return; }
#endif
    (void)past;
    triad_plain(target, b, c, factor, n);
}

static float read_by(const float *source, int64_t n) {
#if defined(EW_X86)
    if (ew_active >= EW_PATH_AVX512) return read_avx512(source, n);
    if (ew_active == EW_PATH_AVX2) return read_avx2(source, n);
#elif defined(EW_NEON)
    if (ew_active == EW_PATH_NEON) return read_neon(source, n);
#endif
    return read_plain(source, n);
}

static void triad_passes(const ew_array *a, int past) {
    int64_t passes = *(const int64_t *)a[4].data;
    for (int64_t pass = 0; pass < passes; pass++)
        triad_by(a[0].data, a[1].data, a[2].data, *(const float *)a[3].data, a[0].shape[0], past);
}

/* total (1), source (n), passes (1): the total over all passes */
EW_EXPORT void ew_read(const ew_array *a) {
    int64_t passes = *(const int64_t *)a[2].data;
    float total = 0;
    for (int64_t pass = 0; pass < passes; pass++) total += read_by(a[1].data, a[1].shape[0]);
    *(float *)a[0].data = total;
}

/* target (n), source (n) */
EW_EXPORT void ew_copy_past(const ew_array *a) {
    int64_t n = a[0].shape[0];
#if defined(EW_X86)
    if (ew_active >= EW_PATH_AVX512) { copy_avx512(a[0].data, a[1].data, n); return; }
    if (ew_active == EW_PATH_AVX2) { copy_avx2(a[0].data, a[1].data, n); return; }
#endif
    copy_plain(a[0].data, a[1].data, n);
}

/* target (n), b (n), c (n), factor (1), passes (1) */
EW_EXPORT void ew_triad(const ew_array *a) { triad_passes(a, 0); }
EW_EXPORT void ew_triad_past(const ew_array *a) { triad_passes(a, 1); }
