// Single precision: what OpenCL's functions lack, or do less exactly than CUDA documents.

//@ f_sin_kernel part
// sin(high + low) for at most an eighth of a turn: Taylor's series.
GON_FN float gon_f_sin_kernel(float high, float low) {
    float z = high * high;
    float p = fma(z, fma(z, fma(z, 1.0f / 362880, -1.0f / 5040), 1.0f / 120), -1.0f / 6);
    return high + fma(z * high, p, low * (1.0f - 0.5f * z));
}

//@ f_cos_kernel part
GON_FN float gon_f_cos_kernel(float high, float low) {
    float z = high * high;
    float p = fma(z, fma(z, fma(z, -1.0f / 3628800, 1.0f / 40320), -1.0f / 720), 1.0f / 24);
    float half_z = 0.5f * z;
    float most = 1.0f - half_z;
    return most + (((1.0f - most) - half_z) + fma(z * z, p, -high * low));
}

//@ f_turns part also=f_turns_of
// sin(pi x) and cos(pi x): x is n / 2 + r with r exact and at most 1/4.
typedef struct { float sine, cosine; } gon_f_turns;
GON_FN gon_f_turns gon_f_turns_of(float x) {
    gon_f_turns t;
    if (!(fabs(x) < 0x1p24f)) {  // a whole even number, or none
        t.sine = copysign(x - x, x);
        t.cosine = 1.0f + (x - x);
        return t;
    }
    float n = rint(2.0f * x);
    float r = fma(-0.5f, n, x);
    float high = r * 0x1.921fb6p+1f;
    float low = fma(r, 0x1.921fb6p+1f, -high) + r * -0x1.777a5cp-24f;
    float s = gon_f_sin_kernel(high, low);
    float c = gon_f_cos_kernel(high, low);
    int quarter = (int)n & 3;
    t.sine = (quarter & 1) ? c : s;
    t.cosine = (quarter & 1) ? -s : c;
    if (quarter & 2) {
        t.sine = -t.sine;
        t.cosine = -t.cosine;
    }
    if (t.sine == 0.0f) t.sine = copysign(t.sine, x);
    if (t.cosine == 0.0f) t.cosine = 0.0f;
    return t;
}

//@ f_sinpi part
GON_FN float gon_f_sinpi(float x) { return gon_f_turns_of(x).sine; }

//@ f_cospi part
GON_FN float gon_f_cospi(float x) { return gon_f_turns_of(x).cosine; }

//@ f_erf part
// OpenCL's erf is off by 4 ulp where it is nearly 1; 1 - erfc is exact there.
GON_FN float gon_f_erf(float x) {
    return fabs(x) < 1.0f ? erf(x) : copysign(1.0f - erfc(fabs(x)), x);
}

//@ f_rcbrt part
// One step of Newton's makes up for the roundings of cbrt and the division.
GON_FN float gon_f_rcbrt(float x) {
    float y = 1.0f / cbrt(x);
    if (!isfinite(y) || y == 0.0f) return y;
    float a = x * y, a_rest = fma(x, y, -a);
    float b = y * y, b_rest = fma(y, y, -b);
    float error = fma(-a, b, 1.0f) - fma(a, b_rest, a_rest * b);
    return fma(y, error * (1.0f / 3), y);
}

//@ fmaf ulp=0
GON_FN float gon_fmaf(float x, float y, float z) { return fma(x, y, z); }

//@ fdividef ulp=2
GON_FN float gon_fdividef(float x, float y) { return x / y; }

//@ sincosf ulp=2
GON_FN void gon_sincosf(float x, GON_AS float *s, GON_AS float *c) { *s = gon_sinf(x); *c = gon_cosf(x); }

//@ sincospif ulp=1
GON_FN void gon_sincospif(float x, GON_AS float *s, GON_AS float *c) {
    gon_f_turns t = gon_f_turns_of(x);
    *s = t.sine;
    *c = t.cosine;
}

//@ frexpf ulp=0
GON_FN float gon_frexpf(float x, GON_AS int *exponent) {
    int e;
    float m = frexp(x, &e);
    *exponent = e;
    return m;
}

//@ modff ulp=0
GON_FN float gon_modff(float x, GON_AS float *whole) {
    float w;
    float rest = modf(x, &w);
    *whole = w;
    return rest;
}

//@ remquof ulp=0
GON_FN float gon_remquof(float x, float y, GON_AS int *quotient) {
    int q;
    float rest = remquo(x, y, &q);
    *quotient = q;
    return rest;
}

//@ ldexpf ulp=0
GON_FN float gon_ldexpf(float x, int n) { return ldexp(x, n); }

//@ scalbnf ulp=0
GON_FN float gon_scalbnf(float x, int n) { return ldexp(x, n); }

//@ scalblnf ulp=0
GON_FN float gon_scalblnf(float x, long n) { return ldexp(x, (int)clamp(n, -1000L, 1000L)); }

//@ ilogbf ulp=0
GON_FN int gon_ilogbf(float x) {
    return (x == 0.0f || isnan(x)) ? INT_MIN : isinf(x) ? INT_MAX : ilogb(x);
}

//@ lrintf ulp=0
GON_FN long gon_lrintf(float x) { return convert_long_sat_rte(x); }

//@ llrintf ulp=0
GON_FN long gon_llrintf(float x) { return convert_long_sat_rte(x); }

//@ lroundf ulp=0
GON_FN long gon_lroundf(float x) { return convert_long_sat(round(x)); }

//@ llroundf ulp=0
GON_FN long gon_llroundf(float x) { return convert_long_sat(round(x)); }

//@ nanf
// Whatever the tag says, it is the same quiet NaN.
GON_FN float gon_nanf(constant const char *tag) { return as_float(0x7fffffff); }

//@ rhypotf fp64 ulp=2
GON_FN float gon_rhypotf(float x, float y) { return (float)gon_d_rnorm(x, y, 0.0, 0.0); }

//@ norm3df fp64 ulp=3
GON_FN float gon_norm3df(float a, float b, float c) { return (float)gon_d_norm(a, b, c, 0.0); }

//@ norm4df fp64 ulp=3
GON_FN float gon_norm4df(float a, float b, float c, float d) { return (float)gon_d_norm(a, b, c, d); }

//@ rnorm3df fp64 ulp=2
GON_FN float gon_rnorm3df(float a, float b, float c) { return (float)gon_d_rnorm(a, b, c, 0.0); }

//@ rnorm4df fp64 ulp=2
GON_FN float gon_rnorm4df(float a, float b, float c, float d) { return (float)gon_d_rnorm(a, b, c, d); }

//@ normf fp64
// A float's square and the sum of many fit a double.
GON_FN float gon_normf(int count, GON_AS const float *values) {
    double sum = 0.0;
    bool endless = false;
    for (int i = 0; i < count; i++) {
        sum += (double)values[i] * values[i];
        endless |= isinf(values[i]) != 0;
    }
    return endless ? INFINITY : (float)sqrt(sum);
}

//@ rnormf fp64
GON_FN float gon_rnormf(int count, GON_AS const float *values) {
    double sum = 0.0;
    bool endless = false;
    for (int i = 0; i < count; i++) {
        sum += (double)values[i] * values[i];
        endless |= isinf(values[i]) != 0;
    }
    return endless ? 0.0f : (float)(1.0 / sqrt(sum));
}
