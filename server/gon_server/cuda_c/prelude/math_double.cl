// Double precision: what OpenCL's functions lack, or do less exactly than CUDA documents.

//@ d_two_over_pi part
// The bits of 2 / pi, after one word of zeros.
constant ulong gon_d_two_over_pi[20] = {
    0x0000000000000000UL, 0xa2f9836e4e441529UL, 0xfc2757d1f534ddc0UL, 0xdb6295993c439041UL,
    0xfe5163abdebbc561UL, 0xb7246e3a424dd2e0UL, 0x06492eea09d1921cUL, 0xfe1deb1cb129a73eUL,
    0xe88235f52ebb4484UL, 0xe99c7026b45f7e41UL, 0x3991d639835339f4UL, 0x9c845f8bbdf9283bUL,
    0x1ff897ffde05980fUL, 0xef2f118b5a0a6d1fUL, 0x6d367ecf27cb09b7UL, 0x4f463f669e5fea2dUL,
    0x7527bac7ebe5f17bUL, 0x3d0739f78a5292eaUL, 0x6bfb5fb11f8d5d08UL, 0x56033046fc7b6babUL};

//@ d_angle part fp64
// An angle as `quarter` quarters of a turn (counted modulo 4) and a rest of at most half of one.
typedef struct { double high, low; int quarter; } gon_d_angle;

//@ d_angle_near part fp64
// For less than 2^20: k pi / 2 is taken off in pieces, the first two of which are exact.
GON_FN gon_d_angle gon_d_angle_near(double x) {
    double k = rint(x * 0x1.45f306dc9c883p-1);
    double a = fma(-k, 0x1.921fb544p+0, x);
    double b = k * 0x1.0b4611a6p-34;
    double first = a - b;
    double t = first - a;
    double low = (a - (first - t)) - (b + t);
    double c = k * 0x1.3198a2e037073p-69;
    double c_rest = fma(k, 0x1.3198a2e037073p-69, -c);
    double second = first - c;
    t = second - first;
    low += (first - (second - t)) - (c + t);
    low -= fma(k, 0x1.129024e088a68p-123, c_rest);
    gon_d_angle r;
    r.high = second + low;
    r.low = (second - r.high) + low;
    r.quarter = (int)k & 3;
    return r;
}

//@ d_angle_far part fp64
// x is m 2^e with m whole: of m 2 / pi only the bits that are less than four quarters matter, so 192
// bits of 2 / pi from the right place on are enough.
GON_FN __attribute__((noinline)) gon_d_angle gon_d_angle_far(double x) {
    ulong bits = as_ulong(x);
    ulong m = (bits & 0x000fffffffffffffUL) | 0x0010000000000000UL;
    int at = (int)((bits >> 52) & 0x7ff) - 1013;
    int word = at >> 6, shift = at & 63;
    ulong t0 = gon_d_two_over_pi[word], t1 = gon_d_two_over_pi[word + 1];
    ulong t2 = gon_d_two_over_pi[word + 2], t3 = gon_d_two_over_pi[word + 3];
    ulong w0 = (t0 << shift) | ((t1 >> 1) >> (63 - shift));
    ulong w1 = (t1 << shift) | ((t2 >> 1) >> (63 - shift));
    ulong w2 = (t2 << shift) | ((t3 >> 1) >> (63 - shift));
    ulong r0 = m * w2;
    ulong r1 = m * w1 + mul_hi(m, w2);
    ulong r2 = m * w0 + mul_hi(m, w1) + (r1 < m * w1 ? 1UL : 0UL);
    int quarter = (int)(r2 >> 62);
    ulong f1 = (r2 << 2) | (r1 >> 62), f0 = (r1 << 2) | (r0 >> 62);
    bool over = (f1 >> 63) != 0;
    if (over) {
        quarter++;
        f0 = ~f0 + 1UL;
        f1 = ~f1 + (f0 == 0UL ? 1UL : 0UL);
    }
    int zeros = min((int)clz(f1), 63);
    f1 = (f1 << zeros) | ((f0 >> 1) >> (63 - zeros));
    f0 <<= zeros;
    double scale = as_double((ulong)(970 - zeros) << 52);  // 2^-(53 + zeros)
    double high = (double)(f1 >> 11) * scale;
    double low = (double)((f1 << 53) | (f0 >> 11)) * (scale * 0x1p-64);
    double p = high * 0x1.921fb54442d18p+0;
    double rest = fma(high, 0x1.921fb54442d18p+0, -p) + (high * 0x1.1a62633145c07p-54 + low * 0x1.921fb54442d18p+0);
    bool minus = over != (x < 0.0);
    gon_d_angle r;
    r.high = minus ? -p : p;
    r.low = minus ? -rest : rest;
    r.quarter = (x < 0.0 ? -quarter : quarter) & 3;
    return r;
}

//@ d_angle_of part fp64
GON_FN gon_d_angle gon_d_angle_of(double x) {
    return fabs(x) < 0x1p20 ? gon_d_angle_near(x) : gon_d_angle_far(x);
}

//@ d_sin_kernel part fp64
// sin(high + low) for at most an eighth of a turn: Taylor's series.
GON_FN double gon_d_sin_kernel(double high, double low) {
    double z = high * high;
    double p = fma(z, 1.0 / 355687428096000.0, -1.0 / 1307674368000.0);
    p = fma(z, fma(z, p, 1.0 / 6227020800.0), -1.0 / 39916800.0);
    p = fma(z, fma(z, p, 1.0 / 362880.0), -1.0 / 5040.0);
    p = fma(z, fma(z, p, 1.0 / 120.0), -1.0 / 6.0);
    return high + fma(z * high, p, low * (1.0 - 0.5 * z));
}

//@ d_cos_kernel part fp64
GON_FN double gon_d_cos_kernel(double high, double low) {
    double z = high * high;
    double p = fma(z, -1.0 / 6402373705728000.0, 1.0 / 20922789888000.0);
    p = fma(z, fma(z, p, -1.0 / 87178291200.0), 1.0 / 479001600.0);
    p = fma(z, fma(z, p, -1.0 / 3628800.0), 1.0 / 40320.0);
    p = fma(z, fma(z, p, -1.0 / 720.0), 1.0 / 24.0);
    double half_z = 0.5 * z;
    double most = 1.0 - half_z;
    return most + (((1.0 - most) - half_z) + fma(z * z, p, -high * low));
}

//@ d_turned part fp64 also=d_turned_of
typedef struct { double sine, cosine; } gon_d_turned;
GON_FN gon_d_turned gon_d_turned_of(gon_d_angle r) {
    double s = gon_d_sin_kernel(r.high, r.low), c = gon_d_cos_kernel(r.high, r.low);
    gon_d_turned t;
    t.sine = (r.quarter & 1) ? c : s;
    t.cosine = (r.quarter & 1) ? -s : c;
    if (r.quarter & 2) {
        t.sine = -t.sine;
        t.cosine = -t.cosine;
    }
    return t;
}

//@ d_sin part fp64
GON_FN double gon_d_sin(double x) {
    if (fabs(x) < 0x1p-27 || !isfinite(x)) return isinf(x) ? as_double(0x7ff8000000000000L) : x;
    return gon_d_turned_of(gon_d_angle_of(x)).sine;
}

//@ d_cos part fp64
GON_FN double gon_d_cos(double x) {
    if (!isfinite(x)) return x - x;
    return gon_d_turned_of(gon_d_angle_of(x)).cosine;
}

//@ d_tan part fp64
GON_FN double gon_d_tan(double x) {
    if (fabs(x) < 0x1p-27 || !isfinite(x)) return isinf(x) ? as_double(0x7ff8000000000000L) : x;
    gon_d_turned t = gon_d_turned_of(gon_d_angle_of(x));
    return t.sine / t.cosine;
}

//@ d_turns_of part fp64
// sin(pi x) and cos(pi x): x is n / 2 + r with r exact and at most 1/4.
GON_FN gon_d_turned gon_d_turns_of(double x) {
    gon_d_turned t;
    if (!(fabs(x) < 0x1p53)) {  // a whole even number, or none
        t.sine = copysign(x - x, x);
        t.cosine = 1.0 + (x - x);
        return t;
    }
    double n = rint(2.0 * x);
    double r = fma(-0.5, n, x);
    gon_d_angle angle;
    angle.high = r * 0x1.921fb54442d18p+1;
    angle.low = fma(r, 0x1.921fb54442d18p+1, -angle.high) + r * 0x1.1a62633145c07p-53;
    angle.quarter = (int)((long)n & 3);
    t = gon_d_turned_of(angle);
    if (t.sine == 0.0) t.sine = copysign(t.sine, x);
    if (t.cosine == 0.0) t.cosine = 0.0;
    return t;
}

//@ d_sinpi part fp64
GON_FN double gon_d_sinpi(double x) { return gon_d_turns_of(x).sine; }

//@ d_cospi part fp64
GON_FN double gon_d_cospi(double x) { return gon_d_turns_of(x).cosine; }

//@ d_cosh part fp64
// Beyond 709 exp overflows before cosh does: e^x / 2 is e^(x - 1) (e / 2).
GON_FN double gon_d_cosh(double x) {
    double a = fabs(x);
    if (a < 709.0) {
        double t = exp(a);
        return fma(0.5, t, 0.5 / t);
    }
    double t = exp(a - 1.0);
    return isinf(t) ? t : fma(t, 0x1.5bf0a8b145769p+0, t * 0x1.4d57ee2b1013ap-54);
}

//@ d_rcbrt part fp64
// One step of Newton's makes up for the roundings of cbrt and the division.
GON_FN double gon_d_rcbrt(double x) {
    double y = 1.0 / cbrt(x);
    if (!isfinite(y) || y == 0.0) return y;
    double a = x * y, a_rest = fma(x, y, -a);
    double b = y * y, b_rest = fma(y, y, -b);
    double error = fma(-a, b, 1.0) - fma(a, b_rest, a_rest * b);
    return fma(y, error * (1.0 / 3), y);
}

//@ d_exp_square part fp64
// exp(x x), the rounding of the square made up for.
GON_FN double gon_d_exp_square(double x) {
    double square = x * x;
    double t = exp(square);
    return isinf(t) ? t : fma(t, fma(x, x, -square), t);
}

//@ d_erfcx part fp64
GON_FN double gon_d_erfcx(double x) {
    double a = fabs(x);
    double r;
    if (a < 25.0) {
        r = gon_d_exp_square(a) * erfc(a);
    } else {
        double z = 1.0 / (a * a);
        double p = fma(z, fma(z, fma(z, -135135.0 / 128, 10395.0 / 64), -945.0 / 32), 105.0 / 16);
        p = fma(z, fma(z, fma(z, p, -15.0 / 8), 0.75), -0.5);
        r = fma(z, p, 1.0) * (0x1.20dd750429b6dp-1 / a);
    }
    return x < 0.0 ? fma(2.0, gon_d_exp_square(a), -r) : r;
}

//@ d_erfinv_near part fp64
// Halley's steps on erf (up to 1/2) or on erfc (beyond), from Winitzki's approximation.
GON_FN double gon_d_erfinv_near(double x) {
    double a = fabs(x);
    double l = log1p(-a * a);
    double h = 4.330746750799873 + 0.5 * l;
    double y = sqrt(sqrt(h * h - l * 6.802721088435374) - h);
    for (int i = 0; i < 3; i++) {
        double f = a <= 0.5 ? erf(y) - a : (1.0 - a) - erfc(y);
        double step = f * 0x1.c5bf891b4ef6bp-1 * gon_d_exp_square(y);
        y -= step / (1.0 + y * step);
    }
    return copysign(y, x);
}

//@ d_erfinv part fp64
GON_FN double gon_d_erfinv(double x) {
    double a = fabs(x);
    if (!(a < 1.0)) return a == 1.0 ? copysign((double)INFINITY, x) : as_double(0x7ff8000000000000L);
    if (a < 1e-5) return x * fma(x * x, 0.23201366653465449, 0x1.c5bf891b4ef6bp-1);
    return a <= 0.9375 ? gon_d_erfinv_near(x) : copysign(gon_d_erfcinv_far(1.0 - a), x);
}

//@ d_erfcinv_far part fp64
// Newton's steps on log(erfc), which is log(erfcx(y)) - y y: it has no underflow.
GON_FN double gon_d_erfcinv_far(double q) {
    double l = log(q);
    double y = sqrt(-l - 0.5 * log(-3.141592653589793 * l));
    for (int i = 0; i < 5; i++) {
        double e = gon_d_erfcx(y);
        double square = y * y;
        double off = ((log(e) - l) - square) - fma(y, y, -square);
        y += off * e * 0x1.c5bf891b4ef6bp-1;
    }
    return y;
}

//@ d_erfcinv part fp64
GON_FN double gon_d_erfcinv(double q) {
    if (!(q > 0.0 && q < 2.0)) {
        return q == 0.0 ? (double)INFINITY : q == 2.0 ? -(double)INFINITY : as_double(0x7ff8000000000000L);
    }
    if (q < 0.0625) return gon_d_erfcinv_far(q);
    if (q < 0.5) return gon_d_erfcinv_middle(q);
    return q <= 1.5 ? gon_d_erfinv(1.0 - q) : -gon_d_erfcinv_upper(2.0 - q);
}

//@ d_erfcinv_middle part fp64
// Halley's steps on erfc, which is exact in q where 1 - q would not be.
GON_FN double gon_d_erfcinv_middle(double q) {
    double y = gon_d_erfinv_near(1.0 - q);
    double step = (q - erfc(y)) * 0x1.c5bf891b4ef6bp-1 * gon_d_exp_square(y);
    return y - step / (1.0 + y * step);
}

//@ d_erfcinv_upper part fp64
GON_FN double gon_d_erfcinv_upper(double q) {
    return q < 0.0625 ? gon_d_erfcinv_far(q) : gon_d_erfcinv_middle(q);
}

//@ d_normcdf part fp64
// erfc(-x / sqrt(2)) / 2, the rounding of the quotient made up for by erfc's slope.
GON_FN double gon_d_normcdf(double x) {
    double t = x * -0x1.6a09e667f3bcdp-1;
    double r = 0.5 * erfc(t);
    if (!(fabs(t) < 27.5)) return r;
    double rest = fma(x, -0x1.6a09e667f3bcdp-1, -t) + x * 0x1.bdd3413b26456p-55;
    return fma(-0x1.20dd750429b6dp-1 * exp(-t * t), rest, r);
}

//@ d_normcdfinv part fp64
GON_FN double gon_d_normcdfinv(double p) {
    double y = gon_d_erfcinv(2.0 * p);
    return isinf(y) ? -y : fma(y, -0x1.6a09e667f3bcdp+0, y * 0x1.bdd3413b26456p-54);
}

//@ d_squares part fp64 also=d_squares_of
// The sum of four squares 4^exponent times (high + low), however large or small they are.
typedef struct { double high, low; int exponent; } gon_d_squares;
GON_FN gon_d_squares gon_d_squares_of(double a, double b, double c, double d) {
    double v[4] = {a, b, c, d};
    double most = fmax(fmax(fabs(a), fabs(b)), fmax(fabs(c), fabs(d)));
    gon_d_squares s;
    s.exponent = most > 0.0 && isfinite(most) ? ilogb(most) : 0;
    s.high = 0.0;
    s.low = 0.0;
    for (int i = 0; i < 4; i++) {
        double x = ldexp(v[i], -s.exponent);
        double p = x * x, p_rest = fma(x, x, -p);
        double sum = s.high + p;
        double t = sum - s.high;
        s.low += (s.high - (sum - t)) + (p - t) + p_rest;
        s.high = sum;
    }
    if (isinf(most)) s.high = most;
    return s;
}

//@ d_norm part fp64
GON_FN double gon_d_norm(double a, double b, double c, double d) {
    gon_d_squares s = gon_d_squares_of(a, b, c, d);
    double r = sqrt(s.high);
    if (!isfinite(r) || r == 0.0) return r;
    return ldexp(r + (fma(-r, r, s.high) + s.low) / (2.0 * r), s.exponent);
}

//@ d_rnorm part fp64
GON_FN double gon_d_rnorm(double a, double b, double c, double d) {
    gon_d_squares s = gon_d_squares_of(a, b, c, d);
    double y = 1.0 / sqrt(s.high);
    if (!isfinite(y) || y == 0.0) return y;
    double t = s.high * y, t_rest = fma(s.high, y, -t);
    double error = (fma(-t, y, 1.0) - t_rest * y) - s.low * y * y;
    return ldexp(fma(y, 0.5 * error, y), -s.exponent);
}

//@ fma ulp=0
GON_FN float gon_fma(float x, float y, float z) { return fma(x, y, z); }
//@+ fp64
GON_FN double gon_fma(double x, double y, double z) { return fma(x, y, z); }

//@ pow ulp=2
GON_FN float gon_pow(float x, float y) { return gon_powf(x, y); }
GON_FN float gon_pow(float x, int y) { return gon_powf(x, (float)y); }
//@+ fp64
GON_FN double gon_pow(double x, double y) { return pow(x, y); }
GON_FN double gon_pow(double x, int y) { return pow(x, (double)y); }

//@ fdivide fp64 ulp=0
GON_FN double gon_fdivide(double x, double y) { return x / y; }

//@ sincos ulp=2
GON_FN void gon_sincos(float x, GON_AS float *s, GON_AS float *c) { gon_sincosf(x, s, c); }
//@+ fp64
GON_FN void gon_sincos(double x, GON_AS double *s, GON_AS double *c) { *s = gon_sin(x); *c = gon_cos(x); }

//@ sincospi ulp=2
GON_FN void gon_sincospi(float x, GON_AS float *s, GON_AS float *c) { gon_sincospif(x, s, c); }
//@+ fp64
GON_FN void gon_sincospi(double x, GON_AS double *s, GON_AS double *c) {
    gon_d_turned t = gon_d_turns_of(x);
    *s = t.sine;
    *c = t.cosine;
}

//@ frexp ulp=0
GON_FN float gon_frexp(float x, GON_AS int *exponent) { return gon_frexpf(x, exponent); }
//@+ fp64
GON_FN double gon_frexp(double x, GON_AS int *exponent) {
    int e;
    double m = frexp(x, &e);
    *exponent = e;
    return m;
}

//@ modf ulp=0
GON_FN float gon_modf(float x, GON_AS float *whole) { return gon_modff(x, whole); }
//@+ fp64
GON_FN double gon_modf(double x, GON_AS double *whole) {
    double w;
    double rest = modf(x, &w);
    *whole = w;
    return rest;
}

//@ remquo ulp=0
GON_FN float gon_remquo(float x, float y, GON_AS int *quotient) { return gon_remquof(x, y, quotient); }
//@+ fp64
GON_FN double gon_remquo(double x, double y, GON_AS int *quotient) {
    int q;
    double rest = remquo(x, y, &q);
    *quotient = q;
    return rest;
}

//@ ldexp ulp=0
GON_FN float gon_ldexp(float x, int n) { return ldexp(x, n); }
//@+ fp64
GON_FN double gon_ldexp(double x, int n) { return ldexp(x, n); }

//@ scalbn ulp=0
GON_FN float gon_scalbn(float x, int n) { return ldexp(x, n); }
//@+ fp64
GON_FN double gon_scalbn(double x, int n) { return ldexp(x, n); }

//@ scalbln ulp=0
GON_FN float gon_scalbln(float x, long n) { return ldexp(x, (int)clamp(n, -1000L, 1000L)); }
//@+ fp64
GON_FN double gon_scalbln(double x, long n) { return ldexp(x, (int)clamp(n, -5000L, 5000L)); }

//@ ilogb ulp=0
GON_FN int gon_ilogb(float x) { return gon_ilogbf(x); }
//@+ fp64
GON_FN int gon_ilogb(double x) {
    return (x == 0.0 || isnan(x)) ? INT_MIN : isinf(x) ? INT_MAX : ilogb(x);
}

//@ lrint ulp=0
GON_FN long gon_lrint(float x) { return convert_long_sat_rte(x); }
//@+ fp64
GON_FN long gon_lrint(double x) { return convert_long_sat_rte(x); }

//@ llrint ulp=0
GON_FN long gon_llrint(float x) { return convert_long_sat_rte(x); }
//@+ fp64
GON_FN long gon_llrint(double x) { return convert_long_sat_rte(x); }

//@ lround ulp=0
GON_FN long gon_lround(float x) { return convert_long_sat(round(x)); }
//@+ fp64
GON_FN long gon_lround(double x) { return convert_long_sat(round(x)); }

//@ llround ulp=0
GON_FN long gon_llround(float x) { return convert_long_sat(round(x)); }
//@+ fp64
GON_FN long gon_llround(double x) { return convert_long_sat(round(x)); }

//@ nan fp64
GON_FN double gon_nan(constant const char *tag) { return as_double(0x7fffffffffffffffL); }

//@ rhypot fp64 ulp=1
GON_FN double gon_rhypot(double x, double y) { return gon_d_rnorm(x, y, 0.0, 0.0); }

//@ norm3d fp64 ulp=2
GON_FN double gon_norm3d(double a, double b, double c) { return gon_d_norm(a, b, c, 0.0); }

//@ norm4d fp64 ulp=2
GON_FN double gon_norm4d(double a, double b, double c, double d) { return gon_d_norm(a, b, c, d); }

//@ rnorm3d fp64 ulp=1
GON_FN double gon_rnorm3d(double a, double b, double c) { return gon_d_rnorm(a, b, c, 0.0); }

//@ rnorm4d fp64 ulp=1
GON_FN double gon_rnorm4d(double a, double b, double c, double d) { return gon_d_rnorm(a, b, c, d); }

//@ norm fp64
GON_FN double gon_norm(int count, GON_AS const double *values) {
    double r = 0.0;
    for (int i = 0; i < count; i++) r = gon_d_norm(r, values[i], 0.0, 0.0);
    return r;
}

//@ rnorm fp64
GON_FN double gon_rnorm(int count, GON_AS const double *values) {
    double r = 0.0;
    for (int i = 0; i < count; i++) r = gon_d_norm(r, values[i], 0.0, 0.0);
    return 1.0 / r;
}
