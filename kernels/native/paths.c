/* Which code paths this processor can run, and which one is in use: the widest, unless a test says otherwise. */
#include "edgewright.h"

int ew_active = EW_PLAIN;

static int runs(int path) {
    if (path == EW_PLAIN) return 1;
#if defined(EW_X86)
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni");
    if (path == EW_PATH_AVX2) return avx2;
    if (path == EW_PATH_AVX512) return avx512;
    if (path == EW_PATH_BF16) return avx512 && __builtin_cpu_supports("avx512bf16");
#elif defined(EW_NEON)
    if (path == EW_PATH_NEON) return 1; /* part of every 64-bit Arm application processor */
#endif
    return 0;
}

EW_EXPORT int ew_interface(void) { return EW_INTERFACE; }

EW_EXPORT int ew_path(void) { return ew_active; }

EW_EXPORT int ew_runs(int path) { return runs(path); }

EW_EXPORT int ew_use(int path) {
    if (!runs(path)) return -1;
    ew_active = path;
    return 0;
}
