// Philox4x32-10, the counter-based generator of Salmon et al. (SC 2011).
#pragma once

#define PHILOX_M4x32_0 0xD2511F53u
#define PHILOX_M4x32_1 0xCD9E8D57u
#define PHILOX_W32_0 0x9E3779B9u
#define PHILOX_W32_1 0xBB67AE85u

static __device__ __forceinline__ uint4 philox4x32round(uint4 ctr, uint2 key)
{
    unsigned int hi0 = __umulhi(PHILOX_M4x32_0, ctr.x), lo0 = PHILOX_M4x32_0 * ctr.x;
    unsigned int hi1 = __umulhi(PHILOX_M4x32_1, ctr.z), lo1 = PHILOX_M4x32_1 * ctr.z;
    return make_uint4(hi1 ^ ctr.y ^ key.x, lo1, hi0 ^ ctr.w ^ key.y, lo0);
}

static __device__ uint4 philox4x32_10(uint4 counter, uint2 key)
{
    #pragma unroll
    for (int i = 0; i < 9; i++) {
        counter = philox4x32round(counter, key);
        key.x += PHILOX_W32_0;
        key.y += PHILOX_W32_1;
    }
    return philox4x32round(counter, key);
}

// 24 bits, so that the result is exact and below 1.
static __device__ __forceinline__ float uniform01(unsigned int bits)
{
    return (bits >> 8) * (1.0f / 16777216.0f);
}
