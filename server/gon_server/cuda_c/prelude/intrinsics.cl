// Intrinsics of floating point: the exact ones, the quick ones (no less exact here than the functions
// they are quick forms of), and those that round to where they are told.

//@ __sinf
GON_FN float gon___sinf(float x) { return sin(x); }

//@ __cosf
GON_FN float gon___cosf(float x) { return cos(x); }

//@ __tanf
GON_FN float gon___tanf(float x) { return tan(x); }

//@ __tanhf
GON_FN float gon___tanhf(float x) { return tanh(x); }

//@ __sincosf
GON_FN void gon___sincosf(float x, GON_AS float *s, GON_AS float *c) { *s = sin(x); *c = cos(x); }

//@ __expf ulp=2
GON_FN float gon___expf(float x) { return exp(x); }

//@ __exp10f ulp=2
GON_FN float gon___exp10f(float x) { return exp10(x); }

//@ __logf ulp=3
GON_FN float gon___logf(float x) { return log(x); }

//@ __log2f ulp=2
GON_FN float gon___log2f(float x) { return log2(x); }

//@ __log10f ulp=3
GON_FN float gon___log10f(float x) { return log10(x); }

//@ __powf
GON_FN float gon___powf(float x, float y) { return pow(x, y); }

//@ __fdividef ulp=2
GON_FN float gon___fdividef(float x, float y) { return x / y; }

//@ __saturatef ulp=0
GON_FN float gon___saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }

//@ __fadd_rn ulp=0
GON_FN float gon___fadd_rn(float x, float y) { return x + y; }

//@ __fsub_rn ulp=0
GON_FN float gon___fsub_rn(float x, float y) { return x - y; }

//@ __fmul_rn ulp=0
GON_FN float gon___fmul_rn(float x, float y) { return x * y; }

//@ __fmaf_rn ulp=0
GON_FN float gon___fmaf_rn(float x, float y, float z) { return fma(x, y, z); }

//@ __fmaf_ieee_rn ulp=0
GON_FN float gon___fmaf_ieee_rn(float x, float y, float z) { return fma(x, y, z); }

//@ __fdiv_rn ulp=0
GON_FN float gon___fdiv_rn(float x, float y) { return x / y; }

//@ __frcp_rn ulp=0
GON_FN float gon___frcp_rn(float x) { return 1.0f / x; }

//@ __fsqrt_rn ulp=0
GON_FN float gon___fsqrt_rn(float x) { return sqrt(x); }

//@ __frsqrt_rn fp64 ulp=0
GON_FN float gon___frsqrt_rn(float x) { return (float)(1.0 / sqrt((double)x)); }

//@ __dadd_rn fp64 ulp=0
GON_FN double gon___dadd_rn(double x, double y) { return x + y; }

//@ __dsub_rn fp64 ulp=0
GON_FN double gon___dsub_rn(double x, double y) { return x - y; }

//@ __dmul_rn fp64 ulp=0
GON_FN double gon___dmul_rn(double x, double y) { return x * y; }

//@ __fma_rn fp64 ulp=0
GON_FN double gon___fma_rn(double x, double y, double z) { return fma(x, y, z); }

//@ __ddiv_rn fp64 ulp=0
GON_FN double gon___ddiv_rn(double x, double y) { return x / y; }

//@ __drcp_rn fp64 ulp=0
GON_FN double gon___drcp_rn(double x) { return 1.0 / x; }

//@ __dsqrt_rn fp64 ulp=0
GON_FN double gon___dsqrt_rn(double x) { return sqrt(x); }

//@ near part fp64
// What is known exactly as `value` plus something with the sign of `rest`, too small to matter but
// where `value` is a float.
typedef struct { double value, rest; } gon_near;

//@ rounded_rd part fp64
GON_FN float gon_rounded_rd(gon_near n) {
    float f = convert_float_rtn(n.value);
    return n.rest < 0.0 && (double)f == n.value ? nextafter(f, -INFINITY) : f;
}

//@ rounded_ru part fp64
GON_FN float gon_rounded_ru(gon_near n) {
    float f = convert_float_rtp(n.value);
    return n.rest > 0.0 && (double)f == n.value ? nextafter(f, INFINITY) : f;
}

//@ rounded_rz part fp64
GON_FN float gon_rounded_rz(gon_near n) { return n.value > 0.0 ? gon_rounded_rd(n) : gon_rounded_ru(n); }

//@ near_sum part fp64
GON_FN gon_near gon_near_sum(double a, double b) {
    gon_near n;
    n.value = a + b;
    double t = n.value - a;
    n.rest = (a - (n.value - t)) + (b - t);
    return n;
}

//@ near_quotient part fp64
GON_FN gon_near gon_near_quotient(double a, double b) {
    gon_near n;
    n.value = a / b;
    double left = fma(-n.value, b, a);
    n.rest = b < 0.0 ? -left : left;
    return n;
}

//@ near_root part fp64
GON_FN gon_near gon_near_root(double a) {
    gon_near n;
    n.value = sqrt(a);
    n.rest = fma(-n.value, n.value, a);
    return n;
}

//@ sum_rd part fp64
// A sum of different signs that is nothing is -0 when rounded down.
GON_FN float gon_sum_rd(double a, double b) {
    gon_near n = gon_near_sum(a, b);
    return n.value == 0.0 && signbit(a) != signbit(b) ? -0.0f : gon_rounded_rd(n);
}

//@ sum_ru part fp64
GON_FN float gon_sum_ru(double a, double b) {
    gon_near n = gon_near_sum(a, b);
    return n.value == 0.0 ? (float)n.value : gon_rounded_ru(n);
}

//@ sum_rz part fp64
GON_FN float gon_sum_rz(double a, double b) {
    gon_near n = gon_near_sum(a, b);
    return n.value == 0.0 ? (float)n.value : gon_rounded_rz(n);
}
