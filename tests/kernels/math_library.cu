// The math library in single precision: a row of results for each function.

#define ROW(r, expr) out[(r) * n + i] = (expr)

extern "C" __global__ void unary_functions(const float* __restrict__ in, float* __restrict__ out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    const float x = in[i]; // in [-3, 3]
    const float p = fabsf(x) + 0.25f;
    const float u = x / 3.0f;
    ROW(0, expf(x));
    ROW(1, exp2f(x));
    ROW(2, expm1f(x));
    ROW(3, logf(p));
    ROW(4, log2f(p));
    ROW(5, log10f(p));
    ROW(6, log1pf(p));
    ROW(7, sinf(x));
    ROW(8, cosf(x));
    ROW(9, tanf(u));
    ROW(10, asinf(u));
    ROW(11, acosf(u));
    ROW(12, atanf(x));
    ROW(13, sinhf(x));
    ROW(14, coshf(x));
    ROW(15, tanhf(x));
    ROW(16, sqrtf(p));
    ROW(17, rsqrtf(p));
    ROW(18, cbrtf(x));
    ROW(19, erff(x));
    ROW(20, erfcf(x));
    ROW(21, tgammaf(p));
    ROW(22, lgammaf(p));
    ROW(23, sinpif(x));
    ROW(24, cospif(x));
    ROW(25, asinhf(x));
    ROW(26, acoshf(1.0f + p));
    ROW(27, atanhf(u * 0.99f));
}

extern "C" __global__ void exact_functions(const float* __restrict__ in, float* __restrict__ out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float x = in[i];
    float whole;
    int exponent;
    ROW(0, floorf(x));
    ROW(1, ceilf(x));
    ROW(2, truncf(x));
    ROW(3, rintf(x));
    ROW(4, roundf(x));
    ROW(5, fabsf(x));
    ROW(6, copysignf(2.5f, x));
    ROW(7, modff(x, &whole));
    ROW(8, whole);
    ROW(9, frexpf(x, &exponent));
    ROW(10, exponent);
    ROW(11, ldexpf(x, 3));
    ROW(12, fmodf(x, 0.75f));
    ROW(13, fdimf(x, 1.0f));
    ROW(14, __saturatef(x));
    ROW(15, signbit(x) ? 1.0f : 0.0f);
    ROW(16, isnan(x - x) || isinf(x) ? 1.0f : 0.0f);
    ROW(17, __fadd_rn(x, 0.1f));
    ROW(18, __fmul_rn(x, 0.1f));
    ROW(19, __fdiv_rn(x, 3.0f));
    ROW(20, __fsqrt_rn(fabsf(x)));
    ROW(21, fmaf(x, x, -1.0f));
}

extern "C" __global__ void binary_functions(const float* a, const float* b, float* out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float x = a[i], y = b[i];
    ROW(0, powf(fabsf(x) + 0.1f, y));
    ROW(1, atan2f(y, x));
    ROW(2, hypotf(x, y));
    ROW(3, fmaxf(x, y));
    ROW(4, fminf(x, y));
    ROW(5, rhypotf(x, y));
    ROW(6, norm3df(x, y, 1.0f));
    ROW(7, fmodf(x, y));
    ROW(8, remainderf(x, y));
    ROW(9, nextafterf(x, y));
}

extern "C" __global__ void float_int_conversions(const float* in, int* out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float x = in[i];
    out[0 * n + i] = (int)x;
    out[1 * n + i] = __float2int_rn(x);
    out[2 * n + i] = __float2int_ru(x);
    out[3 * n + i] = __float2int_rd(x);
    out[4 * n + i] = __float2int_rz(x);
    out[5 * n + i] = lrintf(x);
    out[6 * n + i] = __float_as_int(x);
    out[7 * n + i] = (unsigned int)fabsf(x);
    out[8 * n + i] = __float_as_int(__int2float_rn(i - n / 2));
    out[9 * n + i] = __float_as_int(__uint2float_rn(0x80000000u + i));
    out[10 * n + i] = lroundf(x);
    out[11 * n + i] = (signed char)(int)x;
}
