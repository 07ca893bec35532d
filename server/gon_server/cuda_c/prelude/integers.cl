// Whole numbers: minima, maxima, and the intrinsics that count, turn and multiply bits.

//@ abs
GON_FN int gon_abs(int x) { return x < 0 ? (int)(0u - (uint)x) : x; }
GON_FN long gon_abs(long x) { return x < 0 ? (long)(0ul - (ulong)x) : x; }
GON_FN float gon_abs(float x) { return fabs(x); }
//@+ fp64
GON_FN double gon_abs(double x) { return fabs(x); }

//@ labs
GON_FN long gon_labs(long x) { return x < 0 ? (long)(0ul - (ulong)x) : x; }

//@ llabs
GON_FN long gon_llabs(long x) { return x < 0 ? (long)(0ul - (ulong)x) : x; }

//@ min
GON_FN int gon_min(int a, int b) { return min(a, b); }
GON_FN uint gon_min(uint a, uint b) { return min(a, b); }
GON_FN uint gon_min(int a, uint b) { return min((uint)a, b); }
GON_FN uint gon_min(uint a, int b) { return min(a, (uint)b); }
GON_FN long gon_min(long a, long b) { return min(a, b); }
GON_FN ulong gon_min(ulong a, ulong b) { return min(a, b); }
GON_FN ulong gon_min(long a, ulong b) { return min((ulong)a, b); }
GON_FN ulong gon_min(ulong a, long b) { return min(a, (ulong)b); }
GON_FN float gon_min(float a, float b) { return fmin(a, b); }
//@+ fp64
GON_FN double gon_min(double a, double b) { return fmin(a, b); }
GON_FN double gon_min(float a, double b) { return fmin((double)a, b); }
GON_FN double gon_min(double a, float b) { return fmin(a, (double)b); }

//@ max
GON_FN int gon_max(int a, int b) { return max(a, b); }
GON_FN uint gon_max(uint a, uint b) { return max(a, b); }
GON_FN uint gon_max(int a, uint b) { return max((uint)a, b); }
GON_FN uint gon_max(uint a, int b) { return max(a, (uint)b); }
GON_FN long gon_max(long a, long b) { return max(a, b); }
GON_FN ulong gon_max(ulong a, ulong b) { return max(a, b); }
GON_FN ulong gon_max(long a, ulong b) { return max((ulong)a, b); }
GON_FN ulong gon_max(ulong a, long b) { return max(a, (ulong)b); }
GON_FN float gon_max(float a, float b) { return fmax(a, b); }
//@+ fp64
GON_FN double gon_max(double a, double b) { return fmax(a, b); }
GON_FN double gon_max(float a, double b) { return fmax((double)a, b); }
GON_FN double gon_max(double a, float b) { return fmax(a, (double)b); }

//@ umin
GON_FN uint gon_umin(uint a, uint b) { return min(a, b); }

//@ umax
GON_FN uint gon_umax(uint a, uint b) { return max(a, b); }

//@ llmin
GON_FN long gon_llmin(long a, long b) { return min(a, b); }

//@ llmax
GON_FN long gon_llmax(long a, long b) { return max(a, b); }

//@ ullmin
GON_FN ulong gon_ullmin(ulong a, ulong b) { return min(a, b); }

//@ ullmax
GON_FN ulong gon_ullmax(ulong a, ulong b) { return max(a, b); }

//@ isnan
GON_FN int gon_isnan(float x) { return isnan(x); }
//@+ fp64
GON_FN int gon_isnan(double x) { return isnan(x); }

//@ isinf
GON_FN int gon_isinf(float x) { return isinf(x); }
//@+ fp64
GON_FN int gon_isinf(double x) { return isinf(x); }

//@ isfinite
GON_FN int gon_isfinite(float x) { return isfinite(x); }
//@+ fp64
GON_FN int gon_isfinite(double x) { return isfinite(x); }

//@ signbit
GON_FN int gon_signbit(float x) { return signbit(x); }
//@+ fp64
GON_FN int gon_signbit(double x) { return signbit(x); }

//@ __clz
GON_FN int gon___clz(int x) { return (int)clz((uint)x); }

//@ __clzll
GON_FN int gon___clzll(long x) { return (int)clz((ulong)x); }

//@ __popc
GON_FN int gon___popc(uint x) { return (int)popcount(x); }

//@ __popcll
GON_FN int gon___popcll(ulong x) { return (int)popcount(x); }

//@ __ffs
GON_FN int gon___ffs(int x) { return x ? 32 - (int)clz((uint)x & (0u - (uint)x)) : 0; }

//@ __ffsll
GON_FN int gon___ffsll(long x) { return x ? 64 - (int)clz((ulong)x & (0ul - (ulong)x)) : 0; }

//@ __brev
GON_FN uint gon___brev(uint x) {
    x = ((x >> 1) & 0x55555555u) | ((x & 0x55555555u) << 1);
    x = ((x >> 2) & 0x33333333u) | ((x & 0x33333333u) << 2);
    x = ((x >> 4) & 0x0f0f0f0fu) | ((x & 0x0f0f0f0fu) << 4);
    x = ((x >> 8) & 0x00ff00ffu) | ((x & 0x00ff00ffu) << 8);
    return (x >> 16) | (x << 16);
}

//@ __brevll
GON_FN ulong gon___brevll(ulong x) {
    return ((ulong)gon___brev((uint)x) << 32) | gon___brev((uint)(x >> 32));
}

//@ __fns
// The place of the n-th set bit from `base` on (upwards for n > 0), -1 for none.
GON_FN uint gon___fns(uint mask, uint base, int n) {
    if (n == 0) return (mask >> (base & 31u)) & 1u ? base : 0xffffffffu;
    int step = n > 0 ? 1 : -1, left = n > 0 ? n : -n;
    for (int at = (int)base; at >= 0 && at < 32; at += step) {
        if (((mask >> at) & 1u) && --left == 0) return (uint)at;
    }
    return 0xffffffffu;
}

//@ __mulhi
GON_FN int gon___mulhi(int a, int b) { return mul_hi(a, b); }

//@ __umulhi
GON_FN uint gon___umulhi(uint a, uint b) { return mul_hi(a, b); }

//@ __mul64hi
GON_FN long gon___mul64hi(long a, long b) { return mul_hi(a, b); }

//@ __umul64hi
GON_FN ulong gon___umul64hi(ulong a, ulong b) { return mul_hi(a, b); }

//@ __mul24
// OpenCL's mul24 says nothing of numbers beyond 24 bits; CUDA takes their lower 24.
GON_FN int gon___mul24(int a, int b) {
    int x = (int)((uint)a << 8) >> 8, y = (int)((uint)b << 8) >> 8;
    return (int)((uint)x * (uint)y);
}

//@ __umul24
GON_FN uint gon___umul24(uint a, uint b) { return (a & 0xffffffu) * (b & 0xffffffu); }

//@ __sad
GON_FN uint gon___sad(int a, int b, uint c) { return abs_diff(a, b) + c; }

//@ __usad
GON_FN uint gon___usad(uint a, uint b, uint c) { return abs_diff(a, b) + c; }

//@ __hadd
GON_FN int gon___hadd(int a, int b) { return hadd(a, b); }
//@+ fp16
GON_FN half gon___hadd(half a, half b) { return a + b; }

//@ __uhadd
GON_FN uint gon___uhadd(uint a, uint b) { return hadd(a, b); }

//@ __rhadd
GON_FN int gon___rhadd(int a, int b) { return rhadd(a, b); }

//@ __urhadd
GON_FN uint gon___urhadd(uint a, uint b) { return rhadd(a, b); }

//@ __byte_perm
GON_FN uint gon___byte_perm(uint a, uint b, uint s) {
    ulong bytes = ((ulong)b << 32) | a;
    uint r = 0;
    for (int i = 0; i < 4; i++) r |= (uint)((bytes >> (((s >> (4 * i)) & 7u) * 8u)) & 0xffu) << (8 * i);
    return r;
}

//@ __funnelshift_l
GON_FN uint gon___funnelshift_l(uint low, uint high, uint by) {
    return (uint)(((((ulong)high << 32) | low) << (by & 31u)) >> 32);
}

//@ __funnelshift_lc
GON_FN uint gon___funnelshift_lc(uint low, uint high, uint by) {
    return by >= 32u ? low : gon___funnelshift_l(low, high, by);
}

//@ __funnelshift_r
GON_FN uint gon___funnelshift_r(uint low, uint high, uint by) {
    return (uint)((((ulong)high << 32) | low) >> (by & 31u));
}

//@ __funnelshift_rc
GON_FN uint gon___funnelshift_rc(uint low, uint high, uint by) {
    return by >= 32u ? high : gon___funnelshift_r(low, high, by);
}

//@ __dp4a
GON_FN int gon___dp4a(int a, int b, int c) {
    char4 x = as_char4(a), y = as_char4(b);
    return (int)((uint)c + (uint)(x.x * y.x + x.y * y.y + x.z * y.z + x.w * y.w));
}
GON_FN uint gon___dp4a(uint a, uint b, uint c) {
    uchar4 x = as_uchar4(a), y = as_uchar4(b);
    return c + (uint)(x.x * y.x + x.y * y.y + x.z * y.z + x.w * y.w);
}

//@ __dp2a_lo
GON_FN int gon___dp2a_lo(int a, int b, int c) {
    short2 x = as_short2(a);
    char4 y = as_char4(b);
    return (int)((uint)c + (uint)(x.x * y.x) + (uint)(x.y * y.y));
}
GON_FN uint gon___dp2a_lo(uint a, uint b, uint c) {
    ushort2 x = as_ushort2(a);
    uchar4 y = as_uchar4(b);
    return c + (uint)x.x * y.x + (uint)x.y * y.y;
}

//@ __dp2a_hi
GON_FN int gon___dp2a_hi(int a, int b, int c) {
    short2 x = as_short2(a);
    char4 y = as_char4(b);
    return (int)((uint)c + (uint)(x.x * y.z) + (uint)(x.y * y.w));
}
GON_FN uint gon___dp2a_hi(uint a, uint b, uint c) {
    ushort2 x = as_ushort2(a);
    uchar4 y = as_uchar4(b);
    return c + (uint)x.x * y.z + (uint)x.y * y.w;
}

//@ __nv_bswap16
GON_FN ushort gon___nv_bswap16(ushort x) { return (ushort)((x << 8) | (x >> 8)); }

//@ __nv_bswap32
GON_FN uint gon___nv_bswap32(uint x) { return gon___byte_perm(x, 0u, 0x0123u); }

//@ __nv_bswap64
GON_FN ulong gon___nv_bswap64(ulong x) {
    return ((ulong)gon___nv_bswap32((uint)x) << 32) | gon___nv_bswap32((uint)(x >> 32));
}

//@ __double2hiint fp64
GON_FN int gon___double2hiint(double x) { return (int)(as_ulong(x) >> 32); }

//@ __double2loint fp64
GON_FN int gon___double2loint(double x) { return (int)as_ulong(x); }

//@ __hiloint2double fp64
GON_FN double gon___hiloint2double(int high, int low) {
    return as_double(((ulong)(uint)high << 32) | (ulong)(uint)low);
}

//@ __isnanf
GON_FN int gon___isnanf(float x) { return isnan(x); }

//@ __isnan fp64
GON_FN int gon___isnan(double x) { return isnan(x); }

//@ __isinff
GON_FN int gon___isinff(float x) { return isinf(x); }

//@ __isinf fp64
GON_FN int gon___isinf(double x) { return isinf(x); }

//@ __finitef
GON_FN int gon___finitef(float x) { return isfinite(x); }

//@ __finite fp64
GON_FN int gon___finite(double x) { return isfinite(x); }

//@ __signbitf
GON_FN int gon___signbitf(float x) { return signbit(x); }

//@ __signbit fp64
GON_FN int gon___signbit(double x) { return signbit(x); }
