/* What all native kernels share: how arrays come in, which code path runs, and the declarations of the entry points.

   An entry point takes one `ew_array` for each operand, in the order of the kernel's operands in Python. Its caller has checked dtypes,
   ranks and contiguity. Nothing here allocates, and nothing here is shared between threads but the path, which tests alone change. */
#ifndef EDGEWRIGHT_H
#define EDGEWRIGHT_H

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#define EW_X86 1
#include <immintrin.h>
#define EW_AVX2 __attribute__((target("avx2,fma,f16c")))
#define EW_AVX512 __attribute__((target("avx2,fma,f16c,avx512f,avx512dq,avx512bw,avx512vl,avx512vbmi,avx512vnni")))
#define EW_BF16 __attribute__((target("avx2,fma,f16c,avx512f,avx512dq,avx512bw,avx512vl,avx512vbmi,avx512vnni,avx512bf16")))
#elif defined(__aarch64__)
#define EW_NEON 1
#include <arm_neon.h>
#endif

#if defined(_WIN32)
#define EW_EXPORT __declspec(dllexport)
#else
#define EW_EXPORT __attribute__((visibility("default")))
#endif

/* Raised whenever an entry point, its operands or a packing changes: Python refuses a library of another number. */
#define EW_INTERFACE 2

typedef struct {
    void *data;
    int64_t shape[4];
} ew_array;

/* Code paths, from plain C to the widest; each runs wherever the ones that it builds on do. */
enum { EW_PLAIN = 0, EW_PATH_NEON = 1, EW_PATH_AVX2 = 2, EW_PATH_AVX512 = 3, EW_PATH_BF16 = 4 };

extern int ew_active;

#endif
