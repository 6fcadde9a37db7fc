/* 16-bit floats without instructions for them. */
#ifndef EDGEWRIGHT_HALF_H
#define EDGEWRIGHT_HALF_H

#include "edgewright.h"

static inline float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

/* IEEE 754 half to single: the exponent is set right by a multiplication, which is exact. */
static inline float from_half(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = (uint32_t)(half & 0x7FFF) << 13;
    if (rest >= 0x0F800000) return from_bits(sign | 0x70000000 | rest); /* infinities and NaN */
    float value = from_bits(rest) * 0x1p112f;
    return sign ? -value : value;
}

static inline float from_bf16(uint16_t value) { return from_bits((uint32_t)value << 16); }

static inline uint16_t to_bf16(float value) { /* to nearest, ties to even; a NaN stays one */
    uint32_t bits;
    memcpy(&bits, &value, 4);
    if ((bits & 0x7FFFFFFF) > 0x7F800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

#endif
