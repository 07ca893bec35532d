// Half precision beyond what builtins_half.py makes by rule.

//@ half type fp16
typedef half gon_half;

//@ __half type fp16
typedef half gon___half;

//@ half2 type fp16
typedef struct __attribute__((aligned(4))) gon_half2 { half x, y; } gon_half2;
//@+ cpp
static inline gon_half2 operator+(gon_half2 a, gon_half2 b) { return {a.x + b.x, a.y + b.y}; }
static inline gon_half2 operator-(gon_half2 a, gon_half2 b) { return {a.x - b.x, a.y - b.y}; }
static inline gon_half2 operator*(gon_half2 a, gon_half2 b) { return {a.x * b.x, a.y * b.y}; }
static inline gon_half2 operator/(gon_half2 a, gon_half2 b) { return {a.x / b.x, a.y / b.y}; }
static inline gon_half2 operator-(gon_half2 a) { return {-a.x, -a.y}; }

//@ __half2 type fp16
typedef gon_half2 gon___half2;

//@ __half_raw type
typedef struct gon___half_raw { ushort x; } gon___half_raw;

//@ __half2_raw type
typedef struct gon___half2_raw { ushort x, y; } gon___half2_raw;

//@ half_sat part fp16
GON_FN half gon_half_sat(half a) { return a > (half)0 ? (a < (half)1 ? a : (half)1) : (half)0; }

//@ half_relu part fp16
GON_FN half gon_half_relu(half a) { return a < (half)0 ? (half)0 : a; }

//@ half_nan part fp16
GON_FN half gon_half_nan(void) { return as_half((ushort)0x7fff); }

//@ __hisnan fp16
GON_FN bool gon___hisnan(half a) { return isnan(a) != 0; }

//@ __hisinf fp16
GON_FN int gon___hisinf(half a) { return isinf(a) ? (a > (half)0 ? 1 : -1) : 0; }

//@ __hisnan2 fp16
GON_FN gon_half2 gon___hisnan2(gon_half2 a) { return gon_make_half2(isnan(a.x) ? (half)1 : (half)0, isnan(a.y) ? (half)1 : (half)0); }

//@ make_half2 fp16
GON_FN gon_half2 gon_make_half2(half x, half y) {
    gon_half2 r;
    r.x = x;
    r.y = y;
    return r;
}

//@ __halves2half2 fp16
GON_FN gon_half2 gon___halves2half2(half x, half y) { return gon_make_half2(x, y); }

//@ __half2half2 fp16
GON_FN gon_half2 gon___half2half2(half x) { return gon_make_half2(x, x); }

//@ __float2half2_rn fp16
GON_FN gon_half2 gon___float2half2_rn(float x) { return gon_make_half2(convert_half_rte(x), convert_half_rte(x)); }

//@ __floats2half2_rn fp16
GON_FN gon_half2 gon___floats2half2_rn(float x, float y) { return gon_make_half2(convert_half_rte(x), convert_half_rte(y)); }

//@ __float22half2_rn fp16
GON_FN gon_half2 gon___float22half2_rn(gon_float2 v) { return gon___floats2half2_rn(v.x, v.y); }

//@ __half22float2 fp16
GON_FN gon_float2 gon___half22float2(gon_half2 v) { return gon_make_float2((float)v.x, (float)v.y); }

//@ __low2float fp16
GON_FN float gon___low2float(gon_half2 v) { return (float)v.x; }

//@ __high2float fp16
GON_FN float gon___high2float(gon_half2 v) { return (float)v.y; }

//@ __low2half fp16
GON_FN half gon___low2half(gon_half2 v) { return v.x; }

//@ __high2half fp16
GON_FN half gon___high2half(gon_half2 v) { return v.y; }

//@ __low2half2 fp16
GON_FN gon_half2 gon___low2half2(gon_half2 v) { return gon_make_half2(v.x, v.x); }

//@ __high2half2 fp16
GON_FN gon_half2 gon___high2half2(gon_half2 v) { return gon_make_half2(v.y, v.y); }

//@ __lows2half2 fp16
GON_FN gon_half2 gon___lows2half2(gon_half2 a, gon_half2 b) { return gon_make_half2(a.x, b.x); }

//@ __highs2half2 fp16
GON_FN gon_half2 gon___highs2half2(gon_half2 a, gon_half2 b) { return gon_make_half2(a.y, b.y); }

//@ __lowhigh2highlow fp16
GON_FN gon_half2 gon___lowhigh2highlow(gon_half2 v) { return gon_make_half2(v.y, v.x); }

//@ __half2float fp16
GON_FN float gon___half2float(half x) { return (float)x; }

//@ __float2half fp16 ulp=0
GON_FN half gon___float2half(float x) { return convert_half_rte(x); }

//@ __double2half fp16 fp64 ulp=0
GON_FN half gon___double2half(double x) { return convert_half_rte(x); }

//@ __half2char_rz fp16
GON_FN char gon___half2char_rz(half x) { return isnan(x) ? (char)0 : convert_char_sat_rtz(x); }

//@ __half2uchar_rz fp16
GON_FN uchar gon___half2uchar_rz(half x) { return isnan(x) ? (uchar)0 : convert_uchar_sat_rtz(x); }

//@ __half_as_short fp16
GON_FN short gon___half_as_short(half x) { return as_short(x); }

//@ __half_as_ushort fp16
GON_FN ushort gon___half_as_ushort(half x) { return as_ushort(x); }

//@ __short_as_half fp16
GON_FN half gon___short_as_half(short x) { return as_half(x); }

//@ __ushort_as_half fp16
GON_FN half gon___ushort_as_half(ushort x) { return as_half(x); }
