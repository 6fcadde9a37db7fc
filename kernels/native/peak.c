/* Multiply-accumulates on registers, as many as asked for: what the arithmetic alone can do, with no memory in the way.

   12 independent chains hide the latency of the instruction and leave registers for its operands. Operands are ones, so that the sum over all
   chains and lanes is the number of multiply-accumulates made. They pass through an empty assembler statement in every turn: the compiler may
   assume nothing about them, so it neither folds them nor moves a conversion out of the loop. Where a processor lacks an instruction for a
   format, what the product kernels do instead is timed: widening for bf16 and fp16, products of 16 bits for int8. */
#include "edgewright.h"

#define CHAINS 12
#define ALL _Pragma("GCC unroll 16") for (int c = 0; c < CHAINS; c++)

/* Defines `name`: n / (CHAINS * each) turns of `step`, each of which makes `each` multiply-accumulates; gives the sum of all chains. */
#define PEAK(name, target, vector, operand, each, zero, one, hide, step, total)  \
    target static double name(int64_t n) {                                       \
        vector sum[CHAINS];                                                      \
        operand a = one;                                                         \
        ALL sum[c] = zero;                                                       \
        for (int64_t turn = 0; turn < n / (CHAINS * (each)); turn++) {           \
            ALL {                                                                \
                hide(a);                                                         \
                sum[c] = step(sum[c], a);                                        \
            }                                                                    \
        }                                                                        \
        double all = 0;                                                          \
        ALL all += total(sum[c]);                                                \
        return all;                                                              \
    }

#define IN_MEMORY(a) __asm__ volatile("" : "+m"(a))
#define MAC(sum, a) ((sum) + (a) * (a))
#define ITSELF(sum) (double)(sum)
PEAK(plain_fp64, , double, double, 1, 0, 1, IN_MEMORY, MAC, ITSELF)
PEAK(plain_fp32, , float, float, 1, 0, 1, IN_MEMORY, MAC, ITSELF)
PEAK(plain_int8, , int32_t, int8_t, 1, 0, 1, IN_MEMORY, MAC, ITSELF)

#if defined(EW_X86)
#define IN_VECTOR(a) __asm__ volatile("" : "+v"(a))
#define IN_SSE(a) __asm__ volatile("" : "+x"(a))

EW_AVX2 static inline double total_ps(__m256 sum) {
    float lanes[8];
    double all = 0;
    _mm256_storeu_ps(lanes, sum);
    for (int i = 0; i < 8; i++) all += lanes[i];
    return all;
}
EW_AVX2 static inline double total_pd(__m256d sum) {
    double lanes[4];
    _mm256_storeu_pd(lanes, sum);
    return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}
EW_AVX2 static inline double total_epi32(__m256i sum) {
    int32_t lanes[8];
    double all = 0;
    _mm256_storeu_si256((__m256i *)lanes, sum);
    for (int i = 0; i < 8; i++) all += lanes[i];
    return all;
}
#define FMA_PD(sum, a) _mm256_fmadd_pd(a, a, sum)
#define FMA_PS(sum, a) _mm256_fmadd_ps(a, a, sum)
#define WIDE_PH(sum, a) _mm256_fmadd_ps(_mm256_cvtph_ps(a), _mm256_castsi256_ps(_mm256_set1_epi32(0x3F800000)), sum)
#define WIDE_BF(sum, a)                                                                                                       \
    _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_slli_epi32(a, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(a, 16)),              \
                    _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_and_si256(a, _mm256_set1_epi32((int)0xFFFF0000))),              \
                                    _mm256_castsi256_ps(_mm256_and_si256(a, _mm256_set1_epi32((int)0xFFFF0000))), sum))
#define BYTES(sum, a) _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(a, a), _mm256_set1_epi16(1)))
PEAK(avx2_fp64, EW_AVX2, __m256d, __m256d, 4, _mm256_setzero_pd(), _mm256_set1_pd(1), IN_SSE, FMA_PD, total_pd)
PEAK(avx2_fp32, EW_AVX2, __m256, __m256, 8, _mm256_setzero_ps(), _mm256_set1_ps(1), IN_SSE, FMA_PS, total_ps)
PEAK(avx2_fp16, EW_AVX2, __m256, __m128i, 8, _mm256_setzero_ps(), _mm_set1_epi16(0x3C00), IN_SSE, WIDE_PH, total_ps)
PEAK(avx2_bf16, EW_AVX2, __m256, __m256i, 16, _mm256_setzero_ps(), _mm256_set1_epi16(0x3F80), IN_SSE, WIDE_BF, total_ps)
PEAK(avx2_int8, EW_AVX2, __m256i, __m256i, 32, _mm256_setzero_si256(), _mm256_set1_epi8(1), IN_SSE, BYTES, total_epi32)

#define FMA_PD_512(sum, a) _mm512_fmadd_pd(a, a, sum)
#define FMA_PS_512(sum, a) _mm512_fmadd_ps(a, a, sum)
#define WIDE_PH_512(sum, a) _mm512_fmadd_ps(_mm512_cvtph_ps(a), _mm512_castsi512_ps(_mm512_set1_epi32(0x3F800000)), sum)
#define BYTES_512(sum, a) _mm512_dpbusd_epi32(sum, a, a)
#define PAIRS_512(sum, a) _mm512_dpbf16_ps(sum, (__m512bh)(a), (__m512bh)(a))
PEAK(avx512_fp64, EW_AVX512, __m512d, __m512d, 8, _mm512_setzero_pd(), _mm512_set1_pd(1), IN_VECTOR, FMA_PD_512, _mm512_reduce_add_pd)
PEAK(avx512_fp32, EW_AVX512, __m512, __m512, 16, _mm512_setzero_ps(), _mm512_set1_ps(1), IN_VECTOR, FMA_PS_512, _mm512_reduce_add_ps)
PEAK(avx512_fp16, EW_AVX512, __m512, __m256i, 16, _mm512_setzero_ps(), _mm256_set1_epi16(0x3C00), IN_VECTOR, WIDE_PH_512, _mm512_reduce_add_ps)
PEAK(avx512_int8, EW_AVX512, __m512i, __m512i, 64, _mm512_setzero_si512(), _mm512_set1_epi8(1), IN_VECTOR, BYTES_512, _mm512_reduce_add_epi32)
PEAK(dot_bf16, EW_BF16, __m512, __m512i, 32, _mm512_setzero_ps(), _mm512_set1_epi16(0x3F80), IN_VECTOR, PAIRS_512, _mm512_reduce_add_ps)
#elif defined(EW_NEON)
#define IN_NEON(a) __asm__ volatile("" : "+w"(a))
#define FMA_F64(sum, a) vfmaq_f64(sum, a, a)
#define FMA_F32(sum, a) vfmaq_f32(sum, a, a)
#define WIDE_F16(sum, a) vfmaq_f32(sum, vcvt_f32_f16(a), vdupq_n_f32(1))
#define WIDE_B16(sum, a)                                                                                                      \
    vfmaq_f32(vfmaq_f32(sum, vreinterpretq_f32_u32(vshlq_n_u32(a, 16)), vreinterpretq_f32_u32(vshlq_n_u32(a, 16))),            \
              vreinterpretq_f32_u32(vandq_u32(a, vdupq_n_u32(0xFFFF0000))), vreinterpretq_f32_u32(vandq_u32(a, vdupq_n_u32(0xFFFF0000))))
#define BYTES_S8(sum, a) vpadalq_s16(sum, vpaddq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(a)), vmull_high_s8(a, a)))
PEAK(neon_fp64, , float64x2_t, float64x2_t, 2, vdupq_n_f64(0), vdupq_n_f64(1), IN_NEON, FMA_F64, vaddvq_f64)
PEAK(neon_fp32, , float32x4_t, float32x4_t, 4, vdupq_n_f32(0), vdupq_n_f32(1), IN_NEON, FMA_F32, vaddvq_f32)
PEAK(neon_fp16, , float32x4_t, float16x4_t, 4, vdupq_n_f32(0), vreinterpret_f16_u16(vdup_n_u16(0x3C00)), IN_NEON, WIDE_F16, vaddvq_f32)
PEAK(neon_bf16, , float32x4_t, uint32x4_t, 8, vdupq_n_f32(0), vdupq_n_u32(0x3F803F80), IN_NEON, WIDE_B16, vaddvq_f32)
PEAK(neon_int8, , int32x4_t, int8x16_t, 16, vdupq_n_s32(0), vdupq_n_s8(1), IN_NEON, BYTES_S8, vaddvq_s32)
#endif

typedef double peak(int64_t);

/* Defines the entry point of a format: total (1) fp64, n (1) */
#if defined(EW_X86)
#define ENTRY(name, plain, wide, widest, dot)                                                     \
    EW_EXPORT void name(const ew_array *a) {                                                      \
        static peak *const by_path[] = {plain, plain, wide, widest, dot};                         \
        *(double *)a[0].data = by_path[ew_active](*(const int64_t *)a[1].data);                   \
    }
ENTRY(ew_peak_fp64, plain_fp64, avx2_fp64, avx512_fp64, avx512_fp64)
ENTRY(ew_peak_fp32, plain_fp32, avx2_fp32, avx512_fp32, avx512_fp32)
ENTRY(ew_peak_fp16, plain_fp32, avx2_fp16, avx512_fp16, avx512_fp16)
ENTRY(ew_peak_bf16, plain_fp32, avx2_bf16, avx2_bf16, dot_bf16)
ENTRY(ew_peak_int8, plain_int8, avx2_int8, avx512_int8, avx512_int8)
#else
#if !defined(EW_NEON)
#define neon_fp64 plain_fp64
#define neon_fp32 plain_fp32
#define neon_fp16 plain_fp32
#define neon_bf16 plain_fp32
#define neon_int8 plain_int8
#endif
#define ENTRY(name, plain, neon)                                                                  \
    EW_EXPORT void name(const ew_array *a) {                                                      \
        static peak *const by_path[] = {plain, neon};                                             \
        *(double *)a[0].data = by_path[ew_active](*(const int64_t *)a[1].data);                   \
    }
ENTRY(ew_peak_fp64, plain_fp64, neon_fp64)
ENTRY(ew_peak_fp32, plain_fp32, neon_fp32)
ENTRY(ew_peak_fp16, plain_fp32, neon_fp16)
ENTRY(ew_peak_bf16, plain_fp32, neon_bf16)
ENTRY(ew_peak_int8, plain_int8, neon_int8)
#endif
