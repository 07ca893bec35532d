// OpenCL's names for clang in its CUDA mode, so that the texts beside this one mean the same there.
//
// A function without a body is one that llvm-spirv knows by its mangled name. Those of a program lie
// in a namespace, so that none of them is taken for one of these.

#define __device__ __attribute__((device))
#define __host__ __attribute__((host))
#define __global__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __constant__ __attribute__((device)) const
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define GON_KERNEL __attribute__((global))

typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
typedef unsigned long size_t;
typedef unsigned long uintptr_t;
typedef long intptr_t;
typedef long ptrdiff_t;
typedef char char4 __attribute__((ext_vector_type(4)));
typedef uchar uchar4 __attribute__((ext_vector_type(4)));
typedef short short2 __attribute__((ext_vector_type(2)));
typedef ushort ushort2 __attribute__((ext_vector_type(2)));

#pragma clang force_cuda_host_device begin

namespace gon_cuda {
constexpr float INFINITY = __builtin_inff();
constexpr int INT_MAX = 0x7fffffff, INT_MIN = -INT_MAX - 1;
#define GON_AS_TYPE(type) \
    template <typename From> inline type as_##type(From from) { return __builtin_bit_cast(type, from); }
GON_AS_TYPE(int) GON_AS_TYPE(uint) GON_AS_TYPE(long) GON_AS_TYPE(ulong) GON_AS_TYPE(float)
GON_AS_TYPE(double) GON_AS_TYPE(char4) GON_AS_TYPE(uchar4) GON_AS_TYPE(short2) GON_AS_TYPE(ushort2)
}

// Threads, barriers, fences --------------------
size_t get_local_id(uint), get_group_id(uint), get_local_size(uint), get_num_groups(uint);
void __spirv_ControlBarrier(uint, uint, uint);
void __spirv_MemoryBarrier(uint, uint);
int __spirv_GroupIAdd(uint, uint, int);

enum memory_order { memory_order_relaxed = 0, memory_order_seq_cst = 0x10 };
enum memory_scope { memory_scope_device = 1, memory_scope_work_group = 2 };
#define CLK_LOCAL_MEM_FENCE 0x100u
#define CLK_GLOBAL_MEM_FENCE 0x200u

namespace gon_cuda {
inline void barrier(uint where) { __spirv_ControlBarrier(2, 2, where | memory_order_seq_cst); }
inline void atomic_work_item_fence(uint where, memory_order order, memory_scope scope) {
    __spirv_MemoryBarrier(scope, where | order);
}
inline int work_group_reduce_add(int x) { return __spirv_GroupIAdd(2, 0, x); }
}

// Atomics --------------------
typedef int atomic_int;
typedef uint atomic_uint;
typedef long atomic_long;
typedef ulong atomic_ulong;

#define GON_FETCH(name, op, type) \
    type __spirv_Atomic##op(volatile type *, uint, uint, type); \
    namespace gon_cuda { inline type atomic_##name##_explicit(volatile type *p, type x, memory_order o, memory_scope s) { \
        return __spirv_Atomic##op(p, s, o, x); \
    } }
#define GON_ATOMICS(type, sign) \
    GON_FETCH(fetch_add, IAdd, type) GON_FETCH(fetch_sub, ISub, type) GON_FETCH(fetch_and, And, type) \
    GON_FETCH(fetch_or, Or, type) GON_FETCH(fetch_xor, Xor, type) GON_FETCH(exchange, Exchange, type) \
    GON_FETCH(fetch_min, sign##Min, type) GON_FETCH(fetch_max, sign##Max, type) \
    type __spirv_AtomicCompareExchange(volatile type *, uint, uint, uint, type, type); \
    namespace gon_cuda { inline bool atomic_compare_exchange_strong_explicit(volatile type *p, type *expected, \
            type wanted, memory_order equal, memory_order unequal, memory_scope s) { \
        type was = __spirv_AtomicCompareExchange(p, s, equal, unequal, wanted, *expected); \
        bool same = was == *expected; \
        *expected = was; \
        return same; \
    } }
GON_ATOMICS(int, S) GON_ATOMICS(uint, U) GON_ATOMICS(long, S) GON_ATOMICS(ulong, U)

// Mathematics --------------------
#define GON_MATH(type) \
    type acos(type), acosh(type), asin(type), asinh(type), atan(type), atanh(type), cbrt(type), \
        ceil(type), cos(type), cosh(type), erf(type), erfc(type), exp(type), exp10(type), exp2(type), \
        expm1(type), fabs(type), floor(type), lgamma(type), log(type), log10(type), log1p(type), \
        log2(type), logb(type), rint(type), round(type), rsqrt(type), sin(type), sinh(type), \
        sqrt(type), tan(type), tanh(type), tgamma(type), trunc(type); \
    type atan2(type, type), copysign(type, type), fdim(type, type), fmax(type, type), \
        fmin(type, type), fmod(type, type), hypot(type, type), nextafter(type, type), \
        pow(type, type), remainder(type, type), fma(type, type, type); \
    type frexp(type, int *), ldexp(type, int), modf(type, type *), remquo(type, type, int *); \
    int ilogb(type), isfinite(type), isinf(type), isnan(type), signbit(type);
GON_MATH(float) GON_MATH(double)

// Whole numbers --------------------
#define GON_WHOLE(type, unsigned_type) \
    unsigned_type abs(type), abs_diff(type, type); \
    type max(type, type), min(type, type), clamp(type, type, type), add_sat(type, type), \
        sub_sat(type, type), hadd(type, type), rhadd(type, type), mul_hi(type, type), clz(type), \
        popcount(type);
GON_WHOLE(int, uint) GON_WHOLE(uint, uint) GON_WHOLE(long, ulong) GON_WHOLE(ulong, ulong)
GON_WHOLE(char4, uchar4) GON_WHOLE(uchar4, uchar4) GON_WHOLE(short2, ushort2)
GON_WHOLE(ushort2, ushort2) GON_WHOLE(char, uchar) GON_WHOLE(uchar, uchar) GON_WHOLE(short, ushort)
GON_WHOLE(ushort, ushort)

// Conversions --------------------
#define GON_ROUNDED(name, type, from) \
    type name##_rte(from), name##_rtz(from), name##_rtp(from), name##_rtn(from);
#define GON_TO_FLOAT(from) \
    GON_ROUNDED(convert_float, float, from) GON_ROUNDED(convert_double, double, from)
#define GON_TO_WHOLE(from) \
    GON_ROUNDED(convert_int_sat, int, from) GON_ROUNDED(convert_uint_sat, uint, from) \
    GON_ROUNDED(convert_long_sat, long, from) GON_ROUNDED(convert_ulong_sat, ulong, from)
GON_TO_FLOAT(int) GON_TO_FLOAT(uint) GON_TO_FLOAT(long) GON_TO_FLOAT(ulong) GON_TO_FLOAT(double)
GON_TO_WHOLE(float) GON_TO_WHOLE(double)
long convert_long_sat(float), convert_long_sat(double);

#pragma clang force_cuda_host_device end

// Kernels --------------------
// Dynamic shared memory: one array of as many bytes as a launch may ask for, whatever the type.
static __shared__ __attribute__((aligned(128))) char gon_dynamic[GON_DYNAMIC_BYTES];
template <typename Type> __device__ inline auto &gon_shared() {
    return *reinterpret_cast<Type (*)[GON_DYNAMIC_BYTES]>(gon_dynamic);
}

template <typename Function> struct gon_signature;
template <typename... Params> struct gon_signature<void (*)(Params...)> {
    static constexpr int count = sizeof...(Params);
};
template <int index, typename Function> struct gon_param;
template <int index, typename First, typename... Rest>
struct gon_param<index, void (*)(First, Rest...)> : gon_param<index - 1, void (*)(Rest...)> {};
template <typename First, typename... Rest> struct gon_param<0, void (*)(First, Rest...)> {
    using type = First;
};
// As it is handed over: a bool is no type of a kernel's parameter.
template <typename Type> struct gon_passed { using type = Type; };
template <> struct gon_passed<bool> { using type = uchar; };
template <int index, typename Function>
using gon_arg = typename gon_passed<typename gon_param<index, Function>::type>::type;

// What a launch must know of a parameter, as one number: its kind (0 a value, 1 a pointer that is
// only read through, 2 one that is written through, 3 what no argument can be), the type of its
// elements (by number, 0 for none), and the size of a value.
template <typename Type> struct gon_type { static constexpr ulong number = 0; };
#define GON_NUMBER(type, value) \
    template <> struct gon_type<type> { static constexpr ulong number = value; };
GON_NUMBER(bool, 1) GON_NUMBER(char, 2) GON_NUMBER(signed char, 2) GON_NUMBER(uchar, 3)
GON_NUMBER(short, 4) GON_NUMBER(ushort, 5) GON_NUMBER(int, 6) GON_NUMBER(uint, 7)
GON_NUMBER(long, 8) GON_NUMBER(ulong, 9) GON_NUMBER(float, 10) GON_NUMBER(double, 11)
template <typename Type> struct gon_type<const Type> : gon_type<Type> {};
template <typename Type> struct gon_type<volatile Type> : gon_type<Type> {};
template <typename Type> struct gon_type<const volatile Type> : gon_type<Type> {};
template <typename Type, size_t count> struct gon_type<Type[count]> : gon_type<Type> {};
template <typename Type, size_t count> struct gon_type<const Type[count]> : gon_type<Type> {};

template <typename Type> struct gon_pointed {
    static constexpr bool is_possible = true, is_const = false;
};
template <typename Type> struct gon_pointed<const Type> {
    static constexpr bool is_possible = gon_pointed<Type>::is_possible, is_const = true;
};
template <typename Type> struct gon_pointed<Type *> {
    static constexpr bool is_possible = false, is_const = false;
};

template <typename Type> struct gon_facts {
    static constexpr ulong value =
        (__is_trivially_copyable(Type) && !__is_empty(Type) && !__is_function(Type) ? 0ul : 3ul) |
        gon_type<Type>::number << 4 | sizeof(Type) << 16;
};
template <typename Type> struct gon_facts<Type *> {
    static constexpr ulong value =
        (!gon_pointed<Type>::is_possible ? 3ul : gon_pointed<Type>::is_const ? 1ul : 2ul) |
        gon_type<Type>::number << 4;
};
template <typename Type> struct gon_facts<Type &> { static constexpr ulong value = 3; };
template <typename Type> struct gon_facts<Type &&> { static constexpr ulong value = 3; };
template <int index, typename Function>
constexpr ulong gon_told = gon_facts<typename gon_param<index, Function>::type>::value;
